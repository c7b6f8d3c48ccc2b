"""What people do: write, edit, delete, press, react, use commands. Turns a wish of the control API into deliveries.

One place for both platforms; how an update looks is said in telegram_updates.py and slack_events.py. Called by control.py and
batch.py. People and chats are made at first use.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from simulator import slack_events, slack_text, slack_wire, telegram_updates
from simulator.channel import Channel
from simulator.records import Chat, Delivery, Json, Message, Person
from simulator.state import World

SayKind = Literal["message", "edit", "delete", "command", "press", "react", "bot_message", "upgrade", "raw"]


class Say(BaseModel):
    """One thing a person does."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    person: str = Field(alias="as")
    text: str = ""
    chat: str | None = None
    """A group by name or id; None is the private chat with the bot."""
    chat_kind: Literal["group", "supergroup", "channel", "mpim"] | None = None
    thread: str | None = None
    reply_to: str | None = None
    at: float | None = None
    """The platform's time of the event, seconds since 1970; None is now."""
    event_id: str | None = None
    mention: bool = False
    bot: bool = False
    kind: SayKind = "message"
    """upgrade: a group becomes a supergroup, with an id of its own."""
    target: str | None = None
    """The message that is edited, deleted, pressed or reacted to."""
    payload: Json | None = None
    """raw: the event (Slack) or {kind: content} (Telegram); press: Slack's action."""


class ImpossibleError(ValueError):
    """A person cannot do that."""


@dataclass(slots=True)
class Done:
    """What a wish became. No deliveries: the platform does not tell the bot about it."""

    channel: Channel
    chat: Chat
    person: Person
    message: Message | None = None
    deliveries: list[Delivery] = field(default_factory=list[Delivery])


def act(world: World, channel: Channel, say: Say, origin: str) -> Done:
    """Do it in the world and return what must be delivered. Raises ImpossibleError."""
    person = channel.person(say.person)
    if say.bot and not person.is_bot:
        person.is_bot = True
        world.save_person(channel, person)
    chat = channel.private_chat(person) if say.chat is None else channel.group_chat(say.chat, say.chat_kind)
    world.join(channel, chat, person)
    done = Done(channel, chat, person)
    if say.kind in {"message", "bot_message"}:
        _write(world, done, say)
    elif say.kind == "raw":
        _raw(done, say)
    elif say.kind == "command":
        _command(world, done, say, origin)
    elif say.kind == "upgrade":
        _upgrade(world, done)
    else:
        _touch(world, done, say, origin)
    return done


def _write(world: World, done: Done, say: Say) -> None:
    channel, chat = done.channel, done.chat
    slack = channel.platform == "slack"
    text = (slack_events if slack else telegram_updates).mention(channel, say.text) if say.mention else say.text
    message_id = channel.new_message_id(chat, say.at)
    done.message = message = Message(
        chat=chat.id,
        id=message_id,
        author=done.person.name,
        from_bot=False,
        text=slack_text.visible(text) if slack else text,
        source=slack_text.escaped(text) if slack else text,
        at=float(message_id) if slack else say.at or time.time(),
        thread=say.thread,
        reply_to=say.reply_to,
        entities=[] if slack else telegram_updates.entities(text),
        subtype="bot_message" if say.kind == "bot_message" else None,
    )
    world.save_message(channel, message)
    done.deliveries = (slack_events if slack else telegram_updates).written(channel, chat, message, say.event_id)


def _touch(world: World, done: Done, say: Say, origin: str) -> None:
    message = done.channel.message(done.chat.id, say.target or "")
    if message is None:
        raise ImpossibleError(f"there is no message {say.target!r} in this chat")
    done.message = message
    if say.kind == "edit":
        _edit(world, done, say, message)
    elif say.kind == "delete":
        _delete(world, done, say, message)
    elif say.kind == "react":
        events = slack_events if done.channel.platform == "slack" else telegram_updates
        done.deliveries = events.reacted(done.channel, done.chat, done.person, message, say.text)
    elif done.channel.platform == "slack":
        action = say.payload or {"action_id": say.text, "value": say.text}
        done.deliveries = slack_events.pressed(
            done.channel, done.chat, done.person, message, action=action, origin=origin
        )
    else:
        done.deliveries = telegram_updates.pressed(done.channel, done.chat, done.person, message, say.text)


def _edit(world: World, done: Done, say: Say, message: Message) -> None:
    channel = done.channel
    if channel.platform == "slack":
        before = slack_wire.message_object(channel, message)
        message.text, message.source = slack_text.visible(say.text), slack_text.escaped(say.text)
        message.edited_at = say.at or time.time()
        done.deliveries = slack_events.edited(channel, done.chat, message, before, say.event_id)
    else:
        message.text = message.source = say.text
        message.entities = telegram_updates.entities(say.text)
        message.edited_at = say.at or time.time()
        done.deliveries = telegram_updates.edited(channel, done.chat, message, say.event_id)
    world.save_message(channel, message)


def _delete(world: World, done: Done, say: Say, message: Message) -> None:
    if done.channel.platform == "slack":
        done.deliveries = slack_events.deleted(done.channel, done.chat, message, say.event_id)
    message.deleted = True
    world.save_message(done.channel, message)


def _command(world: World, done: Done, say: Say, origin: str) -> None:
    text = say.text if say.text.startswith("/") else f"/{say.text}"
    if done.channel.platform == "slack":
        done.deliveries = slack_events.command(done.channel, done.chat, done.person, text, origin)
    else:
        _write(world, done, say.model_copy(update={"text": text}))


def _upgrade(world: World, done: Done) -> None:
    channel, old = done.channel, done.chat
    if channel.platform != "telegram" or old.kind != "group":
        raise ImpossibleError("only a group becomes a supergroup")
    name, old.name = old.name, f"{old.name} (before the upgrade)"
    new = channel.group_chat(name, "supergroup")
    new.members, old.moved_to = list(old.members), new.id
    for chat in (old, new):
        world.save_chat(channel, chat)
    done.chat = new
    done.deliveries = telegram_updates.upgraded(channel, old, new, done.person)


def _raw(done: Done, say: Say) -> None:
    payload = say.payload or {}
    if done.channel.platform == "slack":
        done.deliveries = slack_events.raw(done.channel, done.chat, payload, say.event_id)
        return
    for kind, content in payload.items():
        if not isinstance(content, dict):
            raise ImpossibleError("a raw update is {kind: {…}}")
        done.deliveries += telegram_updates.raw(done.channel, done.chat, kind, content, say.event_id)  # pyright: ignore[reportUnknownArgumentType]
