"""A running system for the tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from simulator.server import running_simulator
from stack.embedded import StackUrls
from tests.conftest import DatabaseUrls
from tests.e2e.system import System, start_system


@pytest.fixture(scope="module")
async def simulator_origin() -> AsyncGenerator[str]:
    async with running_simulator() as simulator:
        yield simulator.origin


@pytest.fixture(scope="module")
async def system(
    stack_urls: StackUrls,
    database_urls: DatabaseUrls,
    redis_url: str,
    simulator_origin: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncGenerator[System]:
    """Api, worker and simulator of this module."""
    folder: Path = tmp_path_factory.mktemp("system")
    running = await start_system(stack_urls, database_urls, redis_url, simulator_origin, folder)
    yield running
    await running.close()
