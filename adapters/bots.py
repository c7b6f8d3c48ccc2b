"""Whether another bot's words may open a turn. By default not: two bots that answer each other would never end.

`configuration.answer_bots` lets them, up to a cap in each conversation (db/loops.py). While our own ids are not known it lets
nobody: it might be ourselves. Called by the platforms' parsers.
"""

from __future__ import annotations

from typing import Final

from adapters.base import ChannelContext
from domain.message import Sender

OURSELVES: Final = "our own message"
ANOTHER: Final = "written by another bot"


def answers_bots(channel: ChannelContext) -> bool:
    """Return whether the channel wants other bots to be answered."""
    return channel.configuration.get("answer_bots") is True and bool(channel.identity)


def refused_as_bot(sender: Sender, *, answered: bool) -> str | None:
    """Return why what this sender wrote opens no turn, as far as bots are concerned. `answered`: what `answers_bots` said."""
    if sender.is_self:
        return OURSELVES
    return ANOTHER if sender.is_bot and not answered else None
