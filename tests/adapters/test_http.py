"""Fencing and the three-valued outcome, over real sockets."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from contextlib import suppress

import httpx2
import pytest
import uvloop

from adapters.http import Answer, Call, Lost, NotSent, call
from tests.adapters.support import Drop, FakeServer, Reply, Stall


class ClaimGoneError(Exception):
    """The claim ran out."""


def refuse() -> None:
    raise ClaimGoneError


def reset_all(listening: socket.socket) -> None:
    """Reset every connection as soon as it stands, until the socket is closed."""
    with suppress(OSError):
        while True:
            taken, _ = listening.accept()
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            taken.close()


async def many_calls(origin: str) -> list[object]:
    async with httpx2.AsyncClient(trust_env=False) as http:
        found: list[object] = []
        for _ in range(400):
            found += await asyncio.gather(*(call(http, Call(origin, json_body={})) for _ in range(5)))
    return found


class TestCall:
    async def test_returns_status_headers_and_body(self, http: httpx2.AsyncClient, server: FakeServer) -> None:
        server.will(Reply(429, {"ok": False}, {"Retry-After": "7"}))
        outcome = await call(http, Call(f"{server.origin}/x", json_body={"text": "ä"}))
        assert isinstance(outcome, Answer)
        assert (outcome.status, outcome.json_object(), outcome.retry_after_s()) == (429, {"ok": False}, 7.0)
        assert server.received[0].json == {"text": "ä"}

    async def test_does_not_follow_redirects(self, http: httpx2.AsyncClient, server: FakeServer) -> None:
        server.will(Reply(302, b"", {"Location": f"{server.origin}/elsewhere"}))
        outcome = await call(http, Call(f"{server.origin}/x"))
        assert isinstance(outcome, Answer)
        assert (outcome.status, len(server.received)) == (302, 1)

    async def test_a_lone_surrogate_can_be_sent(self, http: httpx2.AsyncClient, server: FakeServer) -> None:
        server.will(Reply(200, {}))
        assert isinstance(await call(http, Call(f"{server.origin}/x", json_body={"t": "\ud800\x00"})), Answer)

    @pytest.mark.parametrize(
        "url", ["http://127.0.0.1:1/x", "http://no-such-host.invalid/x", "no-scheme", "http://a\x00b/"]
    )
    async def test_what_never_left_was_not_sent(self, http: httpx2.AsyncClient, url: str) -> None:
        assert isinstance(await call(http, Call(url, timeout_s=5)), NotSent)

    async def test_a_failed_tls_handshake_was_not_sent(self, http: httpx2.AsyncClient, server: FakeServer) -> None:
        server.will(Drop())
        outcome = await call(http, Call(server.origin.replace("http://", "https://"), timeout_s=5))
        assert isinstance(outcome, NotSent)

    async def test_an_exhausted_pool_was_not_sent(self, server: FakeServer) -> None:
        server.will(Stall())
        async with httpx2.AsyncClient(trust_env=False, limits=httpx2.Limits(max_connections=1)) as small:
            first = asyncio.create_task(call(small, Call(server.origin, timeout_s=30)))
            await server.arrived.wait()
            assert isinstance(await call(small, Call(server.origin, timeout_s=0.05)), NotSent)
            server.closing.set()
            assert isinstance(await first, Lost)

    @pytest.mark.parametrize("line", [Drop(), Stall(), Reply(200, {"ok": True}, cut_after=3), Reply(200, b"x" * 100)])
    async def test_an_answer_that_does_not_come_whole_is_lost(
        self, http: httpx2.AsyncClient, server: FakeServer, line: Reply | Drop | Stall
    ) -> None:
        server.will(line)
        outcome = await call(http, Call(server.origin, timeout_s=0.3, max_bytes=50))
        assert isinstance(outcome, Lost)
        assert len(server.received) == 1

    async def test_a_connection_that_is_reset_at_once_was_not_sent_or_lost(self) -> None:
        # In a loop like the worker's: there the client trips over a socket that is gone already.
        with socket.create_server(("127.0.0.1", 0)) as listening:
            server = asyncio.create_task(asyncio.to_thread(reset_all, listening))
            origin = f"http://127.0.0.1:{listening.getsockname()[1]}"
            try:
                outcomes = await asyncio.to_thread(uvloop.run, many_calls(origin))
            finally:
                listening.shutdown(socket.SHUT_RDWR)
                await server
        assert {type(one) for one in outcomes} <= {NotSent, Lost}

    async def test_reasons_hold_no_address(self, http: httpx2.AsyncClient) -> None:
        outcome = await call(http, Call("http://127.0.0.1:1/botSECRET/x"))
        assert isinstance(outcome, NotSent)
        assert "SECRET" not in outcome.reason

    async def test_the_client_logs_no_address(
        self, http: httpx2.AsyncClient, server: FakeServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        server.will(Reply(200, {}))
        with caplog.at_level(logging.INFO):
            await call(http, Call(f"{server.origin}/botSECRET/x"))
        assert "SECRET" not in caplog.text


class TestBeforeWrite:
    async def test_runs_once_before_any_byte_leaves(self, http: httpx2.AsyncClient, server: FakeServer) -> None:
        seen: list[int] = []
        server.will(Reply(200, {}))
        await call(http, Call(server.origin, json_body={}, before_write=lambda: seen.append(server.bytes_in)))
        assert seen == [0]

    async def test_its_error_reaches_the_caller_and_nothing_is_sent(
        self, http: httpx2.AsyncClient, server: FakeServer
    ) -> None:
        with pytest.raises(ClaimGoneError):
            await call(http, Call(server.origin, json_body={}, before_write=refuse))
        assert (server.bytes_in, server.received) == (0, [])

    async def test_even_a_timeout_of_its_own_reaches_the_caller(
        self, http: httpx2.AsyncClient, server: FakeServer
    ) -> None:
        def late() -> None:
            raise TimeoutError("claim")

        with pytest.raises(TimeoutError, match="claim"):
            await call(http, Call(server.origin, json_body={}, before_write=late))

    async def test_a_kept_connection_is_not_left_half_used(self, http: httpx2.AsyncClient, server: FakeServer) -> None:
        server.will(Reply(200, {}))
        await call(http, Call(server.origin, json_body={"n": 1}))
        with pytest.raises(ClaimGoneError):
            await call(http, Call(server.origin, json_body={"n": 2}, before_write=refuse))
        outcome = await call(http, Call(server.origin, json_body={"n": 3}))
        assert isinstance(outcome, Answer)
        assert [one.json["n"] for one in server.received] == [1, 3]
        assert [one.connection for one in server.received] == [1, 2]

    async def test_cancelling_is_let_through(self, http: httpx2.AsyncClient, server: FakeServer) -> None:
        server.will(Stall())
        task = asyncio.create_task(call(http, Call(server.origin, timeout_s=30)))
        await server.arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
