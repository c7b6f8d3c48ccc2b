"""Fixtures of the hub's tests: one Valkey a run, emptied for each test; clients that close."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from realtime.client import ask, redis_client
from realtime.publish import Publisher
from tests.realtime.cable import Cable, running_cable
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


@pytest.fixture
async def cable(redis: Redis) -> AsyncIterator[Cable]:
    async with running_cable(redis) as running:
        yield running
