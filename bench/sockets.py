"""Thousands of WebSocket clients that cost far less than what they measure: raw protocols that count marks in what arrives."""

from __future__ import annotations

import asyncio
import base64
import os
import socket as sockets
import time
from collections.abc import Sequence
from typing import cast

MARK = b'"bench":'


def masked(text: bytes) -> bytes:
    """Return a client's text frame, masked with zeros, which changes nothing."""
    size = len(text)
    head = bytes((0x81, 0x80 | size)) if size < 126 else b"\x81\xfe" + size.to_bytes(2, "big")
    return head + b"\0\0\0\0" + text


class Socket(asyncio.Protocol):
    """One client. `marks` counts numbered events, `times` keeps how long some took, in ms, where asked for."""

    def __init__(self, crowd: Crowd, request: bytes) -> None:
        self._crowd = crowd
        self._request = request
        self._tail = b""
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self.transport: asyncio.Transport | None = None
        self.timed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        for needle, future in list(self._waiting):
            if needle in data:  # answers are short and come whole
                self._waiting.remove((needle, future))
                if not future.done():
                    future.set_result(None)
        count = data.count(MARK)
        if self._tail and MARK in self._tail[1 - len(MARK) :] + data[: len(MARK) - 1]:
            count += 1
        self._tail = data[-64:]
        if count:
            if self.timed:
                sent_ns = int(data.partition(MARK)[2].split(b",", 1)[0])
                self._crowd.times.append((time.time_ns() - sent_ns) / 1e6)
            self._crowd.add(count)

    def expect(self, needle: bytes) -> asyncio.Future[None]:
        """Return what is done when these bytes arrive from now on."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((needle, future))
        return future

    def send(self, text: bytes) -> None:
        assert self.transport is not None
        self.transport.write(masked(text))


class Crowd:
    """Many clients of one server."""

    def __init__(self) -> None:
        self.sockets: list[Socket] = []
        self.times: list[float] = []
        self._receive_bytes = 0
        self._count = 0
        self._wanted = 0
        self._enough = asyncio.Event()

    def add(self, marks: int) -> None:
        self._count += marks
        if self._count >= self._wanted:
            self._enough.set()

    async def open(
        self,
        count: int,
        port: int,
        path: str,
        subprotocol: str,
        hello: Sequence[bytes],
        *,
        at_once: int = 50,
        welcome: bytes = b'"welcome"',
        receive_bytes: int = 0,
    ) -> None:
        """Open so many clients; each says `hello` after the welcome and is answered by a confirmation each.

        With `receive_bytes` the system holds no more than about that for one that does not read.
        """
        self._receive_bytes = receive_bytes
        for start in range(0, count, at_once):
            together = min(at_once, count - start)
            await asyncio.gather(*(self._open(port, path, subprotocol, hello, welcome) for _ in range(together)))

    async def _open(self, port: int, path: str, subprotocol: str, hello: Sequence[bytes], welcome: bytes) -> None:
        offered = f"Sec-WebSocket-Protocol: {subprotocol}\r\n" if subprotocol else ""
        request = (
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\nSec-WebSocket-Version: 13\r\n"
            f"{offered}\r\n"
        ).encode()
        loop = asyncio.get_running_loop()
        socket = Socket(self, request)
        welcomed = socket.expect(welcome)
        end = sockets.socket()
        end.setblocking(False)
        if self._receive_bytes:  # before it connects: the window is agreed on then
            end.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, self._receive_bytes)
        await loop.sock_connect(end, ("127.0.0.1", port))
        await loop.create_connection(lambda: socket, sock=end)
        await welcomed
        for text in hello:
            confirmed = socket.expect(b'40{"sid"' if text == b"40" else b"confirm_")  # Engine.IO's own hello
            socket.send(text)
            await confirmed
        self.sockets.append(socket)

    async def expect(self, marks: int) -> None:
        """Wait until so many more events have arrived than when this was last asked."""
        self._wanted += marks
        if self._count < self._wanted:
            self._enough.clear()
            await self._enough.wait()

    def stall(self) -> None:
        """Let none of them read from now on."""
        for socket in self.sockets:
            if socket.transport is not None:
                socket.transport.pause_reading()

    def close(self) -> None:
        for socket in self.sockets:
            if socket.transport is not None:
                socket.transport.abort()
