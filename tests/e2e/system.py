"""The whole system as it runs: api and worker as processes of their own, the simulator on a real socket.

Processes can be killed, stopped and started again by a test; all of them end with it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import orjson
from sqlalchemy import text

from api.passwords import hash_password
from db.session import Database
from simulator.client import SimulatorClient
from stack.ports import any_free
from stack.seed import SIMULATED
from tests.conftest import DatabaseUrls
from tests.tenants import Tenant, Wish, make_tenant

ROOT = Path(__file__).parents[2]
KEY = base64.b64encode(b"0" * 32).decode()
PASSWORD = "a long enough password"
HASH = hash_password(PASSWORD)
"""Of `PASSWORD`, for the wish of a talk whose person logs in."""


def credentials_of(platform: str, mark: str) -> dict[str, str]:
    """Return what a simulated bot has."""
    if platform == "telegram":
        return {"bot_token": f"{int(mark[:6], 16)}:{mark}", "webhook_secret": f"s-{mark}"}
    if platform == "slack":
        return {"bot_token": f"xoxb-{mark}", "signing_secret": f"sign-{mark}", "app_token": f"xapp-{mark}"}
    return dict(SIMULATED[platform](hashlib.sha256(mark.encode()).hexdigest()[:32]))


@dataclass
class Process:
    """One process of ours."""

    name: str
    command: list[str]
    environment: dict[str, str]
    log: Path
    running: subprocess.Popen[bytes] | None = None

    def start(self, **more: str) -> None:
        """Start it; `more` are settings for this start only."""
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(
                self.command, env=self.environment | more, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
            )

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self.running is not None
        os.kill(self.running.pid, number)

    async def ended(self) -> int:
        """Wait until it has ended."""
        assert self.running is not None
        return await asyncio.to_thread(self.running.wait, 60)

    async def stopped(self) -> None:
        """Wait until it stands still (SIGSTOP)."""
        assert self.running is not None
        await asyncio.to_thread(os.waitpid, self.running.pid, os.WUNTRACED)

    async def kill(self) -> None:
        """Kill it and wait until it is gone."""
        if self.running is not None and self.running.poll() is None:
            self.send(signal.SIGKILL)
            await self.ended()


@dataclass
class Talk:
    """A channel of an account, registered at the simulator."""

    system: System
    tenant: Tenant
    platform: str
    name: str
    credentials: dict[str, str]

    async def say(self, person: str, said: str = "", **more: Any) -> dict[str, Any]:
        """Let a person write; waits until the webhook was answered."""
        return await self.system.simulator.say(self.name, person, said, **({"wait": True} | more))

    async def replies(self, count: int, person: str | None = None, timeout_s: float = 60.0) -> list[dict[str, Any]]:
        """Wait until the bot has sent so many messages, and return them in order."""
        filters = {"as_": person} if person else {}
        found = await self.system.simulator.received(self.name, at_least=count, timeout_s=timeout_s, **filters)
        assert len(found) >= count, f"{len(found)} of {count} replies; see {self.system.folder}"
        return found

    async def rows(self, query: str) -> list[Any]:
        """Read rows of this account."""
        async with self.system.database.account(self.tenant.account_id) as conn:
            return list((await conn.execute(text(query))).all())

    async def until(self, query: str, wanted: object, timeout_s: float = 60.0) -> None:
        """Wait until a query's single value is `wanted`: what happens without a word to the outside."""
        found: object = None
        try:
            async with asyncio.timeout(timeout_s):
                while (found := await self._value(query)) != wanted:
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{query}: {found!r}, not {wanted!r}; see {self.system.folder}") from None

    async def token(self) -> str:
        """Log the account's person in and return their token. The talk was opened with `HASH`."""
        answer = await self.system.http.post(
            f"{self.system.api_url}/api/v1/auth/login", json={"email": self.tenant.email, "password": PASSWORD}
        )
        return str(answer.json()["data"]["access_token"])

    async def _value(self, query: str) -> object:
        found = await self.rows(query)
        return found[0][0] if found else None

    @property
    def webhook_url(self) -> str:
        """Where the platform posts."""
        return f"{self.system.api_url}/api/v1/chat/webhooks/{self.tenant.webhook_token}"


