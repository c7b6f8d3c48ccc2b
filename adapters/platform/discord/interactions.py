"""What Discord posts to us becomes items and the answer that it wants within three seconds.

Interactions: a command is answered at once with the person's own words as a quote (others see only its name), then by
the bot's ordinary messages, which have a nonce; answers over the interaction's token have none, and the token dies after
15 minutes. A pressed button or a sent form is acknowledged without a sign. Webhook events are no messages: kept, not used.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Final

from pydantic import ValidationError

from adapters.base import ChannelContext, ParsedWebhook, WebhookReply, WebhookRequest
from adapters.foreign import decode_object, digest
from adapters.platform.discord.content import label_of, read_content
from adapters.platform.discord.item import Ourselves, Place, answering, new_item, sender_of, snowflake
from adapters.platform.discord.payloads import Argument, Button, Chosen, Interaction
from domain.errors import PayloadError
from domain.message import EventKind, InboundEvent, Sender

_PING, _COMMAND, _COMPONENT, _AUTOCOMPLETE, _FORM = 1, 2, 3, 4, 5
_SILENT_ACK: Final = {"type": 6}
_QUOTE_MAX: Final = 1800
_NOTHING_MORE: Final = WebhookReply(b"", status=204)


def parse_body(request: WebhookRequest, channel: ChannelContext) -> ParsedWebhook:
    """Read an interaction or a webhook event. Raises PayloadError when the body is neither."""
    raw = decode_object(request.body)
    if raw.get("type") == 0 and "event" not in raw:
        return ParsedWebhook(reply=_NOTHING_MORE)
    if "event" in raw:
        return ParsedWebhook(events=(_webhook_event(request, raw),), reply=_NOTHING_MORE)
    if raw.get("type") == _PING:
        return ParsedWebhook(reply=_json({"type": 1}))
    try:
        interaction = Interaction.model_validate(raw)
    except ValidationError as error:
        raise PayloadError("the body is not of a kind that Discord documents") from error
    return _interaction(request, interaction, Ourselves.of(channel))


def _interaction(request: WebhookRequest, interaction: Interaction, us: Ourselves) -> ParsedWebhook:
    chosen = interaction.data or Chosen()
    if interaction.type == _AUTOCOMPLETE:
        # One for every key pressed: nothing is said yet.
        return ParsedWebhook(reply=_json({"type": 8, "data": {"choices": []}}))
    item = _item(request, interaction, us)
    if interaction.type == _COMMAND:
        text = _command_text(chosen)
        item = replace(item, kind=EventKind.COMMAND, text=text, metadata={"command": chosen.name or ""})
        return ParsedWebhook(events=(item,), reply=_json(_quoted(text)))
    if interaction.type == _COMPONENT:
        return ParsedWebhook(events=(_pressed(item, interaction, chosen),), reply=_json(_SILENT_ACK))
    if interaction.type == _FORM:
        text = "\n".join(_filled(chosen.components)) or "[form]"
        item = replace(item, text=text, metadata={"custom_id": chosen.custom_id or ""})
        return ParsedWebhook(events=(item,), reply=_json(_SILENT_ACK if interaction.message else _quoted(text)))
    unknown = replace(item, kind=EventKind.UNKNOWN, text=f"unknown kind of interaction: {interaction.type}"[:200])
    return ParsedWebhook(events=(unknown,))


def _item(request: WebhookRequest, interaction: Interaction, us: Ourselves) -> InboundEvent:
    member = interaction.member
    user = (member.user if member else None) or interaction.user
    place = Place(interaction.channel_id or "", interaction.guild_id, user.id if user else "")
    number = snowflake(interaction.id)
    item = new_item(EventKind.ACTION, f"i:{interaction.id}", number, place, request.received_at)
    return replace(item, sender=sender_of(user, member, us), mentioned_us=item.is_group)


def _pressed(item: InboundEvent, interaction: Interaction, chosen: Chosen) -> InboundEvent:
    message = interaction.message
    text = label_of(message.components if message else [], chosen.custom_id, chosen.values)
    value = ", ".join(chosen.values) or chosen.custom_id or ""
    metadata = {"custom_id": chosen.custom_id or "", "value": value}
    item = replace(item, text=text, metadata=metadata)
    return item if message is None else replace(answering(item, message.id), target_message_id=message.id)


def _command_text(chosen: Chosen) -> str:
    """Return what was asked: the words alone where a command takes one text, else the command as it was typed."""
    if chosen.target_id is not None and chosen.resolved is not None:
        message = chosen.resolved.messages.get(chosen.target_id)
        if message is not None:
            return f"/{chosen.name}\n{read_content(message).text}"
    if len(chosen.options) == 1 and isinstance(chosen.options[0].value, str) and chosen.options[0].value.strip():
        return chosen.options[0].value
    return " ".join([f"/{chosen.name or 'command'}", *_words(chosen.options)])


def _words(options: list[Argument]) -> list[str]:
    found: list[str] = []
    for option in options:
        found += [option.name, *_words(option.options)] if option.value is None else [f"{option.name}: {option.value}"]
    return found


def _filled(components: list[Button]) -> list[str]:
    found: list[str] = []
    for component in components:
        found += [component.value] if component.value else []
        found += _filled(component.components)
    return found


def _quoted(text: str) -> dict[str, object]:
    lines = text[:_QUOTE_MAX].splitlines() or [""]
    content = "\n".join(f"> {line}" for line in lines)[:2000]
    return {"type": 4, "data": {"content": content, "allowed_mentions": {"parse": []}, "flags": 4}}


def _webhook_event(request: WebhookRequest, raw: dict[str, object]) -> InboundEvent:
    event = raw.get("event")
    kind = str(event.get("type")) if isinstance(event, dict) else "?"  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    item = new_item(EventKind.SYSTEM, digest(request.body), None, Place("", None, ""), request.received_at)
    return replace(item, sender=Sender(""), text=kind[:200], ignored=f"{kind} events are not used"[:200])


def _json(body: object) -> WebhookReply:
    return WebhookReply(json.dumps(body).encode(), "application/json")
