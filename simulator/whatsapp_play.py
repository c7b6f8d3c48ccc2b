"""What people do in WhatsApp, as webhooks of the Cloud API; and the receipts for what the business sent.

Bodies after developers.facebook.com, *WhatsApp Cloud API, Webhooks* (platforms.md §1.1 to §1.3); signed with HMAC-SHA256 of
the raw body (§1.5); repeated for seven days (§1.4). Edits and deletions are messages with ids of their own.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time

import orjson

from simulator import names
from simulator.channel import Channel
from simulator.choices import find_choice
from simulator.deliveries import About, new_delivery
from simulator.file_wire import whatsapp_content
from simulator.play import Play
from simulator.records import Chat, Credentials, Delivery, Json, Message, Person
from simulator.schedule import NOTICE_LIFE_S
from simulator.wish import Done, Say

FAILURES = {
    131026: "Message undeliverable",
    131047: "Re-engagement message",
}
"""Codes of receipts that say `failed`."""


def signature(secret: str, body: bytes) -> str:
    """Return the value of X-Hub-Signature-256."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


class WhatsAppPlay(Play):
    """How WhatsApp acts."""

    ack_s = 20.0
    files_each = 1

    def secret(self, given: Credentials) -> str:
        return given.app_secret

    def mention(self, channel: Channel, text: str) -> str:
        return f"@{channel.bot.user_id} {text}"

    def written(self, done: Done, chat: Chat, message: Message, event_id: str | None) -> list[Delivery]:
        said: Json = {"type": "text", "text": {"body": message.source}}
        if message.files:
            said = whatsapp_content(message)
        return [_message(done, said | _context(done.channel, message), message.id, message.at)]

    def edited(self, done: Done, message: Message, before: Json, event_id: str | None) -> list[Delivery]:
        new: Json = {"type": "text", "text": {"body": message.source}}
        edit: Json = {"type": "edit", "edit": {"original_message_id": message.id, "message": new}}
        return [_message(done, edit, None, message.edited_at)]

    def deleted(self, done: Done, message: Message, event_id: str | None) -> list[Delivery]:
        return [_message(done, {"type": "revoke", "revoke": {"original_message_id": message.id}})]

    def reacted(self, done: Done, message: Message, emoji: str) -> list[Delivery]:
        return [_message(done, {"type": "reaction", "reaction": {"message_id": message.id, "emoji": emoji}})]

    def pressed(self, done: Done, message: Message, say: Say) -> list[Delivery]:
        found = find_choice(message, say.text)
        reply = {"id": say.text, "title": found["label"] if found else say.text} | (say.payload or {})
        kind = message.subtype or "button_reply"
        pressed: Json = {"type": "interactive", "interactive": {"type": kind, kind: reply}}
        pressed["context"] = {"from": done.channel.bot.user_id, "id": message.id}
        return [_message(done, pressed)]

    def renumbered(self, done: Done, number: str) -> list[Delivery]:
        person = done.person
        before, id_before = _number(person), user_id(person)
        person.number = number
        changed: Json = {"previous": id_before, "current": user_id(person)}
        update: Json = {"user_id": changed, "timestamp": str(int(time.time()))} | _shown(person, "wa_id")
        made = About("user_id_update", f"{id_before}:{user_id(person)}", done.chat.id)
        told = [
            _notice(done.channel, made, _value(done.channel) | {"user_id_update": [update]}, field="user_id_update")
        ]
        if person.number_hidden:
            return told
        words = f"{person.name} changed from {before} to {number}"
        system: Json = {"type": "user_changed_number", "body": words, "wa_id": number}
        message: Json = {"from": before, "from_user_id": id_before, "id": done.channel.new_message_id(done.chat, None)}
        message |= {"timestamp": str(int(time.time())), "type": "system", "system": system}
        about = About("system", str(message["id"]), done.chat.id)
        return [_notice(done.channel, about, _value(done.channel) | {"messages": [message]}), *told]

    def raw(self, done: Done, payload: Json, event_id: str | None) -> list[Delivery]:
        value = _value(done.channel) | payload
        return [_notice(done.channel, About("raw", event_id or secrets.token_hex(8), done.chat.id), value)]

    def headers(
        self, channel: Channel, delivery: Delivery, body: bytes, again: tuple[int, str | None]
    ) -> dict[str, str]:
        proof = {"X-Hub-Signature-256": signature(channel.webhook.secret, body)}
        return {"User-Agent": "facebookexternalua", "Accept": "*/*"} | proof


def receipt(channel: Channel, message: Message, status: str, code: int | None = None) -> Delivery:
    """Return a receipt for a message of the business; what was sent along with it comes back. `code`: why it failed."""
    nonce = (message.metadata or {}).get("biz_opaque_callback_data")
    told: Json = {
        "id": message.id,
        "status": status,
        "timestamp": str(int(time.time())),
        "recipient_id": message.chat,
    }
    if nonce is not None:
        told["biz_opaque_callback_data"] = nonce
    if code is not None:
        title = FAILURES.get(code, "Failed")
        told["errors"] = [{"code": code, "title": title, "message": title, "error_data": {"details": title}}]
    value = _value(channel) | {"statuses": [told]}
    about = About(f"status_{status}", f"{message.id}:{status}", message.chat, message.id)
    return _notice(channel, about, value, queue=f"receipts {message.id}")


def user_id(person: Person) -> str:
    """Return the id that stands beside a person's number, or alone; it changes with the number (*Business-scoped user ids*)."""
    return names.scoped_user_id(_number(person))


def _number(person: Person) -> str:
    return person.number or person.user_id


def _shown(person: Person, key: str) -> Json:
    """Return the person's number under a key, where it may be seen."""
    return {} if person.number_hidden else {key: _number(person)}


def reached(channel: Channel, name: str) -> Person | None:
    """Return who has this number or user id now. A number that was given up reaches nobody."""
    return next((one for one in channel.people.values() if name in {_number(one), user_id(one)}), None)


def _context(channel: Channel, message: Message) -> Json:
    if message.reply_to is None:
        return {}
    replied = channel.message(message.chat, message.reply_to)
    ours = replied is not None and replied.from_bot
    author = channel.bot.user_id if ours or replied is None else channel.person(replied.author).user_id
    return {"context": {"from": author, "id": message.reply_to}}


def _message(done: Done, content: Json, message_id: str | None = None, at: float | None = None) -> Delivery:
    channel, person = done.channel, done.person
    made = message_id or channel.new_message_id(done.chat, None)
    message: Json = {"id": made, "timestamp": str(int(at or time.time()))} | _shown(person, "from") | content
    message["from_user_id"] = user_id(person)
    if done.chat.kind != "private":
        message["group_id"] = done.chat.id
    contact: Json = {"profile": {"name": person.name}, "user_id": user_id(person)} | _shown(person, "wa_id")
    value = _value(channel) | {"contacts": [contact], "messages": [message]}
    return _notice(channel, About(str(content["type"]), made, done.chat.id, message_id), value)


def _value(channel: Channel) -> Json:
    numbers = {"display_phone_number": channel.bot.user_id, "phone_number_id": channel.bot.bot_id}
    return {"messaging_product": "whatsapp", "metadata": numbers}


def _notice(channel: Channel, about: About, value: Json, queue: str | None = None, field: str = "messages") -> Delivery:
    entry: Json = {"id": channel.bot.team_id, "changes": [{"value": value, "field": field}]}
    body = orjson.dumps({"object": "whatsapp_business_account", "entry": [entry]})
    return new_delivery(channel, about, body, queue=queue, lifetime_s=NOTICE_LIFE_S)