@dataclass
class System:
    """Everything, and how to reach it."""

    api_url: str
    api: Process
    workers: list[Process]
    simulator: SimulatorClient
    database: Database
    urls: DatabaseUrls
    folder: Path
    http: httpx2.AsyncClient = field(default_factory=lambda: httpx2.AsyncClient(timeout=30.0, trust_env=False))

    @property
    def worker(self) -> Process:
        """The first worker."""
        return self.workers[0]

    async def ready(self) -> None:
        """Wait until the api and a worker are well."""
        async with asyncio.timeout(60):
            while not await self._well():
                await asyncio.sleep(0.05)

    async def _well(self) -> bool:
        try:
            return (await self.http.get(f"{self.api_url}/api/v1/health")).status_code == 200
        except httpx2.TransportError:
            return False

    async def open_talk(self, platform: str, wish: Wish | None = None, **options: Any) -> Talk:
        """Make an account with a channel, and register it at the simulator."""
        mark = os.urandom(6).hex()
        credentials = credentials_of(platform, mark)
        wanted = wish or Wish()
        tenant = await make_tenant(
            self.urls.owner,
            Wish(
                platform=platform,
                credentials=credentials,
                configuration=wanted.configuration,
                tools=wanted.tools,
                rate=wanted.rate,
                password_hash=wanted.password_hash,
                provider=wanted.provider,
            ),
        )
        talk = Talk(self, tenant, platform, f"{platform}-{mark}", credentials)
        await self.simulator.register(
            platform, talk.name, talk.webhook_url, credentials, **({"time_factor": 600, "persistent": True} | options)
        )
        return talk

    async def close(self) -> None:
        """End everything."""
        for process in (self.api, *self.workers):
            await process.kill()
        await self.http.aclose()
        await self.simulator.aclose()
        await self.database.close()


def settings(stack_urls: Any, urls: DatabaseUrls, redis_url: str, port: int, simulator: str) -> dict[str, str]:
    """Return the environment of the processes."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("POWERNODE_", "PYTEST_"))}
    return kept | {
        "DATABASE_URL": urls.app,
        "POWERNODE_DATABASE_OWNER_URL": urls.owner,
        "REDIS_URL": redis_url,
        "TEMPORAL_ADDRESS": stack_urls.temporal_address,
        "TEMPORAL_NAMESPACE": stack_urls.temporal_namespace,
        "POWERNODE_PORT": str(port),
        "POWERNODE_JWT_SECRET": "j" * 32,
        "POWERNODE_CREDENTIALS_KEY": KEY,
        "POWERNODE_PLATFORM_API_BASE": orjson.dumps(dict.fromkeys(SIMULATED, simulator)).decode(),
        "POWERNODE_AGENT_BASE_URL": f"{simulator}/v1",
        "POWERNODE_AGENT_API_KEY": "k",
        "POWERNODE_TRANSCRIPTION_BASE_URL": f"{simulator}/v1",
        "POWERNODE_TRANSCRIPTION_API_KEY": "k",
        "POWERNODE_CHAT_QUEUE": f"test-{urls.name}",
        "POWERNODE_WORKFLOW_SANDBOX": "true",
        "POWERNODE_CLAIM_S": "2",
        "POWERNODE_LOG_LEVEL": "info",
        "PYTHONUNBUFFERED": "1",
    }


async def start_system(
    stack_urls: Any, urls: DatabaseUrls, redis_url: str, simulator: str, folder: Path, *, workers: int = 1
) -> System:
    """Start the api and workers, and wait until they are well."""
    port = any_free()
    environment = settings(stack_urls, urls, redis_url, port, simulator)
    environment["POWERNODE_FILES_DIR"] = str(folder / "files")
    api = Process("api", [sys.executable, "cli.py", "api"], environment, folder / "api.log")
    crew = [
        Process(f"worker{number}", [sys.executable, "worker.py"], environment, folder / f"worker{number}.log")
        for number in range(workers)
    ]
    system = System(f"http://127.0.0.1:{port}", api, crew, SimulatorClient(simulator), Database(urls.app), urls, folder)
    for process in (api, *crew):
        process.start()
    await system.ready()
    return system
