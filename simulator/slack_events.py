"""What happens in Slack, as requests on their way to the app: Events API envelopes, commands, interactivity.

https://docs.slack.dev/apis/events-api (envelope, one event a request), https://docs.slack.dev/interactivity/implementing-slash-commands
(form bodies, not repeated); platforms.md §4.1 to §4.3. A mention makes an `app_mention` in addition to the `message`, with an
event id of its own; direct messages make none. Called by people.py and, for the echoes of the app's own posts, by slack.py.
"""

from __future__ import annotations

import base64
import secrets
import time
import uuid
from urllib.parse import quote, urlencode

import orjson

from simulator import names
from simulator.channel import Channel
from simulator.records import Chat, Delivery, Json, Message, Person
from simulator.slack_wire import channel_type, message_object


def written(channel: Channel, chat: Chat, message: Message, event_id: str | None) -> list[Delivery]:
    """Return the events of a new message: `message`, and `app_mention` where the bot is named in a channel."""
    if not chat.bot_member:
        return []
    event = _in_chat(chat, message_object(channel, message), message.id)
    found = [_event(channel, chat, event, message.id, event_id)]
    if f"<@{channel.bot.user_id}>" in message.source and chat.kind != "private" and not message.from_bot:
        mention = {key: value for key, value in event.items() if key != "channel_type"} | {"type": "app_mention"}
        found.append(_event(channel, chat, mention, message.id, None))
    return found


def edited(channel: Channel, chat: Chat, message: Message, before: Json, event_id: str | None = None) -> list[Delivery]:
    """Return the event of an edit. `before`: the message object as it was."""
    change: Json = {
        "subtype": "message_changed",
        "message": message_object(channel, message),
        "previous_message": before,
    }
    return [_changed(channel, chat, change, message.id, event_id)]


def deleted(channel: Channel, chat: Chat, message: Message, event_id: str | None = None) -> list[Delivery]:
    """Return the event of a deletion; a thread's root with replies becomes a tombstone instead."""
    before = message_object(channel, message)
    if any(reply.thread == message.id and not reply.deleted for reply in channel.messages[chat.id].values()):
        tomb: Json = {"type": "message", "subtype": "tombstone", "hidden": True, "text": "This message was deleted."}
        tomb |= {"ts": message.id, "thread_ts": message.id, "user": "USLACKBOT"}
        change: Json = {"subtype": "message_changed", "message": tomb, "previous_message": before}
        return [_changed(channel, chat, change, message.id, event_id)]
    change = {"subtype": "message_deleted", "deleted_ts": message.id, "previous_message": before}
    return [_changed(channel, chat, change, message.id, event_id)]


def reacted(channel: Channel, chat: Chat, person: Person, message: Message, emoji: str) -> list[Delivery]:
    """Return the event of a reaction. `emoji` is its name without colons."""
    ts = channel.new_ts()
    event: Json = {
        "type": "reaction_added",
        "user": person.user_id,
        "reaction": emoji,
        "item": {"type": "message", "channel": chat.id, "ts": message.id},
        "item_user": channel.bot.user_id if message.from_bot else channel.person(message.author).user_id,
        "event_ts": ts,
    }
    return [_event(channel, chat, event, message.id, None)]


def raw(channel: Channel, chat: Chat, payload: Json, event_id: str | None) -> list[Delivery]:
    """Return an envelope around any event."""
    return [_event(channel, chat, payload, None, event_id)]


def command(channel: Channel, chat: Chat, person: Person, text: str, origin: str) -> list[Delivery]:
    """Return a slash command; the platform does not repeat it."""
    name, _, rest = text.partition(" ")
    form = _person_form(channel, chat, person, origin) | {
        "command": name,
        "text": rest,
        "is_enterprise_install": "false",
    }
    body = urlencode(form).encode()
    return [_delivery(channel, chat, "command", form["trigger_id"], body, form=True)]


