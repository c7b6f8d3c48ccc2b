"""Slack's Events API and interactivity bodies, as far as we read them (https://docs.slack.dev/reference/events).

Called by parsing.py. Nearly everything is optional: a new field or kind must never cost a message.
"""

from __future__ import annotations

from pydantic import Field

from adapters.foreign import Foreign


class SlackFile(Foreign):
    """A file in a message."""

    id: str
    name: str | None = None
    mimetype: str | None = None
    subtype: str | None = None
    size: int | None = None


class Edited(Foreign):
    """The mark of a real edit."""

    ts: str | None = None


class Block(Foreign):
    """A legacy attachment: a link's preview, a shared message."""

    fallback: str | None = None
    text: str | None = None


class Item(Foreign):
    """What a reaction is on."""

    channel: str | None = None
    ts: str | None = None


class SlackMessage(Foreign):
    """A message, alone or inside a change."""

    type: str | None = None
    subtype: str | None = None
    user: str | None = None
    bot_id: str | None = None
    text: str | None = None
    ts: str | None = None
    thread_ts: str | None = None
    edited: Edited | None = None
    files: list[SlackFile] = Field(default_factory=list[SlackFile])
    attachments: list[Block] = Field(default_factory=list[Block])


class SlackEvent(SlackMessage):
    """The inner event of an envelope."""

    channel: str | None = None
    channel_type: str | None = None
    event_ts: str | None = None
    deleted_ts: str | None = None
    parent_user_id: str | None = None
    message: SlackMessage | None = None
    previous_message: SlackMessage | None = None
    reaction: str | None = None
    item: Item | None = None


class Envelope(Foreign):
    """The outer body of the Events API."""

    type: str
    team_id: str | None = None
    event_id: str | None = None
    event_time: int | None = None
    challenge: str | None = None
    minute_rate_limited: int | None = None
    event: SlackEvent | None = None


class Named(Foreign):
    """Anything with an id and perhaps a name."""

    id: str = ""
    name: str | None = None
    username: str | None = None


class Words(Foreign):
    """A text object."""

    text: str | None = None


class Option(Foreign):
    """A chosen option of a menu."""

    text: Words | None = None
    value: str | None = None


class Action(Foreign):
    """One pressed button or chosen option."""

    action_id: str = ""
    block_id: str = ""
    action_ts: str | None = None
    value: str | None = None
    text: Words | None = None
    selected_option: Option | None = None
    selected_options: list[Option] = Field(default_factory=list[Option])


class Container(Foreign):
    """Where an interaction happened."""

    message_ts: str | None = None
    thread_ts: str | None = None
    channel_id: str | None = None


class Interaction(Foreign):
    """The JSON in an interactivity body's `payload`."""

    type: str
    team: Named | None = None
    user: Named = Named()
    channel: Named | None = None
    container: Container | None = None
    message: SlackMessage | None = None
    actions: list[Action] = Field(default_factory=list[Action])
    trigger_id: str | None = None
