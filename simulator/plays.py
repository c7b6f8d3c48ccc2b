"""The platforms that can be played: name → behaviour. Adding one is a line here, its ids in names.py and its API."""

from __future__ import annotations

from typing import Final

from simulator.channel import Channel
from simulator.discord_play import DiscordPlay
from simulator.mattermost_play import MattermostPlay
from simulator.play import Play
from simulator.records import Delivery
from simulator.slack_play import SlackPlay
from simulator.telegram_play import TelegramPlay
from simulator.whatsapp_play import WhatsAppPlay

PLAYS: Final[dict[str, Play]] = {
    "telegram": TelegramPlay(),
    "slack": SlackPlay(),
    "whatsapp": WhatsAppPlay(),
    "mattermost": MattermostPlay(),
    "discord": DiscordPlay(),
}


def signed(
    channel: Channel, delivery: Delivery, body: bytes, again: tuple[int, str | None] = (0, None)
) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body of one attempt, signed anew."""
    play = PLAYS[channel.platform]
    sealed = play.seal(channel, body)
    return {"Content-Type": delivery.content_type} | play.headers(channel, delivery, sealed, again), sealed
