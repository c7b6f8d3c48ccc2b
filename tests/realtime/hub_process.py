"""A hub as a process of its own, with the channels of spark.py: what tests start two of, and clients and benches talk to.

`python -m tests.realtime.hub_process <redis url> <port> [<settings as JSON>]`; prints its port when it serves.
`GET /counters` tells what it counted. SIGTERM drains it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import httpx2
import structlog
import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute

from realtime.admission import AdmissionLimits, CommandRates, Rate
from realtime.broker import BrokerTiming
from realtime.client import redis_client
from realtime.connection import ConnectionLimits
from realtime.door import Door
from realtime.events import EventsApp
from realtime.fanout import GateLimits
from realtime.hub import Hub
from realtime.limits import HubSettings
from realtime.protocol import MAX_FRAME_BYTES
from realtime.server import CableApp
from realtime.wire import CableProtocol
from tests.realtime import spark
from tests.realtime.support import WAIT_S, free_port

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Tuning:
    """What a test may change, in words that JSON has."""

    wire: bool = True
    ping_interval_s: float = 60
    pongs_required: bool = False
    presence_ttl_s: float = 15
    gate_wait_s: float = 5
    gate_bytes: int = 256 * 1024
    per_user: int = 100_000
    per_address: int = 100_000
    linger_s: float = 0
    drain_s: float = 0.2
    authenticate_timeout_s: float = 5
    outbox_bytes: int = 1024 * 1024
    farewell_s: float = 2
    command_rate: float = 10_000

    def settings(self) -> HubSettings:
        """The same as the hub wants it."""
        rate = Rate(self.command_rate, max(1, int(self.command_rate)))
        return HubSettings(
            ping_interval_s=self.ping_interval_s,
            pongs_required=self.pongs_required,
            presence_ttl_s=self.presence_ttl_s,
            authenticate_timeout_s=self.authenticate_timeout_s,
            connection=ConnectionLimits(outbox_bytes=self.outbox_bytes, farewell_s=self.farewell_s),
            gate=GateLimits(self.gate_wait_s, self.gate_bytes),
            admission=AdmissionLimits(
                sockets=100_000, per_address=self.per_address, per_user=self.per_user, arrivals=Rate(1e6, 1_000_000)
            ),
            rates=CommandRates(rate, rate, rate, rate),
            broker=BrokerTiming(linger_s=self.linger_s),
        )


class _NoResources:
    """Channels of spark.py look nothing up."""


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, hub: Hub, drain_s: float) -> None:
        super().__init__(config)
        self._hub, self._drain_s = hub, drain_s

    async def shutdown(self, sockets: object = None) -> None:
        await self._hub.drain(self._drain_s)
        await super().shutdown(None)


async def serve(redis_url: str, port: int, tuning: Tuning) -> None:
    """Serve until SIGTERM."""
    redis = redis_client(redis_url)
    hub = Hub(redis, cast("object", _NoResources()), channels=spark.CHANNELS, settings=tuning.settings())  # pyright: ignore[reportArgumentType]
    app = Starlette()
    door = Door(hub, spark.authenticate, [])
    cable = CableApp(hub, door, cast("object", None))  # pyright: ignore[reportArgumentType]
    events = EventsApp(hub, door, cast("object", None))  # pyright: ignore[reportArgumentType]

    async def counters(_request: Request) -> JSONResponse:
        return JSONResponse(
            {**hub.counters.snapshot(), "open": hub.connections, "rss_kb": _rss_kb(), "hearing": hub.hearing}
        )

    app.routes.extend((WebSocketRoute("/cable", endpoint=cable), Route("/events", endpoint=events)))
    app.routes.append(Route("/counters", counters))
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, lifespan="off", log_level="warning", access_log=False, backlog=4096,
        ws=CableProtocol if tuning.wire else "websockets-sansio", ws_per_message_deflate=False,
        ws_max_size=MAX_FRAME_BYTES, ws_ping_interval=None, timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = _Server(config, hub, tuning.drain_s)
    await hub.start()
    serving = asyncio.create_task(server.serve())
    while not (server.started and hub.accepting) and not serving.done():
        await asyncio.sleep(0.01)
    print(port, flush=True)  # noqa: T201
    await serving
    await hub.stop()
    await redis.aclose()


def _rss_kb() -> int:
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


@dataclass
class HubProcess:
    """A running one, seen from outside."""

    redis_url: str
    tuning: Tuning = field(default_factory=Tuning)
    port: int = field(default_factory=free_port)
    process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/cable"

    async def start(self) -> None:
        """Start on the same port as before, if there was one."""
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.realtime.hub_process", self.redis_url, str(self.port),
            json.dumps(vars(self.tuning)), cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output = self.process.stdout
        assert output is not None
        async with asyncio.timeout(WAIT_S * 2):
            assert int(await output.readline()) == self.port

    async def counters(self) -> dict[str, int]:
        async with httpx2.AsyncClient() as http:
            return (await http.get(f"http://127.0.0.1:{self.port}/counters")).json()

    async def stop(self) -> None:
        """End it as a deploy does."""
        if self.process is not None and self.process.returncode is None:
            self.process.terminate()
            await self.process.communicate()

    async def kill(self) -> None:
        """End it as a crash does."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.communicate()


@contextlib.asynccontextmanager
async def running_hubs(redis_url: str, *tunings: Tuning) -> AsyncGenerator[list[HubProcess]]:
    """Start hubs that share a Redis."""
    hubs = [HubProcess(redis_url, tuning) for tuning in tunings]
    try:
        await asyncio.gather(*(hub.start() for hub in hubs))
        yield hubs
    finally:
        await asyncio.gather(*(hub.kill() for hub in hubs))


if __name__ == "__main__":
    # Nobody reads what it prints after its port, and a full pipe would stop it.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    uvloop.run(serve(sys.argv[1], int(sys.argv[2]), Tuning(**json.loads(sys.argv[3] if len(sys.argv) > 3 else "{}"))))
