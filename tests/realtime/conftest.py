"""Fixtures of the hub's tests: one Valkey a run, emptied for each test; clients that close."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from realtime.client import ask, redis_client
from realtime.publish import Publisher
from tests.realtime.cable import Cable, running_cable
from tests.realtime.hub_process import HubProcess, Tuning, running_hubs
from tests.realtime.stage import Stage
from tests.realtime.support import Valkey, running_valkey


@pytest.fixture(scope="session")
async def shared_valkey() -> AsyncIterator[Valkey]:
    async with running_valkey() as server:
        yield server


@pytest.fixture
async def own_valkey() -> AsyncIterator[Valkey]:
    """One that the test may kill."""
    async with running_valkey() as server:
        yield server


@pytest.fixture
async def redis(shared_valkey: Valkey) -> AsyncIterator[Redis]:
    client = redis_client(shared_valkey.url)
    await ask(client, "FLUSHALL")
    yield client
    await client.aclose()


@pytest.fixture
async def own_redis(own_valkey: Valkey) -> AsyncIterator[Redis]:
    client = redis_client(own_valkey.url)
    yield client
    await client.aclose()


@pytest.fixture
def publisher(redis: Redis) -> Publisher:
    return Publisher(redis)


@pytest.fixture(params=["wire", "send"])
async def cable(redis: Redis, request: pytest.FixtureRequest) -> AsyncIterator[Cable]:
    """Once by the transport, once by ASGI's send, as under a server that does not offer it."""
    async with running_cable(redis, wire=request.param == "wire") as running:
        yield running


@pytest.fixture(scope="module")
async def hubs(shared_valkey: Valkey) -> AsyncIterator[list[HubProcess]]:
    """Two processes on one Redis; the second sends by ASGI."""
    async with running_hubs(shared_valkey.url, Tuning(), Tuning(wire=False)) as running:
        yield running


@pytest.fixture
async def stage(hubs: list[HubProcess], shared_valkey: Valkey) -> AsyncIterator[Stage]:
    """An account of one's own on them."""
    redis = redis_client(shared_valkey.url)
    yield Stage(hubs, redis)
    await redis.aclose()
