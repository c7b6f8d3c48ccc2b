"""What platforms send us: find the channel, verify the raw bytes, parse, store in one transaction, then answer 2xx.

Nothing slow stands before the answer, and nothing is answered 2xx that is not in Postgres (NO-LOSS-IN). A platform
repeats what was not answered 2xx for hours or days: so what is verified but not understood is stored, set aside and
answered 2xx, and what could not be stored is answered 503.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

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
    RateLimitedError,
    SignatureError,
    UnavailableError,
)

log = structlog.get_logger()


class _Direct(APIRoute):
    """Called with its request alone: there is nothing to be read from it, or to be validated, before the adapter does."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what Starlette calls; see FastAPI's "Custom Request and APIRoute class"."""

        async def handle(request: Request) -> Response:
            return await receive(request.path_params["token"], request)

        return handle


router = APIRouter(prefix="/api/v1/chat/webhooks", tags=["webhooks"], route_class=_Direct)

FAILURES_PER_MINUTE: Final = 100
"""Refused webhooks from one address before it is told 429 instead of the reason."""

LARGEST_BODY: Final = 4 << 20
"""No platform's cap is higher; what is larger is refused before it is read to its end."""


@dataclass
class WebhookDesk:
    """What receiving needs; built once by api/app.py and kept in `app.state.webhooks`."""

    channels: ChannelDesk
    intake: Intake
    failures: Failures
    known: KnownChannels

    async def receive(self, token: str, request: WebhookRequest) -> tuple[Response, str]:
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
    ) -> Response:
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
            return _literal(reply)
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


def _literal(reply: WebhookReply) -> Response:
    return Response(reply.body, reply.status, media_type=reply.content_type)


def _stored(fresh: int, reply: WebhookReply | None) -> Response:
    return _literal(reply) if reply is not None else JSONResponse({"success": True, "processed": fresh})


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


async def read_body(request: Request, limit: int = LARGEST_BODY) -> bytes:
    """Read a body, giving up as soon as it is over `limit` bytes. Raises PayloadTooLargeError."""
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > limit:
        raise PayloadTooLargeError(f"The body is larger than {limit} bytes")
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise PayloadTooLargeError(f"The body is larger than {limit} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


def all_headers(request: Request) -> Mapping[str, list[str]]:
    """Return lower-case header names with all their values: a signature that was sent twice is refused."""
    headers: dict[str, list[str]] = {}
    for name, value in request.headers.raw:
        headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return headers


@router.get("/{token}", summary="Answer a platform's handshake")
@router.post("/{token}", summary="Receive a platform's webhook")
async def receive(token: str, request: Request) -> Response:
    """Answers 2xx when everything is stored (also for repeats and for bodies set aside), 401 for a wrong signature,
    404 for an unknown token, 413 for too large a body, 503 when it could not be stored: send it again.
    """
    services = request.app.state.services
    desk: WebhookDesk = services.webhooks
    ip: str = services.client_ip(request)
    webhook = WebhookRequest(
        method=request.method,
        headers=all_headers(request),
        query=dict(request.query_params),
        body=await read_body(request),
    )
    try:
        response, trace_id = await desk.receive(token, webhook)
    except (NotFoundError, SignatureError) as error:
        # Only what failed is ever limited: platforms send from few addresses (ruling 15).
        if await desk.failures.count(ip) >= FAILURES_PER_MINUTE:
            raise RateLimitedError("Too many refused webhooks from this address", retry_after_s=60) from error
        await desk.failures.add(ip)
        raise
    response.headers["X-Trace-Id"] = trace_id
    return response
