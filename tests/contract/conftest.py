"""A scripted server and a client for the contract tests."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import httpx2
import pytest_asyncio

from tests.adapters.support import FakeServer, fake_server


@pytest_asyncio.fixture(loop_scope="session")
async def server() -> AsyncGenerator[FakeServer]:
    async with fake_server() as fake:
        yield fake


@pytest_asyncio.fixture(loop_scope="session")
async def http() -> AsyncGenerator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(trust_env=False) as client:
        yield client
