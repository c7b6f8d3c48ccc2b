"""A verified Slack body becomes inbound items: Events API, slash commands and interactivity share one address.

Threads: in a channel each message opens a thread, and that thread is the session; a direct chat is one session, and
a thread in it another. Who is spoken to in a channel (`configuration.groups`):
`mentions` (default) answers mentions and replies in threads, `all` answers everything.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final
from urllib.parse import parse_qsl

from pydantic import ValidationError

from adapters.base import ChannelContext, ParsedWebhook, WebhookReply, WebhookRequest
from adapters.foreign import decode_object, digest
from adapters.platform.slack.events import read_event
from adapters.platform.slack.item import Context, Where
from adapters.platform.slack.payloads import Action, Envelope, Interaction
from adapters.platform.slack.sending import LINK_ACTION
from adapters.platform.slack.text import decode
from domain.errors import PayloadError
from domain.message import EventKind, InboundEvent, Sender

_FIELDS_MAX: Final = 200


def parse_body(request: WebhookRequest, channel: ChannelContext) -> ParsedWebhook:
    """Read a body of any of Slack's kinds. Raises PayloadError when it is none of them."""
    context = Context.of(request, channel)
    form = "application/x-www-form-urlencoded" in (request.header("content-type") or "")
    try:
        return _form(context) if form else _envelope(context)
    except ValidationError as error:
        raise PayloadError("the body is not of any kind that Slack documents") from error


def _envelope(context: Context) -> ParsedWebhook:
    envelope = Envelope.model_validate(decode_object(context.request.body))
    if envelope.type == "url_verification":
        if envelope.challenge is None:
            raise PayloadError("a url_verification without its challenge")
        return ParsedWebhook(reply=WebhookReply(envelope.challenge.encode()))
    if envelope.type == "app_rate_limited":
        return ParsedWebhook(events=(_rate_limited(context, envelope),))
    if envelope.type != "event_callback" or envelope.event is None:
        return ParsedWebhook(events=(context.unknown(f"unknown body type: {envelope.type}"[:200]),))
    return ParsedWebhook(events=(read_event(context, envelope, envelope.event),))


def _rate_limited(context: Context, envelope: Envelope) -> InboundEvent:
    minute = envelope.minute_rate_limited
    item = context.item(EventKind.SYSTEM, Where(), None)
    return replace(
        item,
        dedup_key=f"rate_limited:{envelope.team_id}:{minute}",
        ignored="Slack withheld events in this minute: more than 30 000 an hour",
        metadata={"minute_rate_limited": str(minute)},
    )


def _form(context: Context) -> ParsedWebhook:
    try:
        fields = dict(
            parse_qsl(context.request.body.decode("utf-8"), keep_blank_values=True, max_num_fields=_FIELDS_MAX)
        )
    except ValueError as error:
        raise PayloadError("the form cannot be read") from error
    if fields.get("ssl_check") == "1":
        return ParsedWebhook(reply=WebhookReply(b""))
    if "payload" in fields:
        return ParsedWebhook(events=_interaction(context, fields["payload"]))
    if "command" in fields:
        return ParsedWebhook(events=(_command(context, fields),))
    raise PayloadError("a form without a command or a payload")


def _command(context: Context, fields: dict[str, str]) -> InboundEvent:
    """A slash command has no message; in a channel each person has a session of commands of their own."""
    channel, user = fields.get("channel_id", ""), fields.get("user_id", "")
    direct = channel.startswith("D")
    item = context.item(EventKind.COMMAND, Where(channel, direct=direct), None)
    trigger = fields.get("trigger_id")
    key = f"c:{trigger}" if trigger else digest(context.request.body)
    words = f"{fields['command']} {fields.get('text', '')}".strip()
    return replace(
        item,
        dedup_key=key,
        session_key=channel if direct else f"{channel}:{user}",
        sender=Sender(user, fields.get("user_name"), fields.get("user_name")),
        message_id=key,
        text=decode(words, None),
        mentioned_us=not direct,
        metadata={"command": fields["command"]},
    )


def _interaction(context: Context, payload: str) -> tuple[InboundEvent, ...]:
    interaction = Interaction.model_validate(decode_object(payload))
    if interaction.type == "block_actions" and interaction.actions:
        return tuple(_action(context, interaction, index) for index in range(len(interaction.actions)))
    if interaction.type in {"view_submission", "view_closed", "block_suggestion", "shortcut", "message_action"}:
        item = context.item(EventKind.SYSTEM, Where(), None)
        return (replace(item, ignored=f"{interaction.type} interactions are not used"),)
    return (context.unknown(f"unknown interaction: {interaction.type}"[:200]),)


def _action(context: Context, interaction: Interaction, index: int) -> InboundEvent:
    action, container = interaction.actions[index], interaction.container
    channel = interaction.channel.id if interaction.channel else (container.channel_id if container else None) or ""
    message = interaction.message
    ts = (message.ts if message else None) or (container.message_ts if container else None)
    thread = (message.thread_ts if message else None) or (container.thread_ts if container else None)
    where = Where(channel, ts, thread, direct=channel.startswith("D"))
    item = context.item(EventKind.ACTION, where, action.action_ts)
    trigger = interaction.trigger_id
    key = f"a:{trigger}:{index}" if trigger else f"{digest(context.request.body)}:{index}"
    user = interaction.user
    link = action.action_id.startswith(LINK_ACTION)
    return replace(
        item,
        dedup_key=key,
        sender=Sender(user.id, user.name, user.username),
        message_id=key,
        text=_pressed(action),
        raw_index=index,
        target_message_id=ts,
        mentioned_us=not where.direct,
        metadata={"action_id": action.action_id, "value": _value(action)},
        ignored="an address was opened" if link else None,
    )


def _value(action: Action) -> str:
    """Return what a pressed button or a chosen line stands for."""
    return action.value or (action.selected_option.value if action.selected_option else None) or ""


def _pressed(action: Action) -> str:
    """Return the words that the person saw on what they chose."""
    options = [action.selected_option] if action.selected_option else action.selected_options
    chosen = [(option.text.text if option.text else None) or option.value or "" for option in options]
    label = action.text.text if action.text else None
    return ", ".join(filter(None, chosen)) or label or action.value or action.action_id or "[button]"
