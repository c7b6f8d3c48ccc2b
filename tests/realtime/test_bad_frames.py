"""What no client of ours sends, against a hub in a process of its own: each ends as documented, and a bystander feels nothing."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from realtime.protocol import BASE
from tests.realtime import spark
from tests.realtime.hub_process import HubProcess
from tests.realtime.stage import SPARK, Stage
from tests.realtime.support import WAIT_S

TEXT, CONTINUED, CLOSE, PING, PONG = 0x1, 0x0, 0x8, 0x9, 0xA


def frame(opcode: int, payload: bytes, *, fin: bool = True, mask: bool = True, reserved: int = 0) -> bytes:
    """Return a frame as a client writes it, masked with zeros unless told."""
    size = len(payload)
    bit = 0x80 if mask else 0
    head = bytes([(0x80 if fin else 0) | reserved | opcode])
    if size < 126:
        head += bytes([bit | size])
    elif size < 1 << 16:
        head += bytes([bit | 126]) + size.to_bytes(2, "big")
    else:
        head += bytes([bit | 127]) + size.to_bytes(8, "big")
    return head + (b"\0\0\0\0" if mask else b"") + payload


class Raw:
    """A socket that writes whatever bytes it is told, and reads frames."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer

    async def frame(self) -> tuple[int, bytes]:
        head = await self._reader.readexactly(2)
        size = head[1] & 0x7F
        if size > 125:
            size = int.from_bytes(await self._reader.readexactly(2 if size == 126 else 8), "big")
        return head[0] & 0x0F, await self._reader.readexactly(size)

    async def until_closed(self) -> tuple[list[bytes], int]:
        """All texts up to the end, and the close code; 0 when the socket just ends."""
        texts: list[bytes] = []
        async with asyncio.timeout(WAIT_S):
            try:
                while (found := await self.frame())[0] != CLOSE:
                    texts += [found[1]] if found[0] == TEXT else []
                return texts, int.from_bytes(found[1][:2], "big")
            except (asyncio.IncompleteReadError, ConnectionError):
                return texts, 0


@asynccontextmanager
async def raw(stage: Stage, hub: int) -> AsyncGenerator[Raw]:
    port = stage.hubs[hub].port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"GET /cable?jid={spark.mint(stage.person())} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: {BASE}\r\n"
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n\r\n".encode()
    )
    assert b"101" in await reader.readuntil(b"\r\n\r\n")
    socket = Raw(reader, writer)
    assert b"welcome" in (await socket.frame())[1]
    try:
        yield socket
    finally:
        writer.close()


@asynccontextmanager
async def bystander(stage: Stage, hub: int) -> AsyncGenerator[None]:
    """Somebody who hears every event from before to after."""
    async with stage.client(hub, base=True) as client:
        await client.subscribe(SPARK)
        await client.settled()
        yield
        await stage.publish("still here")
        assert await client.message() == "still here"


SUBSCRIBE = json.dumps({"command": "subscribe", "identifier": SPARK}).encode()
BROKEN = {
    "unmasked": (frame(TEXT, SUBSCRIBE, mask=False), 1002),
    "bad UTF-8": (frame(TEXT, b'{"command":"\xff\xfe"}'), 1007),
    "a reserved bit": (frame(TEXT, SUBSCRIBE, reserved=0x40), 1002),
    "an unknown opcode": (frame(0x3, b""), 1002),
    "a fragment of nothing": (frame(CONTINUED, b"x"), 1002),
    "a long ping": (frame(PING, b"x" * 126), 1002),
    "ten megabytes": (frame(TEXT, b"x" * (10 << 20)), 1009),
    "ten megabytes announced": (frame(TEXT, b"x" * (10 << 20))[:14], 1009),
    "fragments without end": (
        frame(TEXT, b"x" * 60_000, fin=False) + frame(CONTINUED, b"x" * 60_000, fin=False) * 4, 1009,
    ),
}  # fmt: skip


@pytest.mark.parametrize("hub", [0, 1])
class TestBadFrames:
    @pytest.mark.parametrize("what", BROKEN)
    async def test_what_breaks_the_protocol_ends_the_connection(
        self, hubs: list[HubProcess], stage: Stage, hub: int, what: str
    ) -> None:
        bytes_, code = BROKEN[what]
        async with bystander(stage, hub), raw(stage, hub) as socket:
            socket.writer.write(bytes_)
            _, closed = await socket.until_closed()
            # A peer that has more under way may find the socket reset before it reads why.
            assert closed == code or (closed == 0 and len(bytes_) > 1 << 20), (what, closed)

    async def test_a_message_in_fragments_is_one(self, hubs: list[HubProcess], stage: Stage, hub: int) -> None:
        async with raw(stage, hub) as socket:
            third = len(SUBSCRIBE) // 3
            socket.writer.write(frame(TEXT, SUBSCRIBE[:third], fin=False))
            socket.writer.write(frame(PING, b"between"))
            socket.writer.write(frame(CONTINUED, SUBSCRIBE[third : 2 * third], fin=False))
            socket.writer.write(frame(CONTINUED, SUBSCRIBE[2 * third :]))
            assert await socket.frame() == (PONG, b"between")
            assert b"confirm_subscription" in (await socket.frame())[1]

    async def test_a_flood_of_pings_is_answered_or_cut(self, hubs: list[HubProcess], stage: Stage, hub: int) -> None:
        async with bystander(stage, hub), raw(stage, hub) as socket:
            for _ in range(100):
                socket.writer.write(frame(PING, b"p" * 125) * 100)
            socket.writer.write(frame(TEXT, b'{"command":"ping"}'))
            async with asyncio.timeout(WAIT_S):
                while b'"pong"' not in (await socket.frame())[1]:
                    pass

    async def test_ten_thousand_subscribes_stay_within_the_limit(
        self, hubs: list[HubProcess], stage: Stage, hub: int
    ) -> None:
        async with bystander(stage, hub), stage.client(hub, base=True) as client:
            for number in range(10_000):
                name = json.dumps({"channel": "SparkChannel", "name": f"n{number}"})
                await client.send(command="subscribe", identifier=name)
            answers = await client.settled()
            kinds = [
                str(answer.get("type")) for answer in answers if str(answer.get("type", "")).endswith("subscription")
            ]
            assert kinds == ["confirm_subscription"] * 128 + ["reject_subscription"] * (10_000 - 128)

    async def test_an_identifier_may_be_used_again(self, hubs: list[HubProcess], stage: Stage, hub: int) -> None:
        async with stage.client(hub, base=True) as client:
            for _ in range(50):
                await client.send(command="subscribe", identifier=SPARK)
                await client.send(command="subscribe", identifier=SPARK)
                await client.send(command="unsubscribe", identifier=SPARK)
            await client.send(command="subscribe", identifier=SPARK)
            kinds = [one["type"] for one in await client.settled() if "type" in one]
            assert kinds == ["confirm_subscription"] * 51
            await stage.publish("once")
            assert await client.message() == "once"
            assert await client.settled() == []
