"""Mattermost's posts, socket frames and outgoing bodies, as far as we read them (https://developers.mattermost.com/api-documentation/).

Called by parsing.py and frames.py. Nearly everything is optional: a new field or kind must never cost a message.
"""

from __future__ import annotations

from pydantic import Field

from adapters.foreign import Foreign


class Post(Foreign):
    """A message as the server stores it; times are milliseconds. `root_id` is always a thread's root."""

    id: str
    create_at: int = 0
    update_at: int = 0
    edit_at: int = 0
    delete_at: int = 0
    user_id: str = ""
    channel_id: str = ""
    root_id: str = ""
    message: str = ""
    type: str = ""
    props: dict[str, object] = Field(default_factory=dict[str, object])
    file_ids: list[str] = Field(default_factory=list[str])
    metadata: PostMetadata | None = None


class FileInfo(Foreign):
    """A file of a post."""

    id: str
    name: str | None = None
    mime_type: str | None = None
    size: int | None = None


class PostMetadata(Foreign):
    """What the server adds to a post."""

    files: list[FileInfo] = Field(default_factory=list[FileInfo])


class Reaction(Foreign):
    """Somebody's reaction to a post."""

    user_id: str
    post_id: str
    emoji_name: str = ""
    create_at: int = 0


class FrameData(Foreign):
    """A frame's data: posts and reactions are JSON in a string, and so is the list of who is mentioned."""

    post: str | None = None
    reaction: str | None = None
    mentions: str | None = None
    channel_type: str | None = None
    sender_name: str | None = None


class Broadcast(Foreign):
    """Whom a frame was sent to."""

    channel_id: str = ""


class Frame(Foreign):
    """One frame of the socket."""

    event: str = ""
    seq: int | None = None
    data: FrameData | None = None
    broadcast: Broadcast | None = None
