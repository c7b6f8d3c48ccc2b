"""A placeholder becomes the reply, or goes: what previews.py has shown while the reply was made, and a dead worker left.

Its id is in Postgres from right after the send, so it is found again. Where that send was not answered, the platform is asked, or
its nonce makes a repeat safe; where neither tells, the reply is sent anew and says what may be left. Changing a message twice
changes nothing, so an edit whose answer was lost is repeated like one that was refused for now.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog

from activities.attempts import LOOK_UP_FOR, address
from activities.channels import ChannelDesk
from adapters.base import (
    Absent,
    Accepted,
    ChannelContext,
    EditRequest,
    ErrorClass,
    Found,
    LookupRequest,
    PlatformAdapter,
    Refused,
    RenderedPart,
    SendRequest,
    SendResult,
    Unknown,
)
from db import previews
from db.channels import load_channel
from db.part_rows import Outgoing, PartRow
from db.previews import PreviewRow
from db.session import Database
from domain.preview import OPEN, PreviewStatus

log = structlog.get_logger()

LEFTOVER: Final = ("placeholder_left", "An unfinished version of this answer may still stand beside it")
DELETE_WITHIN_S: Final = 20.0
_GONE: Final = Refused(
    ErrorClass.GONE, "placeholder_gone", "The answer's first words are not there; it is sent as a whole"
)
_NO_TEXT: Final = Refused(
    ErrorClass.GONE, "placeholder_in_the_way", "The answer is more than text; it is sent as a whole"
)
_NOT_YET: Final = Refused(
    ErrorClass.TRANSIENT, "placeholder_under_way", "The answer's first words are still being sent"
)


def is_open(message: Outgoing, part: PartRow) -> bool:
    """Whether a part is to take the place of a placeholder."""
    return part.part_no == 1 and message.preview is not None and message.preview.status in OPEN


def leftover(message: Outgoing, part: PartRow) -> tuple[str, str] | None:
    """Return what is to be said of a part that was sent although its placeholder may still be there."""
    status = message.preview.status if message.preview is not None and part.part_no == 1 else None
    return LEFTOVER if status in {PreviewStatus.LOST, PreviewStatus.LEFT} else None


@dataclass
class Placeholders:
    """One per process. Called under a claim by activities/delivery.py, and by the sweeper."""

    db: Database
    channels: ChannelDesk

    async def replace(self, message: Outgoing, part: PartRow, before_write: Callable[[], None]) -> SendResult:
        """Change the placeholder into the part. GONE: there is none (any more), so the part is to be sent.

        An edit changes a text into another. A part that carries more than text is sent when the placeholder is deleted.
        """
        preview, account_id = message.preview, message.channel.account_id
        if preview is None or (preview.status is PreviewStatus.SENDING and preview.at < preview.due_at):
            return _NOT_YET
        adapter, context = self.channels.open(message.channel)
        found = await self._find(adapter, context, account_id, preview, before_write)
        if not isinstance(found, str):
            return found or _GONE
        to, rendered = address(message.reply_to), RenderedPart(part.body, part.plain)
        request = EditRequest(to, found, rendered, part.nonce, before_write, as_plain=part.as_plain)
        result = _NO_TEXT if part.payload is not None else await adapter.edit(context, request)
        if isinstance(result, Unknown):
            return Refused(ErrorClass.TRANSIENT, "unknown_outcome", result.reason)
        if isinstance(result, Refused) and result.error_class is ErrorClass.GONE:
            # A second message beside one that is still there would be worse than a wait.
            gone = await self._remove(adapter, context, account_id, preview, found)
            return result if gone else Refused(ErrorClass.TRANSIENT, result.code, result.message)
        return result

    async def became(self, message: Outgoing) -> None:
        """Forget a placeholder that is the reply by now, and whose part is settled."""
        if message.preview is not None:
            await self._forget(message.channel.account_id, message.preview.turn_id)

    async def sweep(self) -> int:
        """Delete placeholders of which nothing will become, and forget those that became the reply; returns how many there were."""
        async with self.db.open() as conn:
            stray, settled = await previews.stray(conn), await previews.settled(conn)
        for account_id, turn_id in stray:
            await self._withdraw(account_id, turn_id)
        for account_id, turn_id in settled:
            # The reply took its place, and the worker died before it could forget it.
            await self._forget(account_id, turn_id)
        return len(stray) + len(settled)

    async def _withdraw(self, account_id: UUID, turn_id: UUID) -> None:
        async with self.db.account(account_id) as conn:
            preview = await previews.leave(conn, turn_id, DELETE_WITHIN_S)
            channel = None if preview is None else await load_channel(conn, preview.channel_id)
        if preview is None or channel is None:
            return
        if channel.send_paused_until is not None and channel.send_paused_until > preview.at:
            return
        adapter, context = self.channels.open(channel)
        found = await self._find(adapter, context, account_id, preview, lambda: None)
        if isinstance(found, str):
            await self._remove(adapter, context, account_id, preview, found)

    async def _remove(
        self, adapter: PlatformAdapter, context: ChannelContext, account_id: UUID, preview: PreviewRow, message_id: str
    ) -> bool:
        """Delete it, or write down that it stays; False where the platform may let us later."""
        result = await adapter.delete(context, address(preview.reply_to), message_id)
        if isinstance(result, Accepted):
            await self._forget(account_id, preview.turn_id)
            return True
        if isinstance(result, Unknown) or result.error_class in {ErrorClass.TRANSIENT, ErrorClass.RATE_LIMITED}:
            return False
        log.warning("placeholder.left", turn_id=str(preview.turn_id), code=result.code)
        await self._mark(account_id, preview.turn_id, PreviewStatus.LEFT)
        return True

    async def _find(
        self,
        adapter: PlatformAdapter,
        context: ChannelContext,
        account_id: UUID,
        preview: PreviewRow,
        before_write: Callable[[], None],
    ) -> str | Refused | None:
        """Return the placeholder's id; None when it is not there or nobody can tell; a refusal to ask again later."""
        if preview.platform_message_id is not None:
            return preview.platform_message_id
        if adapter.capabilities.can_look_up:
            found = await _look_up(adapter, context, preview)
        else:
            found = await _repeat(adapter, context, preview, before_write)
        if isinstance(found, Refused):
            return found
        if isinstance(found, str):
            async with self.db.account(account_id) as conn:
                await previews.shown(conn, preview.turn_id, found)
            return found
        if isinstance(found, Absent):
            await self._forget(account_id, preview.turn_id)
        else:
            log.warning("placeholder.lost", turn_id=str(preview.turn_id))
            await self._mark(account_id, preview.turn_id, PreviewStatus.LOST)
        return None

    async def _forget(self, account_id: UUID, turn_id: UUID) -> None:
        async with self.db.account(account_id) as conn:
            await previews.forget(conn, turn_id)

    async def _mark(self, account_id: UUID, turn_id: UUID, status: PreviewStatus) -> None:
        async with self.db.account(account_id) as conn:
            await previews.mark(conn, turn_id, status)


