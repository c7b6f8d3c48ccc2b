"""The inner events of Slack's Events API: messages and their edits, deletes, reactions, the app's own life.

A mention in a channel comes twice, as `message` and as `app_mention`, in any order. Both get the same key and the
same meaning. A channel message that is not addressed to us has a key of its own, so that the refusal of one twin can
never swallow the other: even while our own id is unknown, and a mention in the `message` cannot be told.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from adapters.platform.slack.item import Context, Where
from adapters.platform.slack.payloads import Envelope, SlackEvent, SlackFile, SlackMessage
from adapters.platform.slack.text import decode, mentioned_users
from domain.filenames import clean_filename
from domain.message import Attachment, EventKind, InboundEvent, MessageType, Sender

_WRITTEN: Final = frozenset({None, "file_share", "thread_broadcast", "me_message", "bot_message"})
_LIFECYCLE: Final = frozenset({"app_uninstalled", "tokens_revoked"})
_PASSING: Final = (
    "app_", "assistant_", "bot_", "call_", "channel_", "dnd_", "emoji_", "file_", "function_", "grid_", "group_", "im_",
    "invite_", "link_shared", "member_", "message_metadata_", "pin_", "resources_", "scope_", "shared_channel_",
    "star_", "subteam_", "team_", "url_verification", "user_", "workflow_",
)  # fmt: skip
_MEDIA: Final = {"image": MessageType.IMAGE, "audio": MessageType.AUDIO, "video": MessageType.VIDEO}


def read_event(context: Context, envelope: Envelope, event: SlackEvent) -> InboundEvent:
    """Read one event. What is not known becomes kind `unknown`."""
    if event.type in {"message", "app_mention"}:
        item = _any_message(context, envelope, event)
    elif event.type in {"reaction_added", "reaction_removed"}:
        item = _reaction(context, envelope, event)
    else:
        item = _other(context, envelope, event)
    return replace(item, metadata=item.metadata | ({"event_id": envelope.event_id} if envelope.event_id else {}))


def _where(event: SlackEvent, message: SlackMessage) -> Where:
    channel = event.channel or ""
    direct = event.channel_type in {"im", "app_home"} or (event.channel_type is None and channel.startswith("D"))
    return Where(channel, message.ts, message.thread_ts, direct=direct)


def _any_message(context: Context, envelope: Envelope, event: SlackEvent) -> InboundEvent:
    if event.subtype == "message_changed" and event.message is not None:
        return _changed(context, envelope, event, event.message)
    if event.subtype == "message_deleted":
        original = event.previous_message or SlackMessage()
        return _deleted(context, envelope, event, original, event.deleted_ts or original.ts)
    if event.subtype not in _WRITTEN or event.ts is None:
        item = context.item(EventKind.SYSTEM, _where(event, event), event.event_ts or event.ts)
        return _keyed(replace(item, ignored=f"a system message ({event.subtype})"), envelope, f"{event.subtype}")
    return _written(context, envelope, event)


def _written(context: Context, envelope: Envelope, event: SlackEvent) -> InboundEvent:
    where = _where(event, event)
    item = _filled(context, context.item(EventKind.MESSAGE, where, event.ts), event)
    mentioned = event.type == "app_mention" or _names_us(context, event.text or "")
    addressed_anyway = mentioned or where.direct or context.all_in_groups
    addressed = addressed_anyway or _answers_in_thread(event)
    ignored = item.ignored or (None if addressed else "not addressed to us")
    # Only what opens a turn may take the key that the twin event will come under.
    prefix = "n" if ignored else "m"
    return replace(
        item,
        dedup_key=f"{prefix}:{envelope.team_id}:{where.channel}:{event.ts}",
        mentioned_us=mentioned and not where.direct,
        ignored=ignored,
        metadata=_thread_metadata(context, event, addressed_anyway),
    )


def _names_us(context: Context, text: str) -> bool:
    return context.own_user is not None and context.own_user in mentioned_users(text)


def _answers_in_thread(event: SlackEvent) -> bool:
    """Whether it is a reply in a thread, and not one that calls somebody else."""
    if event.thread_ts is None or event.thread_ts == event.ts:
        return False
    # A mention that is not (or cannot be known to be) ours: if it is ours, the twin event says so.
    return not mentioned_users(event.text or "")


def _thread_metadata(context: Context, event: SlackEvent, addressed_anyway: bool) -> dict[str, str]:
    """Mark a reply that concerns us only where we already take part: no payload says in which threads we do."""
    ours = event.parent_user_id is not None and event.parent_user_id == context.own_user
    return {} if addressed_anyway or ours or not _answers_in_thread(event) else {"only_in_known_session": "true"}


def _filled(context: Context, item: InboundEvent, message: SlackMessage) -> InboundEvent:
    attachments = tuple(_attachment(file) for file in message.files)
    return replace(
        item,
        sender=_sender(context, message),
        text=_words(context, message),
        attachments=attachments,
        message_type=attachments[0].kind if attachments else MessageType.TEXT,
        ignored=_written_by_a_bot(context, message),
    )


def _sender(context: Context, message: SlackMessage) -> Sender:
    ours = (message.user is not None and message.user == context.own_user) or (
        message.bot_id is not None and message.bot_id == context.own_bot
    )
    is_bot = ours or message.bot_id is not None or message.subtype == "bot_message" or message.user == "USLACKBOT"
    return Sender(message.user or message.bot_id or "", is_bot=is_bot, is_self=ours)


def _written_by_a_bot(context: Context, message: SlackMessage) -> str | None:
    sender = _sender(context, message)
    if sender.is_self:
        return "our own message"
    return "written by another bot" if sender.is_bot else None


def _words(context: Context, message: SlackMessage) -> str:
    if message.text:
        # A bare mention is a call without words; it is kept as it was written.
        return decode(message.text, context.own_user) or decode(message.text, None)
    files = ", ".join(f"[file: {clean_filename(file.name) or file.id}]" for file in message.files)
    previews = "\n".join(filter(None, (block.fallback or block.text for block in message.attachments)))
    return files or decode(previews, None) or "[message without text]"


def _attachment(file: SlackFile) -> Attachment:
    clip = {"slack_audio": MessageType.AUDIO, "slack_video": MessageType.VIDEO}.get(file.subtype or "")
    kind = clip or _MEDIA.get((file.mimetype or "").partition("/")[0], MessageType.DOCUMENT)
    return Attachment(kind, file.id, file.mimetype, file.name, file.size)


def _changed(context: Context, envelope: Envelope, event: SlackEvent, message: SlackMessage) -> InboundEvent:
    if message.subtype == "tombstone":
        return _deleted(context, envelope, event, event.previous_message or message, message.ts)
    item = _filled(context, context.item(EventKind.EDIT, _where(event, message), event.event_ts or event.ts), message)
    before = event.previous_message
    same_mark = before is not None and before.edited == message.edited
    if message.edited is None or same_mark or (before is not None and before.text == message.text):
        # A link's preview, a reply count or a pin: what the person wrote is the same.
        item = replace(item, ignored=item.ignored or "the text did not change")
        return _keyed(item, envelope, f"changed:{event.event_ts or event.ts}")
    return replace(
        item,
        dedup_key=f"edit:{envelope.team_id}:{event.channel}:{message.ts}:{message.edited.ts}",
        target_message_id=message.ts,
    )


def _deleted(
    context: Context, envelope: Envelope, event: SlackEvent, original: SlackMessage, ts: str | None
) -> InboundEvent:
    where = replace(_where(event, original), ts=ts)
    item = context.item(EventKind.DELETE, where, event.event_ts or event.ts)
    return replace(
        item,
        dedup_key=f"delete:{envelope.team_id}:{event.channel}:{ts}",
        sender=_sender(context, original),
        target_message_id=ts,
    )


def _reaction(context: Context, envelope: Envelope, event: SlackEvent) -> InboundEvent:
    on = event.item
    channel = (on.channel if on else None) or ""
    where = Where(channel, on.ts if on else None, direct=channel.startswith("D"))
    item = replace(
        context.item(EventKind.REACTION, where, event.event_ts),
        sender=_sender(context, event),
        text=f":{event.reaction or ''}:",
        target_message_id=where.ts,
        metadata={"removed": "true"} if event.type == "reaction_removed" else {},
    )
    return _keyed(item, envelope, f"{event.type}:{where.ts}:{event.user}:{event.reaction}")


def _other(context: Context, envelope: Envelope, event: SlackEvent) -> InboundEvent:
    kind = event.type or "none"
    item = context.item(EventKind.SYSTEM, Where(), event.event_ts)
    if kind in _LIFECYCLE:
        item = replace(item, text=kind, ignored="the app was removed", metadata={"lifecycle": kind})
    elif kind.startswith(_PASSING):
        item = replace(item, ignored=f"{kind} events are not used")
    else:
        item = replace(item, kind=EventKind.UNKNOWN, text=f"unknown event: {kind}"[:200])
    return _keyed(item, envelope, "")


def _keyed(item: InboundEvent, envelope: Envelope, otherwise: str) -> InboundEvent:
    """Give an item its envelope's id as key; without one, what it says (`otherwise`) or the body's digest."""
    if envelope.event_id:
        return replace(item, dedup_key=f"e:{envelope.event_id}")
    return replace(item, dedup_key=f"{item.dedup_key}:{otherwise}") if otherwise else item
