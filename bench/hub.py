"""`make bench-hub`: the hub beside `websockets.broadcast()` and python-socketio, in turn; server CPU by /proc, the clients in this process.

One JSON line a row: KB per idle subscribed connection, CPU microseconds per delivery (single, and in bursts of 10),
latency at 20 events a second, a storm of returning clients, one connection against several per user, and readers
that stall (bench/stalled.py, which also runs by itself).
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import uvloop
from socketio import AsyncRedisManager  # pyright: ignore[reportMissingTypeStubs] - it has its types inline

from bench.sockets import Crowd
from bench.stalled import stalled_readers
from bench.wire import cpu_s, quantile
from realtime.client import ask_many, redis_client
from realtime.publish import Publication, Publisher
from tests.realtime import spark
from tests.realtime.cable import person
from tests.realtime.hub_process import ROOT, HubProcess, Tuning
from tests.realtime.support import free_port, running_valkey

CONNECTIONS = int(os.environ.get("CONNECTIONS", "1000"))
PASSES = int(os.environ.get("PASSES", "3"))
EVENTS = 40
CHANNEL = "bench"
SUBSCRIBE = json.dumps(
    {"command": "subscribe", "identifier": '{"channel":"SparkChannel","name":"main"}'}, separators=(",", ":")
).encode()
Publish = Callable[[int], Awaitable[None]]


def row(name: str, **figures: object) -> None:
    print(json.dumps({"bench": "hub", "row": name, **figures}), flush=True)


def pss_kb(pid: int) -> int:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))


@dataclass
class Server:
    """One of the two, how to reach it and how to make it say something."""

    name: str
    pid: int
    port: int
    path: str
    subprotocol: str
    publish: Publish
    hello: tuple[bytes, ...] = (SUBSCRIBE,)
    welcome: bytes = b'"welcome"'


@asynccontextmanager
async def product(redis_url: str) -> AsyncGenerator[Server]:
    hub = HubProcess(redis_url, Tuning(ping_interval_s=60, linger_s=3))
    await hub.start()
    redis = redis_client(redis_url)
    publisher = Publisher(redis)
    account_id = uuid4()
    token = spark.mint(person(account_id))
    stream = f"spark_{account_id}_main"

    async def publish(count: int) -> None:
        now = time.time_ns()
        items = [
            Publication(stream, uuid4().hex, b'{"bench":%d,"text":"%s"}' % (now, b"x" * 120)) for _ in range(count)
        ]
        await publisher.publish_many(items)

    try:
        assert hub.process is not None
        yield Server("powernode", hub.process.pid, hub.port, f"/cable?jid={token}", "actioncable-v1-json", publish)
    finally:
        await hub.kill()
        await redis.aclose()


@asynccontextmanager
async def peer(redis_url: str) -> AsyncGenerator[Server]:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.hub_peer", redis_url, str(port), CHANNEL, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    await process.stdout.readline()
    redis = redis_client(redis_url)

    async def publish(count: int) -> None:
        # As long as the product's frames, which carry identifier, stream, epoch and offset too.
        frame = b'{"bench":%d,"text":"%s"}' % (time.time_ns(), b"x" * 300)
        await ask_many(redis, [("PUBLISH", CHANNEL, frame)] * count)

    try:
        yield Server("websockets.broadcast", process.pid, port, "/", "", publish)
    finally:
        process.kill()
        await process.wait()
        await redis.aclose()


@asynccontextmanager
async def socketio_peer(redis_url: str) -> AsyncGenerator[Server]:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.socketio_peer", redis_url, str(port), CHANNEL,
        cwd=ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    await process.stdout.readline()
    while not await reachable(port):
        pass
    manager: Any = AsyncRedisManager(redis_url, write_only=True)

    async def publish(count: int) -> None:
        for _ in range(count):
            # As long as the product's frames, as above.
            await manager.emit("bench", {"bench": time.time_ns(), "text": "x" * 290}, room=CHANNEL)

    try:
        path, hello = "/socket.io/?EIO=4&transport=websocket", (b"40", b'42["subscribe",{}]')
        yield Server("python-socketio", process.pid, port, path, "", publish, hello, b'"pingInterval"')
    finally:
        process.kill()
        await process.wait()


async def reachable(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return False
    writer.close()
    return True


async def per_delivery_us(server: Server, crowd: Crowd, burst: int) -> float:
    """CPU of the server for each event that arrived, publishing the next when the last has reached everybody."""
    rounds = EVENTS if burst == 1 else EVENTS // 4
    before = cpu_s(server.pid)
    for _ in range(rounds):
        await server.publish(burst)
        await crowd.expect(burst * len(crowd.sockets))
    return (cpu_s(server.pid) - before) / (rounds * burst * len(crowd.sockets)) * 1e6


async def latencies(server: Server, crowd: Crowd, seconds: int = 5) -> dict[str, float]:
    """How long events take to reach every tenth of the clients at 20 a second, in ms."""
    for socket in crowd.sockets[::10]:
        socket.timed = True
    crowd.times.clear()
    for _ in range(20 * seconds):
        await server.publish(1)
        await asyncio.sleep(1 / 20)
    await crowd.expect(20 * seconds * len(crowd.sockets))
    return {"p50_ms": round(quantile(crowd.times, 0.5), 2), "p95_ms": round(quantile(crowd.times, 0.95), 2)}


async def fan_out(redis_url: str, found: dict[str, dict[str, list[float]]]) -> None:
    """One pass of both."""
    for make in (product, peer, socketio_peer):
        async with make(redis_url) as server:
            crowd = Crowd()
            before = pss_kb(server.pid)
            await crowd.open(
                CONNECTIONS, server.port, server.path, server.subprotocol, server.hello, welcome=server.welcome
            )
            figures = {"kb": (pss_kb(server.pid) - before) / CONNECTIONS}
            await per_delivery_us(server, crowd, 1)  # warm
            figures["single_us"] = await per_delivery_us(server, crowd, 1)
            figures["burst_us"] = await per_delivery_us(server, crowd, 10)
            figures |= await latencies(server, crowd)
            crowd.close()
        for name, value in figures.items():
            found.setdefault(server.name, {}).setdefault(name, []).append(value)


async def storm(redis_url: str, clients: int = 2000) -> None:
    """Clients that all return at once and ask for what they missed."""
    async with product(redis_url) as server:
        await server.publish(50)
        subscribe = SUBSCRIBE[:-1] + b',"history":{"since":0}}'
        hub = HubProcess(redis_url, port=server.port)
        before = await hub.counters()
        crowd = Crowd()
        started = time.perf_counter()
        await crowd.open(clients, server.port, server.path, "actioncable-v1-ext-json", [subscribe], at_once=500)
        await crowd.expect(50 * clients)
        seconds = time.perf_counter() - started
        after = await hub.counters()
        crowd.close()
    row("storm", clients=clients, seconds=round(seconds, 2), log_reads=after["log_reads"] - before["log_reads"])


async def multiplexed(redis_url: str, users: int = 500) -> None:
    """Nine subscriptions a user on one connection, and on four."""
    identifiers = [json.dumps({"channel": "SparkChannel", "name": f"n{number}"}) for number in range(9)]
    subscribes = [json.dumps({"command": "subscribe", "identifier": one}).encode() for one in identifiers]
    for sockets in (1, 4):
        async with product(redis_url) as server:
            before, cpu_before = pss_kb(server.pid), cpu_s(server.pid)
            crowd = Crowd()
            for part in range(sockets):
                await crowd.open(users, server.port, server.path, server.subprotocol, subscribes[part::sockets])
            row(
                "multiplexed",
                users=users,
                connections=users * sockets,
                subscriptions=users * 9,
                mb=round((pss_kb(server.pid) - before) / 1024, 1),
                cpu_s=round(cpu_s(server.pid) - cpu_before, 2),
            )
            crowd.close()


async def run() -> None:
    """All measurements."""
    async with running_valkey() as valkey:
        found: dict[str, dict[str, list[float]]] = {}
        for _ in range(PASSES):
            await fan_out(valkey.url, found)
        median = {
            server: {name: round(statistics.median(values), 2) for name, values in figures.items()}
            for server, figures in found.items()
        }
        for server, figures in median.items():
            row("fan_out", server=server, connections=CONNECTIONS, **figures)
        ours, theirs = median["powernode"], median["websockets.broadcast"]
        row("ratios", **{name: round(ours[name] / theirs[name], 2) for name in ours})
        await storm(valkey.url)
        await multiplexed(valkey.url)
        row("stalled", **await stalled_readers(valkey.url, PASSES))


if __name__ == "__main__":
    uvloop.run(run())
