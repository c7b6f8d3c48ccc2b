"""Frames of Mattermost's socket become items: posts, edits, deletions, reactions. The rest tells a bot nothing.

In a channel each post opens a thread, and that thread is the session; a direct chat is one session, a thread in it
another. Who is spoken to in a channel (`configuration.groups`): `mentions` (default) answers mentions and replies in
threads where we take part, `all` answers everything. Called by the connector, also for posts read after a gap.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from pydantic import ValidationError

from adapters.base import ChannelContext
from adapters.foreign import decode_object
from adapters.platform.mattermost.item import NONCE, Ourselves, Place, new_item
from adapters.platform.mattermost.payloads import Frame, FrameData, Post, Reaction
from domain.errors import PayloadError
from domain.filenames import clean_filename
from domain.message import Attachment, EventKind, InboundEvent, MessageType, Sender

_WRITTEN: Final = frozenset({"", "me", "slack_attachment", "burn_on_read"})
_MEDIA: Final = {"image": MessageType.IMAGE, "audio": MessageType.AUDIO, "video": MessageType.VIDEO}
_MENTION: Final = re.compile(r"(?<![\w@])@([a-z0-9][a-z0-9._-]*)", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class _Heard:
    us: Ourselves
    data: FrameData
    channel: str
    received_at: float


def read_frame(raw: bytes | str, channel: ChannelContext, received_at: float) -> tuple[InboundEvent, ...]:
    """Read one frame; none or one item. Raises PayloadError when it is no JSON object."""
    try:
        frame = Frame.model_validate(decode_object(raw))
        reader = _READERS.get(frame.event)
        if reader is None or frame.data is None:
            return ()
        where = frame.broadcast.channel_id if frame.broadcast else ""
        return (reader(_Heard(Ourselves.of(channel), frame.data, where, received_at)),)
    except ValidationError as error:
        raise PayloadError("the frame is not of a kind that Mattermost documents") from error


def read_post(
    post: Post, channel: ChannelContext, received_at: float, *, direct: bool, mentioned: bool = False
) -> InboundEvent:
    """Read one post, from the socket or from the channel's history: both give the same item."""
    us = Ourselves.of(channel)
    place = Place(post.channel_id, post.root_id or None, post.id, direct=direct)
    item = new_item(EventKind.MESSAGE, f"p:{post.id}", place, post.create_at, received_at)
    item = _filled(item, post, us)
    if post.type not in _WRITTEN:
        return replace(item, kind=EventKind.SYSTEM, ignored=f"a system message ({post.type})"[:200])
    mentioned = mentioned or _names_us(post.message, us)
    item = replace(item, mentioned_us=mentioned and not direct)
    if item.ignored is None and not (direct or mentioned or us.all_in_groups):
        if post.root_id and not _MENTION.search(post.message):
            return replace(item, metadata={"only_in_known_session": "true"})
        item = replace(item, ignored="not addressed to us")
    # Only what opens a turn may take the key under which the same post may come by another road.
    return item if item.ignored is None else replace(item, dedup_key=f"n:{post.id}")


def _filled(item: InboundEvent, post: Post, us: Ourselves) -> InboundEvent:
    ours = (us.id is not None and post.user_id == us.id) or NONCE in post.props
    bot = any(str(post.props.get(name)).lower() == "true" for name in ("from_bot", "from_webhook", "from_plugin"))
    files = {info.id: info for info in (post.metadata.files if post.metadata else [])}
    attachments: list[Attachment] = []
    for file_id in post.file_ids or list(files):
        info = files.get(file_id)
        kind = _MEDIA.get(((info.mime_type if info else None) or "").partition("/")[0], MessageType.DOCUMENT)
        named = (info.mime_type, info.name, info.size) if info else (None, None, None)
        attachments.append(Attachment(kind, file_id, *named))
    names = ", ".join(clean_filename(one.filename) or one.kind.value for one in attachments)
    text = _without_mention(post.message, us) or (f"[file: {names}]" if attachments else "[empty message]")
    return replace(
        item,
        sender=Sender(post.user_id, is_bot=bot, is_self=ours),
        text=text,
        message_type=attachments[0].kind if attachments else MessageType.TEXT,
        attachments=tuple(attachments),
        ignored="our own message" if ours else "written by another bot" if bot else None,
    )


