"""Slack's Socket Mode (https://docs.slack.dev/apis/events-api/using-socket-mode), for who has no address that Slack can reach.

Chosen by `configuration.transport` = `socket_mode`. `apps.connections.open` names an address for once; on it come the bodies of webhooks in
envelopes, each to be acknowledged within three seconds, else Slack sends it again, three times as by HTTP. We acknowledge what is
stored. There is no position: what is said while nobody listens is gone, and Slack reads nothing back to bots.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from typing import Final, cast
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from adapters.base import ChannelContext, ErrorClass, Refused, Unknown, WebhookRequest
from adapters.connectors import Backoff, ConnectorStoppedError, Heard, register_connector
from adapters.foreign import decode_object
from adapters.http import Call, call
from adapters.platform.slack.errors import result_of
from adapters.platform.slack.item import Context
from adapters.platform.slack.parsing import parse_body
from adapters.registry import Outside
from domain.errors import PayloadError
from domain.message import InboundEvent

_MAX_BYTES: Final = 4 << 20
_TIMEOUT_S: Final = 30.0
_JSON: Final = "application/json"
_FORM: Final = "application/x-www-form-urlencoded"
_TURNED_OFF: Final = "Socket Mode is turned off for this app; turn it on at api.slack.com/apps, Socket Mode"
_REFUSED: Final = "Slack does not accept the app-level token; make one with the scope connections:write at api.slack.com/apps, Basic Information"


@register_connector("slack", transport="socket_mode")
class SlackSocketMode:
    """The connector; see adapters/connectors.py."""

    def __init__(self, outside: Outside, backoff: Backoff | None = None) -> None:
        self._outside = outside
        self._base = (outside.api_base or "https://slack.com").rstrip("/")
        self._backoff = backoff or Backoff()

    async def run(self, channel: ChannelContext, position: Mapping[str, str]) -> AsyncIterator[Heard]:
        """Listen for ever. Raises ConnectorStoppedError."""
        del position
        while True:
            wait_s, trouble = 0.0, "Slack asked us to connect again"
            found = await self._address(channel)
            if isinstance(found, str):
                try:
                    async for heard in self._connection(found, channel):
                        self._backoff.reset()
                        yield heard
                except (ConnectionClosed, OSError, WebSocketException, TimeoutError) as error:
                    trouble = f"The connection to Slack broke: {type(error).__name__}"
            else:
                wait_s, trouble = (
                    (found.retry_after_s or 0.0, found.message) if isinstance(found, Refused) else (0.0, found.reason)
                )
            yield Heard(b"", (), {}, trouble)
            await asyncio.sleep(max(wait_s, self._backoff.wait_s()))

    async def _address(self, channel: ChannelContext) -> str | Refused | Unknown:
        token = channel.credentials.get("app_token", "")
        if not token or not token.isascii() or not token.isprintable():
            raise ConnectorStoppedError(_REFUSED)
        url, headers = f"{self._base}/api/apps.connections.open", {"authorization": f"Bearer {token}"}
        answer = result_of(await call(self._outside.http, Call(url, headers=headers, json_body={})))
        if isinstance(answer, dict):
            return str(answer.get("url") or "")
        if isinstance(answer, Refused) and answer.error_class in {ErrorClass.CHANNEL_BROKEN, ErrorClass.PERMANENT}:
            raise ConnectorStoppedError(f"{_REFUSED} ({answer.code})")
        return cast("Refused | Unknown", answer)

    async def _connection(self, url: str, channel: ChannelContext) -> AsyncIterator[Heard]:
        proxy = None if self._outside.api_base is not None else True
        async with connect(url, max_size=_MAX_BYTES, open_timeout=_TIMEOUT_S, proxy=proxy) as socket:
            async for raw in socket:
                frame = _object(raw)
                if frame.get("type") == "hello":
                    yield Heard(b"", (), {})
                elif frame.get("type") == "disconnect":
                    if frame.get("reason") == "link_disabled":
                        raise ConnectorStoppedError(_TURNED_OFF)
                    return
                elif "envelope_id" in frame:
                    body, kind = _body(frame)
                    yield Heard(body, _read(body, kind, channel), {})
                    await _acknowledge(socket, frame)


async def _acknowledge(socket: ClientConnection, frame: Mapping[str, object]) -> None:
    await socket.send(json.dumps({"envelope_id": frame["envelope_id"]}))


def _object(raw: str | bytes) -> dict[str, object]:
    try:
        return decode_object(raw)
    except PayloadError:
        return {}


def _body(frame: Mapping[str, object]) -> tuple[bytes, str]:
    """Return an envelope's payload as the webhook's body that it would have been, and its content type."""
    payload = frame.get("payload")
    fields = cast("dict[str, object]", payload) if isinstance(payload, dict) else {}
    if frame.get("type") == "slash_commands":
        return urlencode({name: str(value) for name, value in fields.items()}).encode(), _FORM
    text = json.dumps(fields, separators=(",", ":"), ensure_ascii=False)
    if frame.get("type") == "interactive":
        return urlencode({"payload": text}).encode(), _FORM
    return text.encode("utf-8", "surrogatepass"), _JSON


def _read(body: bytes, kind: str, channel: ChannelContext) -> tuple[InboundEvent, ...]:
    request = WebhookRequest("POST", {"content-type": [kind]}, {}, body, received_at=time.time())
    try:
        return parse_body(request, channel).events
    except PayloadError as error:
        return (Context.of(request, channel).unknown(error.message),)