async def _look_up(
    adapter: PlatformAdapter, context: ChannelContext, preview: PreviewRow
) -> str | Refused | Absent | None:
    request = LookupRequest(address(preview.reply_to), preview.nonce, preview.created_at)
    looked = await adapter.lookup(context, request)
    if isinstance(looked, Found):
        return looked.platform_message_id
    if isinstance(looked, Absent):
        return looked
    if preview.at - preview.created_at < LOOK_UP_FOR:
        return Refused(ErrorClass.TRANSIENT, "unknown_outcome", looked.reason)
    return None


async def _repeat(
    adapter: PlatformAdapter, context: ChannelContext, preview: PreviewRow, before_write: Callable[[], None]
) -> str | Refused | Absent | None:
    """Send it once more under its nonce, which gives the message that is there, while the platform remembers it."""
    if preview.at - preview.created_at >= timedelta(seconds=adapter.capabilities.nonce_window_s):
        return None
    part = RenderedPart(preview.body, preview.body)
    result = await adapter.send(context, SendRequest(address(preview.reply_to), part, preview.nonce, before_write))
    if isinstance(result, Accepted):
        return result.platform_message_id
    if isinstance(result, Unknown):
        return Refused(ErrorClass.TRANSIENT, "unknown_outcome", result.reason)
    return result if result.error_class in {ErrorClass.TRANSIENT, ErrorClass.RATE_LIMITED} else Absent()
