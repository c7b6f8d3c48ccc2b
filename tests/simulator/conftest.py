"""One simulator a run; each test registers bots of its own, so that tests do not see each other."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest

from simulator.client import SimulatorClient
from simulator.server import running_simulator
from tests.simulator.support import Bot, Hook, new_bot, running_hook


@pytest.fixture(scope="session")
async def sim() -> AsyncIterator[SimulatorClient]:
    async with running_simulator() as client:
        yield client


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    async with running_hook() as hook:
        yield hook


@pytest.fixture
async def telegram(sim: SimulatorClient, http: httpx2.AsyncClient, hook: Hook) -> Bot:
    return await new_bot(sim, http, hook, "telegram", time_factor=600)


@pytest.fixture
async def slack(sim: SimulatorClient, http: httpx2.AsyncClient, hook: Hook) -> Bot:
    return await new_bot(sim, http, hook, "slack", time_factor=6000, echo_own=False)
