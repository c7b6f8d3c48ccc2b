"""What people do: write, edit, delete, press, react, use commands. Turns a wish of the control API into deliveries.

One place for all platforms; how a platform tells of it is said by its play (plays.py). Called by control.py and batch.py.
People and chats are made at first use.
"""

from __future__ import annotations

import time

from simulator.channel import Channel
from simulator.choices import find_choice
from simulator.files import new_file, phone_kind
from simulator.plays import PLAYS
from simulator.records import Message
from simulator.state import World
from simulator.wish import Done, ImpossibleError, Say


def act(world: World, channel: Channel, say: Say, origin: str) -> Done:
    """Do it in the world and return what must be delivered. Raises ImpossibleError."""
    say = PLAYS[channel.platform].reach(channel, say)
    person = channel.person(say.person)
    if say.bot and not person.is_bot:
        person.is_bot = True
        world.save_person(channel, person)
    chat = channel.private_chat(person) if say.chat is None else channel.group_chat(say.chat, say.chat_kind)
    world.join(channel, chat, person)
    done = Done(world, channel, chat, person, origin)
    if say.kind in {"message", "bot_message"}:
        _write(done, say)
    elif say.kind == "raw":
        done.deliveries = PLAYS[channel.platform].raw(done, say.payload or {}, say.event_id)
    elif say.kind == "command":
        _command(done, say)
    elif say.kind == "upgrade":
        done.deliveries = PLAYS[channel.platform].upgraded(done)
    else:
        _touch(done, say)
    return done


def _write(done: Done, say: Say) -> None:
    channel, chat, play = done.channel, done.chat, PLAYS[done.channel.platform]
    typed = play.texts(play.mention(channel, say.text) if say.mention else say.text)
    if len(say.files) > play.files_each:
        raise ImpossibleError(f"{channel.platform}: at most {play.files_each} files in a message here")
    message_id = channel.new_message_id(chat, say.at)
    files = [new_file(channel, file, done.origin) for file in say.files]
    done.message = message = Message(
        chat=chat.id,
        id=message_id,
        author=done.person.name,
        from_bot=False,
        text=typed.text,
        source=typed.source,
        at=channel.time_of(message_id, say.at),
        thread=say.thread,
        reply_to=say.reply_to,
        entities=typed.entities,
        subtype="bot_message" if say.kind == "bot_message" else None,
        kind=phone_kind(files),
        files=files,
    )
    done.world.save_message(channel, message)
    done.deliveries = play.written(done, chat, message, say.event_id)


def _touch(done: Done, say: Say) -> None:
    play, message = PLAYS[done.channel.platform], done.channel.message(done.chat.id, say.target or "")
    if message is None:
        raise ImpossibleError(f"there is no message {say.target!r} in this chat")
    done.message = message
    if say.kind == "edit":
        _edit(done, say, message)
    elif say.kind == "delete":
        done.deliveries = play.deleted(done, message, say.event_id)
        message.deleted = True
        done.world.save_message(done.channel, message)
    elif say.kind == "react":
        done.deliveries = play.reacted(done, message, say.text)
        if say.text:
            message.felt.append(say.text)
        done.world.save_message(done.channel, message)
    else:
        done.deliveries = play.pressed(done, message, _meant(message, say))


def _meant(message: Message, say: Say) -> Say:
    """Return a press by its value, where the person said the button's label. A button that opens an address tells nobody."""
    found = find_choice(message, say.text)
    if found is not None and found["value"] is None:
        raise ImpossibleError("this button opens an address")
    return say if found is None else say.model_copy(update={"text": found["value"]})


def _edit(done: Done, say: Say, message: Message) -> None:
    play = PLAYS[done.channel.platform]
    before, typed = play.snapshot(done.channel, message), play.texts(say.text)
    message.reword(typed.text, typed.source, say.at or time.time())
    message.entities = typed.entities
    done.deliveries = play.edited(done, message, before, say.event_id)
    done.world.save_message(done.channel, message)


def _command(done: Done, say: Say) -> None:
    text = say.text if say.text.startswith("/") else f"/{say.text}"
    told = PLAYS[done.channel.platform].command(done, text)
    if told is None:
        _write(done, say.model_copy(update={"text": text}))
    else:
        done.deliveries = told
