"""Fixtures that every test may use: real services, a database of its own, a clean Redis, a Temporal client.

Nothing starts before a test asks for it. What one package's tests need stands in that folder's conftest.py.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from uuid import uuid4

import asyncpg
import pytest
from hypothesis import HealthCheck, settings
from redis.asyncio import Redis
from temporalio.client import Client

from db.migrate import upgrade
from db.session import Database
from realtime.client import ask, redis_client
from stack.embedded import StackUrls
from stack.postgres import APP, OWNER
from tests import embedded_stack

_TEMPLATE = "template_powernode"
_exit_status = pytest.StashKey[int]()

settings.register_profile("powernode", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("powernode")


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def pytest_configure(config: pytest.Config) -> None:
    if not _is_worker(config):
        embedded_stack.announce()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[_exit_status] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """End the services; then end this process without the interpreter's own exit, in which the Temporal SDK's threads
    can abort after all work succeeded (temporalio/sdk-python#300)."""
    if not _is_worker(config):
        embedded_stack.end()
    status = config.stash.get(_exit_status, None)
    if status is not None:
        config.get_terminal_writer().flush()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


@pytest.fixture(scope="session")
def stack_urls() -> StackUrls:
    """Addresses of Postgres, Valkey and Temporal, shared by the whole run."""
    return embedded_stack.services()


@dataclass(frozen=True, slots=True)
class DatabaseUrls:
    """One database, as the app role and as the owner of its tables."""

    name: str
    app: str
    owner: str


def _in_database(url: str, name: str) -> str:
    return f"{url.rpartition('/')[0]}/{name}"


async def _execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def _create(name: str, template: str = "template1") -> tuple[str, ...]:
    return (
        f"CREATE DATABASE {name} OWNER {OWNER} TEMPLATE {template}",
        f"REVOKE ALL ON DATABASE {name} FROM PUBLIC",
        f"GRANT CONNECT ON DATABASE {name} TO {APP}",
    )


def _make_template(urls: StackUrls) -> None:
    asyncio.run(_execute(urls.database_admin_url, *_create(_TEMPLATE)))
    upgrade(_in_database(urls.database_owner_url, _TEMPLATE))


@pytest.fixture(scope="session")
def database_template(stack_urls: StackUrls) -> str:
    """Name of a migrated, empty database, to be copied and never connected to."""
    with ThreadPoolExecutor(1) as pool:  # a thread of its own: this one may have a loop
        pool.submit(embedded_stack.once, "template", lambda: _make_template(stack_urls)).result()
    return _TEMPLATE


@pytest.fixture(scope="module")
async def database_urls(stack_urls: StackUrls, database_template: str) -> AsyncGenerator[DatabaseUrls]:
    """A migrated, empty database of this test module."""
    name = f"test_{uuid4().hex}"
    await _execute(stack_urls.database_admin_url, *_create(name, database_template))
    yield DatabaseUrls(
        name, _in_database(stack_urls.database_url, name), _in_database(stack_urls.database_owner_url, name)
    )
    await _execute(stack_urls.database_admin_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
async def database(database_urls: DatabaseUrls) -> AsyncGenerator[Database]:
    """The module's database as the processes see it: as the app role, behind row-level security."""
    opened = Database(database_urls.app)
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def redis_url(stack_urls: StackUrls, worker_id: str) -> str:
    """A numbered Redis database of this xdist worker."""
    number = int(worker_id.removeprefix("gw")) + 1 if worker_id.startswith("gw") else 0
    return f"{stack_urls.redis_url.rpartition('/')[0]}/{number}"


@pytest.fixture
async def redis(redis_url: str) -> AsyncGenerator[Redis]:
    """A client on this worker's Redis database, emptied before the test."""
    client = redis_client(redis_url)
    await ask(client, "FLUSHDB")
    yield client
    await client.aclose()


@pytest.fixture(scope="session")
async def temporal_client(stack_urls: StackUrls) -> Client:
    """A client on the namespace that all tests share: take `task_queue` and ids of your own."""
    return await Client.connect(stack_urls.temporal_address, namespace=stack_urls.temporal_namespace)


@pytest.fixture
def task_queue() -> str:
    """A task queue that no other test uses."""
    return f"test-{uuid4().hex}"
