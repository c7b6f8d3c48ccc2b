"""Telegram by long polling (https://core.telegram.org/bots/api#getupdates), for who has no address that Telegram can reach.

Chosen by `configuration.transport` = `polling`. Telegram keeps updates for 24 hours and forgets what lies before `offset`; we ask
from the next one on only when all before are stored. Position: `offset`. After a week of silence ids go on at a random number (*Update*,
`update_id`), which may be lower; an offset more than ten ahead is then answered with all that waits (TQueue.cpp of tdlib, "in the
future"), so the offset follows the last id wherever it goes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import Final, cast

import orjson

from adapters.base import ChannelContext, ErrorClass, Refused, Unknown, WebhookReply, WebhookRequest
from adapters.connectors import Backoff, ConnectorStoppedError, Heard, aged, register_connector
from adapters.foreign import decode_object
from adapters.http import Call, call
from adapters.platform.telegram.errors import result_of
from adapters.platform.telegram.methods import UPDATES, method_url
from adapters.platform.telegram.parsing import parse_update
from adapters.registry import Outside
from domain.errors import PayloadError
from domain.message import InboundEvent

_WAIT_S: Final = 25
_LIMIT: Final = 100
_ANSWER_S: Final = 15.0
_WEBHOOK_IS_SET: Final = "use deletewebhook"
_POLLED_ELSEWHERE: Final = "terminated by other getupdates"


@register_connector("telegram", transport="polling")
class TelegramPolling:
    """The connector; see adapters/connectors.py."""

    def __init__(self, outside: Outside, backoff: Backoff | None = None) -> None:
        self._outside = outside
        self._backoff = backoff or Backoff()

    async def run(self, channel: ChannelContext, position: Mapping[str, str]) -> AsyncIterator[Heard]:
        """Listen for ever. Raises ConnectorStoppedError."""
        offset, stands, late = position.get("offset", ""), False, True
        while True:
            # The first question comes back at once: it tells whether we may ask at all.
            found = await self._ask(channel, offset, _WAIT_S if stands else 0)
            if isinstance(found, Refused | Unknown):
                stands, late = False, True
                yield Heard(b"", (), _position(offset), found.message if isinstance(found, Refused) else found.reason)
                wait_s = found.retry_after_s if isinstance(found, Refused) else None
                await asyncio.sleep(max(wait_s or 0.0, self._backoff.wait_s()))
                continue
            if not stands:
                self._backoff.reset()
                stands = True
                yield Heard(b"", (), _position(offset))
            for update in found:
                raw, number = orjson.dumps(update), update.get("update_id")
                events, reply = _read(raw, channel, late=late)
                offset = str(number + 1) if isinstance(number, int) else offset
                yield Heard(raw, events, _position(offset))
                await self._reply(channel, reply)
            late = late and len(found) == _LIMIT

    async def _ask(
        self, channel: ChannelContext, offset: str, wait_s: int
    ) -> list[dict[str, object]] | Refused | Unknown:
        """Return the updates from `offset` on, or why there are none. Raises ConnectorStoppedError."""
        asked: dict[str, object] = {"timeout": wait_s, "limit": _LIMIT, "allowed_updates": list(UPDATES)}
        answer = await self._call(channel, "getUpdates", asked | ({"offset": int(offset)} if offset else {}), wait_s)
        if isinstance(answer, dict):
            updates = answer.get("result")
            listed = cast("list[object]", updates) if isinstance(updates, list) else []
            return [cast("dict[str, object]", one) for one in listed if isinstance(one, dict)]
        if isinstance(answer, Refused) and _WEBHOOK_IS_SET in answer.code.lower():
            await self._call(channel, "deleteWebhook", {"drop_pending_updates": False})
        elif isinstance(answer, Refused) and _POLLED_ELSEWHERE in answer.code.lower():
            # For a moment also after a failover: the dead holder's question still stands.
            pass
        elif isinstance(answer, Refused) and answer.error_class is ErrorClass.CHANNEL_BROKEN:
            raise ConnectorStoppedError(answer.message)
        return answer

    async def _reply(self, channel: ChannelContext, reply: WebhookReply | None) -> None:
        """Make the call that a webhook would have been answered with; it needs no success."""
        if reply is None:
            return
        asked = decode_object(reply.body)
        await self._call(channel, str(asked.pop("method", "")), asked)

    async def _call(
        self, channel: ChannelContext, method: str, payload: Mapping[str, object], wait_s: int = 0
    ) -> dict[str, object] | Refused | Unknown:
        url = method_url(self._outside, channel, method)
        outcome = await call(self._outside.http, Call(url, json_body=payload, timeout_s=wait_s + _ANSWER_S))
        return cast("dict[str, object] | Refused | Unknown", result_of(outcome))


def _position(offset: str) -> dict[str, str]:
    return {"offset": offset} if offset else {}


def _read(raw: bytes, channel: ChannelContext, *, late: bool) -> tuple[tuple[InboundEvent, ...], WebhookReply | None]:
    now = time.time()
    try:
        parsed = parse_update(WebhookRequest("POST", {}, {}, raw, received_at=now), channel)
    except PayloadError:  # not even an object, so not even an update
        return (), None
    # What waited for us may be too old to be answered; what comes while we listen is not.
    return tuple(aged(event, channel, now) if late else event for event in parsed.events), parsed.reply
