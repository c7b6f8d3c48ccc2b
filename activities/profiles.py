"""Asks platforms for the names of people whose messages came without one: beside the answer, never before it.

Called by the worker's sweeper. A name that is not told (a permission is missing) leaves the session under the person's id.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from uuid import UUID

import structlog

from activities.channels import ChannelDesk
from activities.dispatch import Dispatcher
from adapters.registry import platform_names
from db import profiles
from db.channels import load_channel
from db.session import Database
from domain.errors import UnavailableError

log = structlog.get_logger()


@dataclass
class Profiles:
    """One per worker."""

    db: Database
    channels: ChannelDesk
    dispatcher: Dispatcher

    async def sweep(self) -> int:
        """Ask for the names that are missing; returns of how many sessions."""
        known = self.channels.platforms
        platforms = [one for one in platform_names() if known.get(one).capabilities.names_apart]
        async with self.db.open() as conn:
            due = await profiles.due(conn, platforms)
        await asyncio.gather(*(self._ask(account_id, session_id) for account_id, session_id in due))
        return len(due)

    async def _ask(self, account_id: UUID, session_id: UUID) -> None:
        async with self.db.account(account_id) as conn:
            taken = await profiles.take(conn, session_id)
            channel = None if taken is None else await load_channel(conn, taken.channel_id)
        if taken is None or channel is None:
            return
        adapter, context = self.channels.open(channel)
        try:
            found = await adapter.profile(context, taken.person)
        except UnavailableError:
            log.info("profile.later", session_id=str(session_id))
            return
        async with self.db.account(account_id) as conn:
            aggregate = await profiles.name(conn, account_id, session_id, found and (found.name or found.username))
        if aggregate is not None:
            self.dispatcher.notify(aggregate)
