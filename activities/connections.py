"""Holding a channel's socket: one activity for as long as it lasts, so that Temporal is the lease and the failover.

What is heard enters by the same door as a webhook (activities/intake.py). A position is kept only after its items are
stored, and only by the newest holder: a worker that was thought dead changes nothing when it wakes.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.channels import ChannelDesk
from activities.heartbeat import heartbeating
from activities.intake import Intake
from activities.queues import TaskQueues
from adapters.base import PlatformAdapter
from adapters.connectors import Connector, Connectors, ConnectorStoppedError, Heard, has_socket
from db import connections
from db.channels import ChannelRow, load_channel
from db.connections import Lease, LeaseLostError
from db.credentials import CredentialKeyError
from db.ingest import ChannelChangedError, RawWebhook
from db.session import Database
from domain.channel import ChannelStatus
from domain.connection import ChannelRef, ConnectionEnd, ConnectionPlan, ConnectionState
from domain.errors import NotFoundError, UnavailableError

log = structlog.get_logger()

KEPT_EVERY_S: Final = 1.0
"""Positions lag by so much at most, in chats that are known. What is heard again after a failover is stored once all the same (ONCE-IN)."""
SHOWN_EVERY_S: Final = 15.0
LARGEST_PAUSE_S: Final = 5.0
_UNREADABLE: Final = "The stored credentials cannot be read any more; enter them again"


@dataclass
class ConnectionActivities:
    """What workflows/connection.py calls."""

    db: Database
    channels: ChannelDesk
    intake: Intake
    connectors: Connectors
    queues: TaskQueues

    @activity.defn
    async def load_connection(self, ref: ChannelRef) -> ConnectionPlan:
        """Say whether a channel is to have a connection. Timeout/retry: 10 s, until Postgres answers."""
        try:
            async with self.db.account(UUID(ref.account_id)) as conn:
                channel = await load_channel(conn, UUID(ref.channel_id))
        except NotFoundError:
            return ConnectionPlan(wanted=False, queue=self.queues.connectors)
        wanted = channel.status != ChannelStatus.DISCONNECTED and channel.credentials is not None
        return ConnectionPlan(wanted and has_socket(channel.platform, channel.configuration), self.queues.connectors)

    @activity.defn
    async def hold_connection(self, ref: ChannelRef) -> ConnectionEnd:
        """Hold a channel's socket until the platform refuses it, the workflow cancels, or the worker stops.

        Timeout/retry: heartbeat 5 s, no time-out, for ever: whoever takes over goes on from the kept position.
        """
        account_id, channel_id = UUID(ref.account_id), UUID(ref.channel_id)
        # A worker that stood still may begin an attempt long after it was replaced: the server's time of each attempt
        # tells which is the newest, over workflows too.
        fence = int(activity.info().current_attempt_scheduled_time.timestamp() * 1_000_000)
        async with heartbeating():
            try:
                async with self.db.account(account_id) as conn:
                    channel = await load_channel(conn, channel_id)
                    lease = await connections.take(conn, channel_id, fence)
                return await _Holding(self, channel, lease, self.connectors.make(channel.platform)).hold()
            except LeaseLostError as error:
                raise ApplicationError("another worker holds the connection", type="LeaseLost") from error


@dataclass
class _Holding:
    """One lease in use."""

    desk: ConnectionActivities
    channel: ChannelRow
    lease: Lease
    connector: Connector
    kept: Mapping[str, str] | None = None
    position: Mapping[str, str] | None = None
    moved: asyncio.Event = field(default_factory=asyncio.Event)
    state: ConnectionState = ConnectionState.CONNECTING

    async def hold(self) -> ConnectionEnd:
        """Listen, and keep the position, until either ends or the worker stops. Raises LeaseLostError."""
        listening = asyncio.create_task(self._listen())
        keeping = asyncio.create_task(self._keep())
        stopping = asyncio.create_task(activity.wait_for_worker_shutdown())
        try:
            await asyncio.wait({listening, keeping, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (listening, keeping, stopping):
                task.cancel()
            # The socket is closed when this is over, and not before: another may be opened by then.
            ended = await asyncio.gather(listening, keeping, return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception):
                raise error
        if isinstance(ended[0], ConnectionEnd):
            return ended[0]
        await self._save()
        raise ApplicationError("this worker stops; another takes the connection over", type="WorkerStopping")

    async def _listen(self) -> ConnectionEnd:
        try:
            adapter, context = self.desk.channels.open(self.channel)
        except CredentialKeyError:
            return await self._refused(_UNREADABLE)
        try:
            async for heard in self.connector.run(context, self.lease.position):
                await self._stand(heard)
                if heard.events:
                    await self._take_in(adapter, heard)
                await self._move(heard.position)
        except ConnectorStoppedError as error:
            return await self._refused(error.message)
        raise ApplicationError("the connector ended by itself", type="ConnectorEnded")

    async def _take_in(self, adapter: PlatformAdapter, heard: Heard) -> None:
        """Store what was heard, however long Postgres is away: the platform will not say it again."""
        raw, pause_s = RawWebhook(heard.raw, {}, secrets.token_hex(8)), 0.2
        while True:
            try:
                await self.desk.intake.take(self.channel, adapter, raw, heard.events)
            except ChannelChangedError:
                await self._reload()
            except UnavailableError:
                log.warning("connection.cannot_store", channel_id=str(self.channel.id))
                await asyncio.sleep(pause_s)
                pause_s = min(LARGEST_PAUSE_S, pause_s * 2)
            else:
                return

    async def _reload(self) -> None:
        async with self.desk.db.account(self.channel.account_id) as conn:
            self.channel = await load_channel(conn, self.channel.id)

    async def _move(self, position: Mapping[str, str]) -> None:
        """Go on to a position. One that knows of a new chat is kept at once: what is not known is not read back."""
        known, self.position = self.kept or {}, position
        if position.keys() <= known.keys():
            self.moved.set()
            return
        try:
            await self._save()
        except UnavailableError:
            self.moved.set()

    async def _keep(self) -> None:
        while True:
            try:
                async with asyncio.timeout(SHOWN_EVERY_S):
                    await self.moved.wait()
            except TimeoutError:
                pass
            self.moved.clear()
            try:
                await self._save()
            except UnavailableError:
                self.moved.set()
            await asyncio.sleep(KEPT_EVERY_S)

    async def _save(self) -> None:
        position = self.position
        async with self.desk.db.account(self.channel.account_id) as conn:
            await connections.keep(conn, self.lease, None if position == self.kept else position)
        self.kept = position

    async def _stand(self, heard: Heard) -> None:
        """Say how the connection stands when that changes: lost is not yet worth a word on the channel, lost again is."""
        if heard.trouble is None:
            if heard.whole and self.state is not ConnectionState.CONNECTED:
                await self._mark(ConnectionState.CONNECTED, ChannelStatus.CONNECTED)
            return
        status = None if self.state is ConnectionState.CONNECTED else ChannelStatus.CONNECTING
        await self._mark(ConnectionState.LOST, status, heard.trouble)

    async def _refused(self, words: str) -> ConnectionEnd:
        await self._mark(ConnectionState.REFUSED, ChannelStatus.ERROR, words)
        return ConnectionEnd(words)

    async def _mark(self, state: ConnectionState, status: ChannelStatus | None, error: str | None = None) -> None:
        async with self.desk.db.account(self.channel.account_id) as conn:
            aggregate = await connections.mark(
                conn, self.channel.account_id, self.lease, state, status=status, error=error
            )
        self.state = state
        log.info("connection.stands", channel_id=str(self.channel.id), state=state.value, error=error)
        if aggregate is not None:
            self.desk.intake.dispatcher.notify(aggregate)