def _names_us(text: str, us: Ourselves) -> bool:
    return us.username is not None and us.username.lower() in {
        found.lower().rstrip("._-") for found in _MENTION.findall(text)
    }


def _without_mention(text: str, us: Ourselves) -> str:
    """Take a leading mention of us away: it is an address, not content."""
    if us.username is None:
        return text
    return re.sub(rf"^\s*@{re.escape(us.username)}(?![\w-])[\s,:]*", "", text, flags=re.IGNORECASE) or text


def _post_of(heard: _Heard) -> Post:
    return Post.model_validate(decode_object(heard.data.post or ""))


def _posted(heard: _Heard) -> InboundEvent:
    post = _post_of(heard)
    known = ChannelContext(
        "", {}, {"groups": "all"} if heard.us.all_in_groups else {},
        {name: value for name, value in (("id", heard.us.id), ("username", heard.us.username)) if value is not None},
    )  # fmt: skip
    mentioned = heard.us.id is not None and f'"{heard.us.id}"' in (heard.data.mentions or "")
    direct = heard.data.channel_type == "D"
    item = read_post(post, known, heard.received_at, direct=direct, mentioned=mentioned)
    name = (heard.data.sender_name or "").removeprefix("@") or None
    return replace(item, sender=replace(item.sender, username=name))


def _edited(heard: _Heard) -> InboundEvent:
    """An edit. A link's preview comes as one too, with `edit_at` 0 and an unchanged text."""
    post = _post_of(heard)
    place = Place(post.channel_id, post.root_id or None, post.id)
    item = new_item(EventKind.EDIT, f"e:{post.id}:{post.edit_at}", place, post.edit_at, heard.received_at)
    item = replace(_filled(item, post, heard.us), target_message_id=post.id)
    if post.edit_at == 0:
        return replace(item, dedup_key=f"e:{post.id}:0:{post.update_at}", ignored="not an edit of the text")
    return item


def _deleted(heard: _Heard) -> InboundEvent:
    post = _post_of(heard)
    place = Place(post.channel_id, post.root_id or None, post.id)
    item = new_item(EventKind.DELETE, f"d:{post.id}", place, post.delete_at, heard.received_at)
    return replace(item, sender=Sender(post.user_id), target_message_id=post.id)


def _reacted(heard: _Heard) -> InboundEvent:
    return _reaction(heard, "r", taken_back=False)


def _took_back(heard: _Heard) -> InboundEvent:
    return _reaction(heard, "x", taken_back=True)


def _reaction(heard: _Heard, prefix: str, *, taken_back: bool) -> InboundEvent:
    reaction = Reaction.model_validate(decode_object(heard.data.reaction or ""))
    # The same sign can be given and taken back again and again; only its time tells the times apart.
    key = f"{prefix}:{reaction.user_id}:{reaction.post_id}:{reaction.emoji_name}:{reaction.create_at}"
    place = Place(heard.channel, post=reaction.post_id)
    item = new_item(EventKind.REACTION, key, place, 0 if taken_back else reaction.create_at, heard.received_at)
    return replace(
        item,
        sender=Sender(reaction.user_id, is_self=reaction.user_id == heard.us.id),
        text="" if taken_back else f":{reaction.emoji_name}:",
        target_message_id=reaction.post_id,
    )


_READERS: Final[dict[str, Callable[[_Heard], InboundEvent]]] = {
    "posted": _posted,
    "post_edited": _edited,
    "post_deleted": _deleted,
    "reaction_added": _reacted,
    "reaction_removed": _took_back,
}
