"""One simulator for all sockets; each test has a bot of its own."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest_asyncio

from simulator.client import SimulatorClient
from simulator.server import running_simulator
from tests.simulator.support import Hook, running_hook


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def sim() -> AsyncGenerator[SimulatorClient]:
    async with running_simulator() as found:
        yield found


@pytest_asyncio.fixture(loop_scope="session")
async def hook() -> AsyncGenerator[Hook]:
    async with running_hook() as found:
        yield found
