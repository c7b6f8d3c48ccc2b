"""The product as it runs for real, for the measurements: embedded services, an api and a worker process, some channels."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx2
from sqlalchemy import text

from db import accounts
from db.channels import token_hash
from db.credentials import CredentialBox
from db.migrate import upgrade
from db.session import Database
from domain.permissions import Role
from stack.embedded import EmbeddedServices, StackUrls
from stack.ports import any_free

ROOT = Path(__file__).parents[1]
KEY = base64.b64encode(b"0" * 32).decode()
CHANNELS = 12
"""Several, because a channel takes at most 1,000 messages a minute at once."""


@dataclass(frozen=True)
class Channel:
    """A channel's webhook path and secret."""

    path: str
    secret: str


@dataclass(frozen=True)
class Product:
    """A running product."""

    api_url: str
    temporal_address: str
    owner_url: str
    channels: list[Channel]
    pids: dict[str, int]


async def _seed(owner_url: str) -> list[Channel]:
    box, database = CredentialBox([KEY]), Database(owner_url, pool_size=1)
    channels: list[Channel] = []
    async with database.open() as conn:
        account_id = await accounts.create_account(conn, "Bench", "bench")
        await accounts.create_member(
            conn, account_id, email="bench@example.org", name="Bench", password_hash="-", role=Role.OWNER
        )
        agent_id = await accounts.create_agent(
            conn, account_id, name="Bench", slug="bench", provider="local", model="local"
        )
        for number in range(CHANNELS):
            channel_id, token, secret = uuid4(), uuid4().hex, uuid4().hex
            await conn.execute(
                text(
                    "INSERT INTO chat_channels (id, account_id, platform, name, status, webhook_token,"
                    " webhook_token_hash, rate_limit_per_minute, credentials, default_agent_id) VALUES"
                    " (:id, :account, 'telegram', :name, 'connected', :token, :hash, 1000, :credentials, :agent)"
                ),
                {
                    "id": channel_id,
                    "account": account_id,
                    "name": f"Bench {number}",
                    "token": token,
                    "hash": token_hash(token),
                    "credentials": box.seal(channel_id, {"bot_token": f"{number}:x", "webhook_secret": secret}),
                    "agent": agent_id,
                },
            )
            channels.append(Channel(f"/api/v1/chat/webhooks/{token}", secret))
    await database.close()
    return channels


def environment(urls: StackUrls, port: int, platform_origin: str) -> dict[str, str]:
    """Return the settings of the product's processes."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("POWERNODE_")},
        "DATABASE_URL": urls.database_url,
        "REDIS_URL": urls.redis_url,
        "TEMPORAL_ADDRESS": urls.temporal_address,
        "POWERNODE_PORT": str(port),
        "POWERNODE_JWT_SECRET": "b" * 32,
        "POWERNODE_CREDENTIALS_KEY": KEY,
        "POWERNODE_PLATFORM_API_BASE": f'{{"telegram": "{platform_origin}"}}',
        "POWERNODE_LOG_LEVEL": "warning",
        # The platform allows one chat a message a second; here the product is to be measured, not the wait.
        "POWERNODE_SEND_PACE": "1000",
        "PYTHONPATH": str(ROOT),
    }


async def _ready(url: str) -> None:
    async with httpx2.AsyncClient() as http:
        for _ in range(600):
            try:
                if (await http.get(url)).status_code == 200:
                    return
            except httpx2.TransportError:
                pass
            await asyncio.sleep(0.05)
    raise RuntimeError(f"{url} did not become ready")


@asynccontextmanager
async def running_product(platform_origin: str, *, peer_queue: str | None = None) -> AsyncGenerator[Product]:
    """Run everything on free ports under a folder of its own, and end it."""
    with tempfile.TemporaryDirectory(prefix="powernode-bench-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o711)  # noqa: PTH101 - Postgres's own user walks through
        async with EmbeddedServices(Path(folder), durable=True) as urls:
            await asyncio.to_thread(upgrade, urls.database_owner_url)
            channels = await _seed(urls.database_owner_url)
            port = any_free()
            settings = environment(urls, port, platform_origin)
            commands = [["cli.py", "api"], ["worker.py"]]
            if peer_queue is not None:
                commands.append(["-m", "bench.peer_worker", urls.temporal_address, peer_queue, platform_origin])
            started = [
                await asyncio.create_subprocess_exec(
                    sys.executable, *command, env=settings, cwd=ROOT, stdout=asyncio.subprocess.DEVNULL
                )
                for command in commands
            ]
            pids = {**urls.pids, "api": started[0].pid, "worker": started[1].pid}
            try:
                await _ready(f"http://127.0.0.1:{port}/api/v1/health")
                yield Product(
                    f"http://127.0.0.1:{port}", urls.temporal_address, urls.database_owner_url, channels, pids
                )
            finally:
                for process in started:
                    process.send_signal(signal.SIGKILL)
                    await process.wait()
