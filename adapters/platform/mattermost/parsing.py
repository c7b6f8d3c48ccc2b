"""What Mattermost posts to us becomes items: outgoing webhooks (public channels only) and slash commands.

Both open a session per person in a channel: neither body names a thread. An outgoing webhook fires for posts by bots
too, our own among them, and does not say so: until our own id is known, nothing is answered.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, cast
from urllib.parse import parse_qsl

from adapters.base import ChannelContext, ParsedWebhook, WebhookRequest
from adapters.foreign import decode_object, digest
from adapters.platform.mattermost.item import Ourselves, Place, new_item
from adapters.platform.mattermost.proof import FIELDS_MAX, FORM
from domain.errors import PayloadError
from domain.message import Attachment, EventKind, InboundEvent, MessageType, Sender

_MILLISECONDS: Final = 10**11
"""A time above this is in milliseconds: JSON bodies have those, forms have seconds."""


def parse_body(request: WebhookRequest, channel: ChannelContext) -> ParsedWebhook:
    """Read a webhook or a command. Raises PayloadError when the body is neither."""
    fields = _fields(request)
    if "command" in fields:
        return ParsedWebhook(events=(_command(request, fields, Ourselves.of(channel)),))
    if "post_id" in fields:
        return ParsedWebhook(events=(_posted(request, fields, Ourselves.of(channel)),))
    raise PayloadError("the body is neither of an outgoing webhook nor of a command")


def _fields(request: WebhookRequest) -> dict[str, str]:
    if request.method == "GET":
        return dict(request.query)
    if FORM in (request.header("content-type") or ""):
        try:
            text = request.body.decode("utf-8")
            return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS_MAX))
        except ValueError as error:
            raise PayloadError("the form cannot be read") from error
    return {name: value for name, value in map(_spelled, decode_object(request.body).items()) if value is not None}


def _spelled(pair: tuple[str, object]) -> tuple[str, str | None]:
    name, value = pair
    if isinstance(value, list):
        return name, ",".join(one for one in cast("list[object]", value) if isinstance(one, str))
    return name, str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None


def _posted(request: WebhookRequest, fields: dict[str, str], us: Ourselves) -> InboundEvent:
    channel, user, post = fields.get("channel_id", ""), fields.get("user_id", ""), fields["post_id"]
    files = [one for one in fields.get("file_ids", "").split(",") if one]
    item = new_item(
        EventKind.MESSAGE,
        f"p:{post}" if post else digest(request.body),
        Place(channel, post=post),
        _milliseconds(fields.get("timestamp", "")),
        request.received_at,
    )
    attachments = tuple(Attachment(MessageType.DOCUMENT, one) for one in files)
    text = _without_address(fields.get("text", ""), fields.get("trigger_word", ""))
    return replace(
        item,
        session_key=f"{channel}:{user}",
        sender=Sender(user, username=fields.get("user_name"), is_self=user == us.id),
        text=text or ("[file]" if len(files) == 1 else f"[{len(files)} files]" if files else "[empty message]"),
        message_type=MessageType.DOCUMENT if files else MessageType.TEXT,
        attachments=attachments,
        mentioned_us=True,
        ignored=_ignored(user, us),
        metadata={"road": "webhook"},
    )


def _ignored(user: str, us: Ourselves) -> str | None:
    if us.id is None:
        return "our own id is not known yet; connect the channel"
    return "our own message" if user == us.id else None


def _without_address(text: str, trigger: str) -> str:
    """Take a leading `@bot` or `!ask` away; a trigger that is a word may be a part of the sentence."""
    if trigger and not trigger[0].isalnum() and text.startswith(trigger):
        return text[len(trigger) :].lstrip(" ,:\n") or text
    return text


def _command(request: WebhookRequest, fields: dict[str, str], us: Ourselves) -> InboundEvent:
    channel, user, trigger = fields.get("channel_id", ""), fields.get("user_id", ""), fields.get("trigger_id")
    # The name of a direct chat is made of both sides' ids.
    direct = "__" in fields.get("channel_name", "")
    root = fields.get("root_id") or None
    key = f"c:{trigger}" if trigger else digest(request.body or repr(sorted(fields.items())).encode())
    item = new_item(EventKind.COMMAND, key, Place(channel, root, direct=direct), 0, request.received_at)
    return replace(
        item,
        session_key=channel if direct else f"{channel}:{user}",
        sender=Sender(user, username=fields.get("user_name"), is_self=user == us.id),
        message_id=key,
        text=f"{fields['command']} {fields.get('text', '')}".strip(),
        mentioned_us=not direct,
        ignored="our own message" if us.id is not None and user == us.id else None,
        metadata={"command": fields["command"]},
    )


def _milliseconds(spelled: str) -> int:
    if not (spelled.isascii() and spelled.isdigit() and len(spelled) <= 15):
        return 0
    number = int(spelled)
    return number if number > _MILLISECONDS else number * 1000
