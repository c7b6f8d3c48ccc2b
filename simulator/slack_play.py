"""Slack's play: thin, its events are made in slack_events.py.

Webhooks are signed: "v0:{timestamp}:{body}" with HMAC-SHA256 (https://docs.slack.dev/authentication/verifying-requests-from-slack,
platforms.md §4.4), and two more headers say that and why it is tried again (§4.3).
"""

from __future__ import annotations

import hashlib
import hmac
import time

from simulator import slack_events, slack_text, slack_wire
from simulator.channel import Channel
from simulator.play import Play, Texts
from simulator.records import Chat, Credentials, Delivery, Json, Message
from simulator.slack_blocks import pressed_action
from simulator.slack_socket import enveloped
from simulator.wish import Done, Say


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return the value of X-Slack-Signature."""
    base = b"v0:" + timestamp.encode() + b":" + body
    return "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()


class SlackPlay(Play):
    """How Slack acts."""

    ack_s = 3.0

    def secret(self, given: Credentials) -> str:
        return given.signing_secret

    def mention(self, channel: Channel, text: str) -> str:
        return slack_events.mention(channel, text)

    def texts(self, text: str) -> Texts:
        return Texts(slack_text.visible(text), slack_text.escaped(text))

    def told(self, channel: Channel, delivery: Delivery, body: bytes) -> tuple[str, Json] | None:
        # An app in Socket Mode gets no webhooks.
        return enveloped(delivery.content_type, body) if channel.stream.used else None

    def snapshot(self, channel: Channel, message: Message) -> Json:
        return slack_wire.message_object(channel, message)

    def written(self, done: Done, chat: Chat, message: Message, event_id: str | None) -> list[Delivery]:
        return slack_events.written(done.channel, chat, message, event_id)

    def edited(self, done: Done, message: Message, before: Json, event_id: str | None) -> list[Delivery]:
        return slack_events.edited(done.channel, done.chat, message, before, event_id)

    def deleted(self, done: Done, message: Message, event_id: str | None) -> list[Delivery]:
        return slack_events.deleted(done.channel, done.chat, message, event_id)

    def reacted(self, done: Done, message: Message, emoji: str) -> list[Delivery]:
        return slack_events.reacted(done.channel, done.chat, done.person, message, emoji)

    def pressed(self, done: Done, message: Message, say: Say) -> list[Delivery]:
        offered = pressed_action(message.blocks or [], say.text)
        action = say.payload or offered or {"action_id": say.text, "value": say.text}
        return slack_events.pressed(done.channel, done.chat, done.person, message, action=action, origin=done.origin)

    def command(self, done: Done, text: str) -> list[Delivery] | None:
        return slack_events.command(done.channel, done.chat, done.person, text, done.origin)

    def raw(self, done: Done, payload: Json, event_id: str | None) -> list[Delivery]:
        return slack_events.raw(done.channel, done.chat, payload, event_id)

    def headers(
        self, channel: Channel, delivery: Delivery, body: bytes, again: tuple[int, str | None]
    ) -> dict[str, str]:
        timestamp = str(int(time.time()))
        headers = {
            "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
            "X-Slack-Request-Timestamp": timestamp,
            "X-Slack-Signature": signature(channel.webhook.secret, timestamp, body),
        }
        failures, reason = again
        if failures:
            headers |= {"X-Slack-Retry-Num": str(failures), "X-Slack-Retry-Reason": reason or "unknown_error"}
        return headers
