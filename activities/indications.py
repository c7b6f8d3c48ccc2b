"""Passing signs to a person while their answer is made: read, and "typing" for as long as it lasts.

Best effort beside the turn, in tasks of their own: nothing waits for them, nothing of them is stored or repeated, and a turn that
is quick shows none. Off where `configuration.typing_indicator` is false, while the platform asks the bot to wait, and where the
messages themselves need the room.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import structlog

from activities.attempts import address
from activities.channels import ChannelDesk
from activities.limiter import SendLimiter, place_of
from adapters.base import Indication
from adapters.limits import Verb
from db import message_views
from db.channels import load_channel
from db.session import Database
from domain.errors import PowernodeError
from domain.work import TurnInput

log = structlog.get_logger()

GRACE_S: Final = 0.25
"""How long a turn must last before anything is shown: an answer that is there at once needs no sign of its coming."""

_AT_ONCE: Final = 200
"""How many turns of a process show something at the same time; more show nothing."""


@dataclass
class Indications:
    """One per process."""

    db: Database
    channels: ChannelDesk
    limiter: SendLimiter
    _tasks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    @asynccontextmanager
    async def during(self, turn: TurnInput, *, first: bool) -> AsyncGenerator[None]:
        """Show what the platform has while the block runs. `first`: the turn begins here, so its message was read."""
        can = self.channels.platforms.get(turn.ref.platform).capabilities
        reads = first and can.marks_read
        if (not can.typing_s and not reads) or len(self._tasks) >= _AT_ONCE:
            yield
            return
        ended = asyncio.Event()
        task = asyncio.create_task(self._show(turn, ended, reads=reads))
        self._tasks.add(task)
        task.add_done_callback(self._over)
        try:
            yield
        finally:
            ended.set()

    async def close(self) -> None:
        """Stop showing anything."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("indications.failed", error=type(error).__name__)

    async def _show(self, turn: TurnInput, ended: asyncio.Event, *, reads: bool) -> None:
        await _within(ended, GRACE_S)
        if ended.is_set() and not reads:
            return
        channel_id = UUID(turn.ref.channel_id)
        try:
            async with self.db.account(UUID(turn.ref.account_id)) as conn:
                channel = await load_channel(conn, channel_id)
                reply_to = await message_views.reply_to(conn, UUID(turn.message_ids[-1]))
        except PowernodeError:
            return
        if channel.configuration.get("typing_indicator") is False or reply_to is None:
            return
        if self.limiter.waits_here(channel_id):
            return
        adapter, context = self.channels.open(channel)
        to, can = address(reply_to), adapter.capabilities
        place = place_of(can, context, channel.platform, to.chat, Verb.SIGN)
        if ended.is_set() and await self.limiter.has_room(place):
            await adapter.indicate(context, to, Indication.READ)
        while not ended.is_set():
            if await self.limiter.has_room(place):
                await adapter.indicate(context, to, Indication.TYPING)
            await _within(ended, can.typing_s)


async def _within(ended: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await ended.wait()
