"""The api as a process of its own on a Valkey of its own, an account in it, and a feed of numbered events."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from redis.asyncio import Redis

from realtime.client import redis_client
from realtime.publish import Publisher
from stack.embedded import StackUrls
from stack.ports import any_free
from tests.clients.library import has_node, install
from tests.conftest import DatabaseUrls
from tests.e2e.system import HASH, PASSWORD, Process, settings
from tests.realtime.cable import Json
from tests.realtime.support import running_valkey
from tests.tenants import Tenant, Wish, make_tenant


@pytest.fixture(scope="session", autouse=True)
async def libraries() -> None:
    """The libraries, installed."""
    if not has_node():
        pytest.skip("Node is not installed")
    await install()


@dataclass
class Feed:
    """Publishes 20 numbered events a second to each of its streams in turn. Shape: stream -> how many."""

    redis: Redis
    streams: list[str]
    sent: dict[str, int] = field(default_factory=dict[str, int])
    name: str = field(default_factory=lambda: uuid4().hex)

    async def run(self, seconds: float) -> None:
        """Publish for so long; what Redis did not take is published again."""
        publisher = Publisher(self.redis)
        for turn in range(int(seconds * 20)):
            stream = self.streams[turn % len(self.streams)]
            number = self.sent.get(stream, 0)
            await publisher.publish(stream, f"{self.name}-{number}", json.dumps({"n": number}).encode())
            self.sent[stream] = number + 1
            await asyncio.sleep(1 / 20)


@dataclass
class Api:
    """The running api, an account in it, and its Redis."""

    process: Process
    origin: str
    tenant: Tenant
    redis: Redis

    @property
    def url(self) -> str:
        return self.origin.replace("http", "ws") + "/cable"

    @property
    def channel(self) -> Json:
        return {"channel": "ChatChannelChannel", "params": {"channel_id": str(self.tenant.channel_id)}}

    @property
    def stream(self) -> str:
        return f"chat_channel_{self.tenant.channel_id}"

    async def token(self) -> str:
        """Log in, waiting for the api if it is just starting."""
        body = {"email": self.tenant.email, "password": PASSWORD}
        async with httpx2.AsyncClient(trust_env=False) as http:
            while True:
                try:
                    answer: Any = (await http.post(f"{self.origin}/api/v1/auth/login", json=body)).json()
                    return str(answer["data"]["access_token"])
                except httpx2.TransportError:
                    await asyncio.sleep(0.05)

    async def hub_hears(self) -> None:
        """Wait until its hub takes sockets."""
        async with httpx2.AsyncClient(trust_env=False) as http:
            while True:
                try:
                    answer: Any = (await http.get(f"{self.origin}/api/v1/health")).json()
                    if answer["data"]["parts"]["hub"]:
                        return
                except httpx2.TransportError:
                    pass
                await asyncio.sleep(0.05)


async def new_tenant(urls: DatabaseUrls) -> Tenant:
    return await make_tenant(urls.owner, Wish(password_hash=HASH))


@pytest.fixture(scope="module")
async def server(
    stack_urls: StackUrls, database_urls: DatabaseUrls, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Api]:
    """The api of this module and an account; tests may restart it and empty its Redis."""
    port = any_free()
    async with running_valkey() as valkey:
        environment = settings(stack_urls, database_urls, valkey.url, port, "http://127.0.0.1:9")
        folder = tmp_path_factory.mktemp("clients")
        process = Process("api", [sys.executable, "cli.py", "api"], environment, folder / "api.log")
        tenant = await new_tenant(database_urls)
        redis = redis_client(valkey.url)
        running = Api(process, f"http://127.0.0.1:{port}", tenant, redis)
        process.start()
        try:
            await running.hub_hears()
            yield running
        finally:
            await process.kill()
            await redis.aclose()


@pytest.fixture
async def api(server: Api, database_urls: DatabaseUrls) -> Api:
    """The api with an account, and so a stream, of the test's own: nothing that an earlier feed sent is on it."""
    return replace(server, tenant=await new_tenant(database_urls))
