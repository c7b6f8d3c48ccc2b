"""Readers that do not keep up, next to some that do; a hub that hears nothing from Redis. Both ways of sending."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import cast
from uuid import uuid4

import pytest
from redis.asyncio import Redis
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from realtime.connection import Connection, ConnectionLimits, Flusher
from realtime.counters import Count
from realtime.frames import Frame, data
from realtime.limits import HubSettings
from realtime.protocol import EXTENDED
from realtime.publish import Publication
from tests.realtime import spark
from tests.realtime.cable import FAST_BROKER, QUIET, Cable, Client, identifier, person, running_cable
from tests.realtime.hub_process import HubProcess, Tuning, running_hubs
from tests.realtime.stage import GAUGE, SPARK, Stage
from tests.realtime.support import WAIT_S, Valkey, until


class Pipe:
    """A transport that a test may stop up."""

    def __init__(self) -> None:
        self.full = False
        self.resumed: Callable[[], None] | None = None
        self.taken: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.taken.append(data)

    def abort(self) -> None: ...

    def settle(self) -> None: ...


async def never(_text: str) -> None:
    raise AssertionError("with a transport of its own, nothing goes by ASGI")


def piped(pipe: Pipe, **limits: int) -> Connection:
    someone = person(uuid4())
    return Connection("sid", someone, never, ConnectionLimits(**limits), wire=pipe, flusher=Flusher())


async def a_turn() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


class TestConnection:
    async def test_what_is_pushed_in_one_turn_leaves_in_one_write(self) -> None:
        pipe = Pipe()
        connection = piped(pipe)
        frames = [Frame(b'"%d"' % n) for n in range(10)]
        for frame in frames:
            connection.push(frame)
        assert pipe.taken == []
        await a_turn()
        assert pipe.taken == [b"".join(frame.wire for frame in frames)]

    async def test_a_full_transport_gets_nothing_until_it_has_room(self) -> None:
        pipe = Pipe()
        connection = piped(pipe)
        pipe.full = True
        connection.push(Frame(b"1"))
        await a_turn()
        assert (pipe.taken, connection.size_bytes) == ([], 1)
        pipe.full = False
        assert pipe.resumed is not None
        pipe.resumed()
        await a_turn()
        assert (pipe.taken, connection.size_bytes) == ([b"\x81\x011"], 0)

    @pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
    async def test_frames_of_all_sizes_are_whole(self, size: int) -> None:
        head = Frame(b"x" * size).wire[: -size or None]
        assert head[0] == 0x81
        assert head[1:] == {0: b"\x00", 125: b"\x7d", 126: b"\x7e\x00\x7e", 65535: b"\x7e\xff\xff"}.get(
            size, b"\x7f" + size.to_bytes(8, "big")
        )

    async def test_under_pressure_passing_frames_are_dropped_and_stored_ones_kept(self) -> None:
        pipe = Pipe()
        pipe.full = True
        connection = piped(pipe, pressure_bytes=100)
        connection.push(data("i", b"1" * 100, stream="s", epoch="e", offset=1))
        connection.push(data("i", b"2", stream="s"))
        connection.push(data("i", b"3", stream="s", epoch="e", offset=2))
        pipe.full = False
        connection.flush()
        assert connection.dropped == 1
        assert b'"message":3' in pipe.taken[0]
        assert b'"message":2' not in pipe.taken[0]

    async def test_answers_to_the_client_itself_are_never_dropped(self) -> None:
        pipe = Pipe()
        pipe.full = True
        connection = piped(pipe, pressure_bytes=1)
        for _ in range(3):
            connection.push(data("i", b'"answer"'))
        assert connection.dropped == 0

    async def test_too_much_ends_it(self) -> None:
        pipe = Pipe()
        pipe.full = True
        connection = piped(pipe, outbox_bytes=100)
        connection.push(Frame(b"x" * 101))
        assert connection.ended.result().reason == "too_slow"


class TestLatestOnly:
    async def test_a_slow_reader_gets_the_newest_and_is_not_cut(self, hubs: list[HubProcess], stage: Stage) -> None:
        for hub in (0, 1):
            async with stage.client(hub) as slow, stage.client(hub) as healthy:
                for client in (slow, healthy):
                    await client.subscribe(GAUGE)
                slow.socket.transport.pause_reading()
                for number in range(120):
                    await stage.publish([number, "x" * 100_000])
                    assert cast("list[object]", await healthy.message())[0] == number
                slow.socket.transport.resume_reading()
                seen = [cast("list[int]", await slow.message())[0]]
                while seen[-1] != 119:
                    seen.append(cast("list[int]", await slow.message())[0])
                assert seen == sorted(seen)
                assert len(seen) < 120
                assert await slow.settled() == []


@pytest.fixture(scope="module")
async def small(shared_valkey: Valkey) -> AsyncIterator[list[HubProcess]]:
    """One that sends by the transport, one by ASGI; both hold little for a reader that is slow."""
    tunings = [Tuning(wire=wire, outbox_bytes=300_000, farewell_s=0.2) for wire in (True, False)]
    async with running_hubs(shared_valkey.url, *tunings) as running:
        yield running


class TestSlowReaders:
    @pytest.mark.parametrize("hub", [0, 1])
    async def test_the_stalled_are_cut_and_the_others_miss_nothing(
        self, small: list[HubProcess], redis: Redis, hub: int
    ) -> None:
        stage = Stage(small, redis)
        async with AsyncExitStack() as clients:
            healthy = [await self.listener(stage, hub, clients) for _ in range(5)]
            stalled = [await self.listener(stage, hub, clients) for _ in range(5)]
            for client in stalled:
                client.socket.transport.pause_reading()
            for number in range(80):
                await stage.publish([number, "x" * 100_000])
                for client in healthy:
                    assert cast("list[object]", await client.message())[0] == number
            while (await small[hub].counters())["open"] > 5:
                pass
            assert (await small[hub].counters())["too_slow"] == 5
            for client in stalled:
                client.socket.transport.abort()

    async def listener(self, stage: Stage, hub: int, clients: AsyncExitStack) -> Client:
        client = await clients.enter_async_context(stage.client(hub))
        await client.subscribe(SPARK)
        return client


@pytest.mark.full
class TestManySlowReaders:
    """What bench/stalled.py measures, smaller: nobody waits for anybody, and the system has room for a few KB only."""

    EVENTS, HEALTHY, STALLED = 150, 180, 20

    @pytest.mark.parametrize("wire", [True, False])
    async def test_each_healthy_one_has_all_in_order_and_each_stalled_one_is_cut(
        self, shared_valkey: Valkey, redis: Redis, wire: bool
    ) -> None:
        async with (
            running_hubs(shared_valkey.url, Tuning(wire=wire, farewell_s=0.2)) as hubs,
            AsyncExitStack() as clients,
        ):
            stage = Stage(hubs, redis)
            healthy = [await clients.enter_async_context(stage.client()) for _ in range(self.HEALTHY)]
            for client in healthy:
                await client.subscribe(SPARK)
            for _ in range(self.STALLED):
                await self.stall(stage, clients)
            async with asyncio.TaskGroup() as tasks:
                readers = [tasks.create_task(self.read(client)) for client in healthy]
                for number in range(self.EVENTS):
                    await stage.publish("x" * 50_000, "large")
                    await stage.publish(number)
            assert [reader.result() for reader in readers] == [list(range(self.EVENTS))] * self.HEALTHY
            async with asyncio.timeout(WAIT_S):
                while (await hubs[0].counters())["open"] > self.HEALTHY:
                    pass
            assert (await hubs[0].counters())["too_slow"] == self.STALLED
            assert [frame for client in healthy for frame in await client.settled()] == []

    async def read(self, client: Client) -> list[object]:
        return [await client.message() for _ in range(self.EVENTS)]

    async def stall(self, stage: Stage, clients: AsyncExitStack) -> None:
        """Add one of both streams that stops reading; it hears no goodbye either."""
        narrow = socket.socket()
        narrow.setblocking(False)
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await asyncio.get_running_loop().sock_connect(narrow, ("127.0.0.1", stage.hubs[0].port))
        url = f"{stage.hubs[0].url}?jid={spark.mint(stage.person())}"
        opened = connect(url, sock=narrow, subprotocols=[Subprotocol(EXTENDED)], compression=None, ping_interval=None)
        client = Client(await clients.enter_async_context(opened))
        await client.next()
        for name in (SPARK, identifier("SparkChannel", name="large")):
            await client.subscribe(name)
        client.socket.transport.pause_reading()
        clients.callback(client.socket.transport.abort)


class TestDeafHub:
    async def test_takes_no_new_sockets_and_keeps_those_it_has(self, own_valkey: Valkey, own_redis: Redis) -> None:
        timing = type(FAST_BROKER.subscriber)(canary_period_s=0.02, deaf_after_s=0.3, max_backoff_s=0.05)
        settings = HubSettings(ping_interval_s=60, broker=type(FAST_BROKER)(linger_s=0, subscriber=timing))
        async with running_cable(own_redis, settings) as cable:
            session_id = cable.shelf.add_session(cable.account_id)
            name = identifier("ChatSessionChannel", session_id=str(session_id))
            async with cable.client() as client:
                await client.subscribe(name)
                await client.settled()
                own_valkey.pause()
                await until(lambda: not cable.hub.hearing)
                await self.refused(cable)
                await client.send(command="ping")
                assert await client.next() == {"type": "pong"}
                own_valkey.resume()
                await until(lambda: cable.hub.accepting)
                await cable.publisher.publish(f"chat_session_{session_id}", "e", b'"heard"')
                assert await client.message() == "heard"
                async with cable.client():
                    pass

    async def refused(self, cable: Cable) -> None:
        with pytest.raises(InvalidStatus) as refused:
            async with cable.raw(f"?token={cable.token(person(cable.account_id))}"):
                pass
        assert refused.value.response.status_code == 503
        assert cable.hub.counters[Count.REFUSED] == 1


class TestStorm:
    async def test_of_returning_clients_reads_each_stream_once(self, redis: Redis) -> None:
        settings = HubSettings(ping_interval_s=60, broker=FAST_BROKER, rates=QUIET.rates)
        async with running_cable(redis, settings) as cable:
            session_id = cable.shelf.add_session(cable.account_id)
            name = identifier("ChatSessionChannel", session_id=str(session_id))
            stream = f"chat_session_{session_id}"
            await cable.publisher.publish_many([Publication(stream, f"e{n}", b"%d" % n) for n in range(50)])
            ready = asyncio.Barrier(101)

            async def one_client() -> None:
                token = cable.token(person(cable.account_id))
                async with cable.raw(f"?token={token}", protocols=["actioncable-v1-ext-json"]) as client:
                    await client.next()
                    await ready.wait()
                    await client.send(command="subscribe", identifier=name, history={"since": 0})
                    seen: list[object] = []
                    while (frame := await client.next()).get("type") != "confirm_history":
                        seen += [frame["message"]] if "offset" in frame else []
                    assert seen == list(range(50))

            async with asyncio.TaskGroup() as tasks:
                for _ in range(100):
                    tasks.create_task(one_client())
                await ready.wait()
            assert cable.hub.counters[Count.LOG_READS] == 1
