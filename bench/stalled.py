"""200 readers among 2,000 that stop reading: what the others feel of it. A row of `make bench-hub` (bench/hub.py).

Everybody listens to small events; the 200 to large ones as well, which fill what the system and the hub hold for them
until they are cut. The same 2,000 without the large events, and with all of them reading, stand beside.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import time
from dataclasses import dataclass
from enum import StrEnum
from uuid import uuid4

import uvloop

from bench.sockets import Crowd
from bench.wire import quantile
from realtime.client import redis_client
from realtime.publish import Publication
from tests.realtime import spark
from tests.realtime.cable import identifier
from tests.realtime.hub_process import HubProcess, Tuning
from tests.realtime.stage import Stage
from tests.realtime.support import running_valkey

HEALTHY = int(os.environ.get("HEALTHY", "1800"))
SLOW = int(os.environ.get("SLOW", "200"))
PASSES = int(os.environ.get("PASSES", "3"))
PER_SECOND = 10
SECONDS = 10
# Linux alone holds 2 MB for a loopback socket that nobody reads, and the hub 1 MB: they are full, and cut, near the end.
LARGE_BYTES = 50_000
WINDOW_BYTES = 4096
TARGET = 2.0


class Slow(StrEnum):
    """What the 200 do."""

    QUIET = "quiet"
    READING = "reading"
    STALLED = "stalled"


@dataclass
class Pass:
    """One measurement: p95 of the healthy in ms, how many were cut by then, and in the end."""

    p95_ms: float
    cut_meanwhile: int
    cut: int


def subscribes(*names: str) -> list[bytes]:
    return [
        json.dumps({"command": "subscribe", "identifier": identifier("SparkChannel", name=name)}).encode()
        for name in names
    ]


async def one_pass(redis_url: str, slow: Slow) -> Pass:
    """Start a hub, fill it with everybody, and publish."""
    hub = HubProcess(redis_url, Tuning(ping_interval_s=60, linger_s=3))
    await hub.start()
    redis = redis_client(redis_url)
    try:
        stage = Stage([hub], redis)
        path = f"/cable?jid={spark.mint(stage.person())}"
        healthy, others = Crowd(), Crowd()
        await healthy.open(HEALTHY, hub.port, path, "actioncable-v1-json", subscribes("main"))
        window = WINDOW_BYTES if slow is Slow.STALLED else 0
        both = subscribes("main", "large")
        await others.open(SLOW, hub.port, path, "actioncable-v1-json", both, receive_bytes=window)
        if slow is Slow.STALLED:
            others.stall()
        await publish(stage, large=slow is not Slow.QUIET, healthy=healthy)
        p95_ms, meanwhile = quantile(healthy.times, 0.95), (await hub.counters())["too_slow"]
        async with asyncio.timeout(30):
            while slow is Slow.STALLED and (await hub.counters())["open"] > HEALTHY:
                await publish_large(stage)
        cut = (await hub.counters())["too_slow"]
        assert cut == (SLOW if slow is Slow.STALLED else 0), f"{cut} were cut"
        healthy.close()
        others.close()
        return Pass(p95_ms, meanwhile, cut)
    finally:
        await hub.kill()
        await redis.aclose()


async def publish(stage: Stage, *, large: bool, healthy: Crowd) -> None:
    """Publish at an even rate until the healthy have it all; every tenth of them is timed."""
    for socket in healthy.sockets[::10]:
        socket.timed = True
    started = time.perf_counter()
    for number in range(PER_SECOND * SECONDS):
        await asyncio.sleep(max(0, started + number / PER_SECOND - time.perf_counter()))
        if large:
            await publish_large(stage)
        small = b'{"bench":%d,"text":"%s"}' % (time.time_ns(), b"x" * 120)
        await stage.publisher.publish_many([Publication(stage.stream(), uuid4().hex, small)])
    async with asyncio.timeout(30):
        await healthy.expect(PER_SECOND * SECONDS * HEALTHY)


async def publish_large(stage: Stage) -> None:
    await stage.publisher.publish_many(
        [Publication(stage.stream("large"), uuid4().hex, b'"%s"' % (b"x" * LARGE_BYTES))]
    )


async def stalled_readers(redis_url: str, passes: int) -> dict[str, object]:
    """The row: medians of passes taken in turn, and the ratios to both of the others."""
    found: dict[Slow, list[Pass]] = {slow: [] for slow in Slow}
    for _ in range(passes):
        for slow in Slow:
            found[slow].append(await one_pass(redis_url, slow))
    p95 = {slow: statistics.median(one.p95_ms for one in taken) for slow, taken in found.items()}
    return {
        "healthy": HEALTHY,
        "slow": SLOW,
        **{f"p95_{slow}_ms": round(value, 2) for slow, value in p95.items()},
        "ratio_to_quiet": round(p95[Slow.STALLED] / p95[Slow.QUIET], 2),
        "ratio_to_reading": round(p95[Slow.STALLED] / p95[Slow.READING], 2),
        "target": TARGET,
        "cut_meanwhile": [one.cut_meanwhile for one in found[Slow.STALLED]],
        "cut": [one.cut for one in found[Slow.STALLED]],
    }


async def run() -> None:
    """This row alone: `python -m bench.stalled`."""
    async with running_valkey() as valkey:
        print(json.dumps({"bench": "hub", "row": "stalled", **await stalled_readers(valkey.url, PASSES)}), flush=True)


if __name__ == "__main__":
    uvloop.run(run())