def pressed(
    channel: Channel, chat: Chat, person: Person, message: Message, *, action: Json, origin: str
) -> list[Delivery]:
    """Return a pressed button. `action`: at least action_id and value."""
    form = _person_form(channel, chat, person, origin)
    payload: Json = {
        "type": "block_actions",
        "user": {"id": person.user_id, "username": person.name, "name": person.name, "team_id": channel.bot.team_id},
        "api_app_id": channel.bot.app_id,
        "team": {"id": channel.bot.team_id, "domain": "simulated"},
        "channel": {"id": chat.id, "name": chat.name},
        "container": {"type": "message", "message_ts": message.id, "channel_id": chat.id, "is_ephemeral": False},
        "message": message_object(channel, message),
        "trigger_id": form["trigger_id"],
        "response_url": form["response_url"],
        "actions": [{"type": "button", "block_id": "b1", "action_ts": channel.new_ts()} | action],
    }
    body = urlencode({"payload": orjson.dumps(payload).decode()}).encode()
    return [_delivery(channel, chat, "block_actions", form["trigger_id"], body, about=message.id, form=True)]


def handshake(channel: Channel) -> tuple[Delivery, str]:
    """Return the url_verification request and the challenge that must come back."""
    challenge = secrets.token_urlsafe(32)
    body = orjson.dumps({"token": "legacy", "type": "url_verification", "challenge": challenge})
    nowhere = Chat("", "", "private")
    delivery = _delivery(channel, nowhere, "url_verification", challenge[:11], body)
    delivery.retry = False
    return delivery, challenge


def mention(channel: Channel, text: str) -> str:
    """Return the text addressed to the bot."""
    return f"<@{channel.bot.user_id}> {text}"


def _in_chat(chat: Chat, event: Json, ts: str) -> Json:
    return event | {"channel": chat.id, "channel_type": channel_type(chat), "event_ts": ts}


def _changed(channel: Channel, chat: Chat, change: Json, message_id: str, event_id: str | None) -> Delivery:
    ts = channel.new_ts()
    event = _in_chat(chat, {"type": "message", "hidden": True, "ts": ts} | change, ts)
    return _event(channel, chat, event, message_id, event_id)


def _event(channel: Channel, chat: Chat, event: Json, message_id: str | None, event_id: str | None) -> Delivery:
    event_id = event_id or "Ev" + names.slack_id("", uuid.uuid4().hex)
    envelope: Json = {
        "token": "legacy",
        "team_id": channel.bot.team_id,
        "context_team_id": channel.bot.team_id,
        "api_app_id": channel.bot.app_id,
        "event": event,
        "type": "event_callback",
        "event_id": event_id,
        "event_time": int(float(str(event.get("event_ts", time.time())))),
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": channel.bot.team_id,
                "user_id": channel.bot.user_id,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": False,
    }
    kind = str(event.get("subtype") or event.get("type"))
    return _delivery(channel, chat, kind, event_id, orjson.dumps(envelope), about=message_id)


def _person_form(channel: Channel, chat: Chat, person: Person, origin: str) -> dict[str, str]:
    return {
        "token": "legacy",
        "team_id": channel.bot.team_id,
        "team_domain": "simulated",
        "channel_id": chat.id,
        "channel_name": "directmessage" if chat.kind == "private" else chat.name,
        "user_id": person.user_id,
        "user_name": person.name,
        "api_app_id": channel.bot.app_id,
        "response_url": f"{origin}/slack/commands/{quote(channel.name, safe='')}/{chat.id}",
        "trigger_id": f"{int(time.time() * 1000)}.{secrets.token_hex(8)}",
    }


def _delivery(
    channel: Channel, chat: Chat, kind: str, event_id: str, body: bytes, *, about: str | None = None, form: bool = False
) -> Delivery:
    return Delivery(
        id=uuid.uuid4().hex,
        channel=channel.name,
        kind=kind,
        event_id=event_id,
        chat=chat.id or None,
        message_id=about,
        body=base64.b64encode(body).decode(),
        content_type="application/x-www-form-urlencoded" if form else "application/json",
        queue=None,
        copies=1,
        retry=not form,
        created_at=time.time(),
    )
