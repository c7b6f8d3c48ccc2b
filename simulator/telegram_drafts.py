"""Drafts: a bot's message that is still being written, seen in a private chat for 30 seconds or until the message comes.

https://core.telegram.org/bots/api#sendmessagedraft. Shown by phone.py beside the messages; never a message itself. What each draft
said is logged with the kind `draft`.
"""

from __future__ import annotations

import time
from typing import Final

from simulator.args import Args
from simulator.channel import Channel
from simulator.records import Chat, Draft, Message
from simulator.state import World
from simulator.telegram_rules import RefusedError, read_text

SHOWN_S: Final = 30.0


def draft(world: World, channel: Channel, chat: Chat, args: Args) -> None:
    """Show or change a draft. Raises RefusedError."""
    number = args.number("draft_id")
    if chat.kind != "private":
        raise RefusedError(400, "Bad Request: TEXTDRAFT_PEER_INVALID")
    if not number:
        raise RefusedError(400, "Bad Request: draft_id must be non-zero")
    parsed = read_text(args)
    now = time.time()
    channel.drafts[chat.id] = Draft(str(number), parsed.text, now, now + SHOWN_S)
    seen = Message(chat.id, f"draft-{number}", channel.bot.title, True, parsed.text, args.text("text") or "", now)
    world.note_received(channel, "draft", seen)
