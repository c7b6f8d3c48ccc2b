"""The api in this process, over ASGI, on real Postgres and Redis; and people of two accounts."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from adapters.registry import platform_names
from api.app import create_app
from api.hub import open_hub
from api.passwords import hash_password
from config import Settings
from domain.permissions import Role
from realtime.hub import Hub
from tests.adapters.support import FakeServer, fake_server
from tests.conftest import DatabaseUrls
from tests.realtime.support import until
from tests.tenants import Tenant, Wish, make_tenant

PASSWORD = "correct horse battery staple"
HASH = hash_password(PASSWORD)
CREDENTIALS = {"telegram": {"bot_token": "1:a", "webhook_secret": "s3cret"}}


@dataclass(frozen=True)
class Person:
    """Somebody logged in, in an account of their own."""

    tenant: Tenant
    client: httpx2.AsyncClient

    async def get(self, path: str, **params: Any) -> httpx2.Response:
        return await self.client.get(f"/api/v1{path}", params=params)

    async def post(self, path: str, body: object = None) -> httpx2.Response:
        return await self.client.post(f"/api/v1{path}", json=body)


Login = Callable[..., Coroutine[Any, Any, Person]]


def build_app(database_url: str, redis_url: str, **more: Any) -> FastAPI:
    """Return an api like the one that the fixture gives; close its `state.services` at the end."""
    return create_app(
        Settings(
            database_url=SecretStr(database_url),
            redis_url=SecretStr(redis_url),
            jwt_secret=SecretStr("j" * 32),
            credentials_key=SecretStr(base64.b64encode(b"0" * 32).decode()),
            public_url="https://chat.example.org",
            chat_queue="chat",
            claim_s=20,
            **more,
        )
    )


@pytest.fixture
async def server() -> AsyncGenerator[FakeServer]:
    """The platforms' APIs, scripted."""
    async with fake_server() as fake:
        yield fake


@pytest.fixture
async def app(
    database_urls: DatabaseUrls, redis_url: str, redis: object, server: FakeServer, tmp_path: Path
) -> AsyncGenerator[FastAPI]:
    outside = dict.fromkeys(platform_names(), server.origin)
    application = build_app(database_urls.app, redis_url, platform_api_base=outside, files_dir=tmp_path / "files")
    yield application
    await application.state.services.close()


def client_of(app: FastAPI) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app, raise_app_exceptions=False), base_url="https://chat.example.org"
    )


@pytest.fixture
async def hub(app: FastAPI) -> AsyncGenerator[Hub]:
    """The part of the api that comes with its lifespan."""
    async with open_hub(app, app.state.services):
        found: Hub = app.state.hub
        await until(lambda: found.hearing, "the hub")
        yield found


@pytest.fixture
async def anybody(app: FastAPI) -> AsyncGenerator[httpx2.AsyncClient]:
    async with client_of(app) as client:
        yield client


@pytest.fixture
async def login(app: FastAPI, database_urls: DatabaseUrls) -> AsyncGenerator[Login]:
    open_clients: list[httpx2.AsyncClient] = []

    async def log_in(role: Role = Role.OWNER) -> Person:
        wish = Wish(role=role, password_hash=HASH, credentials=CREDENTIALS["telegram"])
        tenant = await make_tenant(database_urls.owner, wish)
        client = client_of(app)
        open_clients.append(client)
        answer = await client.post("/api/v1/auth/login", json={"email": tenant.email, "password": PASSWORD})
        client.headers["Authorization"] = f"Bearer {answer.json()['data']['access_token']}"
        return Person(tenant, client)

    yield log_in
    for client in open_clients:
        await client.aclose()
