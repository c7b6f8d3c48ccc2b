"""Shows a reply while the model still makes it: a draft, or a placeholder that is edited, at the platform's pace.

Best effort, beside the reading of the model and never in its way: what fails, or for which the limiter has no room, is left
out. The reply itself goes the reliable way (activities/delivery.py), where the placeholder becomes its first part.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import structlog

from activities.attempts import address
from activities.channels import ChannelDesk
from activities.failpoints import Failpoints
from activities.limiter import SendLimiter, place_of
from adapters.base import (
    Accepted,
    ChannelContext,
    EditRequest,
    ErrorClass,
    PlatformAdapter,
    Refused,
    RenderedPart,
    SendRequest,
    SendResult,
)
from adapters.capabilities import Preview
from adapters.limits import Verb
from db import previews
from db.channels import ChannelRow, load_channel
from db.previews import PreviewOf, Stage
from db.session import Database
from domain.preview import PreviewStatus, Streaming
from domain.sanitize import storable
from domain.work import ModelStepInput

log = structlog.get_logger()

AFTER_S: Final = 1.0
"""A reply that is whole by then is sent as it is, with nothing before it."""
LEAST: Final = 24
"""Characters that are worth showing."""
HOLD_S: Final = 3.0
"""Within so long after the rows were asked a request must leave. A worker that stood still is found dead after 5 s without a
heartbeat, of which one is sent every 1.5 s: whoever goes on for it comes after this."""
TIMEOUT_S: Final = 5.0
_ATTEMPTS: Final = 1_000_000
_POLL_S: Final = 0.25


class ExpiredError(Exception):
    """The request was held up for too long: the reply may be there by now."""


@dataclass
class Previews:
    """One per process."""

    db: Database
    channels: ChannelDesk
    limiter: SendLimiter
    failpoints: Failpoints

    def begin(self, step: ModelStepInput, attempt: int, configuration: Mapping[str, object]) -> GrowingReply | None:
        """Get ready to show what this model request says; None where the channel does not want that."""
        if configuration.get("streaming", Streaming.EDITS) == Streaming.OFF:
            return None
        turn = step.turn
        of = PreviewOf(UUID(turn.turn_id), UUID(turn.ref.session_id), UUID(turn.message_ids[-1]))
        return GrowingReply(self, of, UUID(turn.ref.account_id), step.step * _ATTEMPTS + attempt)


@dataclass(frozen=True, slots=True)
class _Scene:
    """Where the reply is shown at this moment, and until when that holds on our clock."""

    stage: Stage
    adapter: PlatformAdapter
    context: ChannelContext
    part: RenderedPart
    deadline: float

    def before_write(self) -> None:
        if time.monotonic() >= self.deadline:
            raise ExpiredError


class GrowingReply:
    """One model request's words. `show` costs nothing; `end` waits for what is under way, so that nothing comes after it."""

    def __init__(self, tools: Previews, of: PreviewOf, account_id: UUID, fence: int) -> None:
        self._tools = tools
        self._of = of
        self._account_id = account_id
        self._fence = fence
        self._text = ""
        self._said = ""
        self._channel: ChannelRow | None = None
        self._ended = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(AFTER_S, self._start)

    def show(self, text: str) -> None:
        """Take what was said so far."""
        self._text = text

    async def end(self) -> None:
        """Show nothing more. What the person sees stays until the reply takes its place."""
        self._timer.cancel()
        self._ended.set()
        if self._task is not None:
            await asyncio.shield(self._task)

    def _start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        try:
            while (wait_s := await self._step()) is not None and not self._ended.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._ended.wait(), wait_s)
                    return
        except ExpiredError:
            log.info("preview.expired", turn_id=str(self._of.turn_id))
        except Exception:
            # Whatever it is, the reply itself does not suffer from it.
            log.exception("preview.failed", turn_id=str(self._of.turn_id))

    async def _step(self) -> float | None:
        """Show what is new; returns when to look again, None when nothing more is to be shown."""
        text = self._text
        if text == self._said or len(text.strip()) < LEAST:
            return _POLL_S
        scene = await self._look(text)
        if scene is None:
            return None
        to, capabilities = address(scene.stage.reply_to), scene.adapter.capabilities
        way = capabilities.preview(to.chat)
        new = way is Preview.EDITS and scene.stage.status is None
        if way is Preview.NONE or scene.stage.status not in {None, PreviewStatus.SHOWN} or self._channel is None:
            return None
        verb = Verb.SEND if new else Verb.EDIT
        place = place_of(capabilities, scene.context, self._channel.platform, to.chat, verb)
        if not await self._tools.limiter.has_room(place):
            return capabilities.preview_every_s
        if way is Preview.DRAFTS:
            result = await scene.adapter.send(scene.context, self._request(scene, as_draft=True))
        else:
            result = await (self._send(scene) if new else self._edit(scene))
        if isinstance(result, Refused) and result.error_class is ErrorClass.RATE_LIMITED:
            wait_s = result.retry_after_s or capabilities.preview_every_s
            if await self._tools.limiter.refused(self._channel.id, place, wait_s, result.scope):
                await self._tools.channels.pause(self._channel, wait_s)
            return None if new else wait_s
        if not isinstance(result, Accepted):
            return None
        self._said = text
        return max(capabilities.preview_every_s, result.pause_s)

    async def _look(self, text: str) -> _Scene | None:
        """Ask whether the reply may be shown, and render what there is of it: what is open in it is closed."""
        deadline = time.monotonic() + HOLD_S
        async with self._tools.db.account(self._account_id) as conn:
            stage = await previews.look(conn, self._of)
            if stage is None:
                return None
            self._channel = self._channel or await load_channel(conn, stage.channel_id)
        adapter, context = self._tools.channels.open(self._channel)
        # Only the first part is shown, however much there is.
        parts = adapter.render(storable(text[: 2 * adapter.capabilities.text_limit]).strip())
        return _Scene(stage, adapter, context, parts[0], deadline) if parts else None

    def _request(self, scene: _Scene, *, as_draft: bool = False) -> SendRequest:
        return SendRequest(
            address(scene.stage.reply_to),
            scene.part,
            self._of.nonce,
            scene.before_write,
            timeout_s=TIMEOUT_S,
            as_draft=as_draft,
        )

    async def _send(self, scene: _Scene) -> SendResult | None:
        db, failpoints = self._tools.db, self._tools.failpoints
        async with db.account(self._account_id) as conn:
            if not await previews.begin(conn, self._of, self._fence, scene.part.body, HOLD_S + TIMEOUT_S):
                return None
        failpoints.at("preview.begun")
        try:
            result = await scene.adapter.send(scene.context, self._request(scene))
        except ExpiredError:
            async with db.account(self._account_id) as conn:
                await previews.forget(conn, self._of.turn_id)
            raise
        failpoints.at("preview.sent")
        async with db.account(self._account_id) as conn:
            if isinstance(result, Accepted):
                await previews.shown(conn, self._of.turn_id, result.platform_message_id)
            elif isinstance(result, Refused):
                await previews.forget(conn, self._of.turn_id)
        failpoints.at("preview.shown")
        return result

    async def _edit(self, scene: _Scene) -> SendResult | None:
        async with self._tools.db.account(self._account_id) as conn:
            stage = await previews.hold(conn, self._of, self._fence)
        if stage is None or stage.platform_message_id is None:
            return None
        request = EditRequest(
            address(stage.reply_to),
            stage.platform_message_id,
            scene.part,
            self._of.nonce,
            scene.before_write,
            timeout_s=TIMEOUT_S,
        )
        result = await scene.adapter.edit(scene.context, request)
        self._tools.failpoints.at("preview.edited")
        return result
