"""What platforms send us: find the channel, verify the raw bytes, parse, store in one transaction, then answer 2xx.
What came over HTTP is handed over by webhook_door.py.

Nothing slow stands before the answer, and nothing is answered 2xx that is not in Postgres (NO-LOSS-IN). A platform
repeats what was not answered 2xx for hours or days: so what is verified but not understood is stored, set aside and
answered 2xx, and what could not be stored is answered 503.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Final

import structlog
from fastapi import APIRouter

from activities.channels import ChannelDesk
from activities.intake import Intake
from adapters.base import ChannelContext, ParsedWebhook, PlatformAdapter, WebhookReply, WebhookRequest
from api.failures import Failures
from api.known_channels import KnownChannels
from db import ingest
from db.channels import ChannelRow
from db.ingest import ChannelChangedError, RawWebhook
from domain.errors import (
    NotFoundError,
    PayloadError,
    PayloadTooLargeError,
    SignatureError,
    UnavailableError,
)

log = structlog.get_logger()


PREFIX: Final = "/api/v1/chat/webhooks/"
router = APIRouter(prefix=PREFIX.rstrip("/"), tags=["webhooks"])


@dataclass
class WebhookDesk:
    """What receiving needs; built once by api/app.py and kept in `app.state.webhooks`."""

    channels: ChannelDesk
    intake: Intake
    failures: Failures
    known: KnownChannels

    async def receive(self, token: str, request: WebhookRequest) -> tuple[WebhookReply, str]:
        """Store a webhook and return its answer with the trace id. Raises the refusals of domain/errors."""
        trace_id = secrets.token_hex(8)
        channel = self.known.remembered(token)
        if channel is not None:
            try:
                return await self._receive(channel, request, trace_id, remembered=True), trace_id
            except (SignatureError, PayloadTooLargeError, ChannelChangedError):
                log.debug("webhook.channel_read_again", channel_id=str(channel.id))
        channel = await self.known.read(token)
        if channel is None:
            raise NotFoundError("No such webhook")
        try:
            return await self._receive(channel, request, trace_id, remembered=False), trace_id
        except ChannelChangedError as error:
            raise UnavailableError("The channel is being changed; send it again") from error

    async def _receive(
        self, channel: ChannelRow, request: WebhookRequest, trace_id: str, *, remembered: bool
    ) -> WebhookReply:
        adapter, context = self.channels.open(channel)
        if len(request.body) > adapter.capabilities.webhook_max_bytes:
            raise PayloadTooLargeError("The body is larger than this platform ever sends")
        adapter.verify(request, context, time.time())
        parsed = _parse(adapter, request, context)
        events, reply = (parsed.events, parsed.reply) if isinstance(parsed, ParsedWebhook) else ((), None)
        if remembered and not ingest.is_plain(events):
            # Only the plain message's way checks that the channel is still what we remember.
            raise ChannelChangedError
        if reply is not None and not events:
            return reply
        return _stored(await self._store(channel, adapter, request, trace_id, parsed), reply)

    async def _store(
        self,
        channel: ChannelRow,
        adapter: PlatformAdapter,
        request: WebhookRequest,
        trace_id: str,
        parsed: ParsedWebhook | str,
    ) -> int:
        raw = RawWebhook(request.body, request.headers, trace_id)
        if isinstance(parsed, str):
            return await self.intake.set_aside(channel, raw, parsed)
        return await self.intake.take(channel, adapter, raw, parsed.events)


def _stored(fresh: int, reply: WebhookReply | None) -> WebhookReply:
    return WebhookReply(b'{"success":true,"processed":%d}' % fresh, "application/json") if reply is None else reply


def _parse(adapter: PlatformAdapter, request: WebhookRequest, context: ChannelContext) -> ParsedWebhook | str:
    """Parse a verified webhook; the reason when that is not possible."""
    try:
        return adapter.parse(request, context)
    except PayloadError as error:
        return error.message
    except Exception as error:
        # A fault of ours must not make the platform repeat this body for days; it is kept and can be replayed.
        log.exception("webhook.parser_failed", channel_id=context.channel_id)
        return f"the parser failed: {type(error).__name__}"


@router.get("/{token}", summary="Answer a platform's handshake")
@router.post("/{token}", summary="Receive a platform's webhook")
async def described(token: str) -> None:
    """Answers 2xx when everything is stored (also for repeats and for bodies set aside), 401 for a wrong signature,
    404 for an unknown token, 413 for too large a body, 503 when it could not be stored: send it again.
    """
    raise RuntimeError(f"a webhook came past its door: {len(token)} characters of token")
