"""A stack with one channel, and the command `powernode` as a person calls it there. For the tests of say and trace."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from simulator.server import running_simulator
from stack.embedded import StackUrls
from stack.state import Admin, DemoChannel, StackState
from tests.conftest import DatabaseUrls
from tests.e2e.system import HASH, PASSWORD, ROOT, System, Talk, start_system
from tests.tenants import Wish


@dataclass(frozen=True)
class Place:
    """A running system, and the folder in which the commands find it."""

    system: System
    talk: Talk
    folder: Path

    async def powernode(self, *arguments: str) -> tuple[int, str, str]:
        return await powernode(self.folder, *arguments)


async def powernode(var: Path, *arguments: str) -> tuple[int, str, str]:
    """Run the command as a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "cli.py",
        *arguments,
        cwd=ROOT,
        env={**os.environ, "POWERNODE_VAR_DIR": str(var), "COLUMNS": "200"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


@asynccontextmanager
async def place(
    stack_urls: StackUrls, urls: DatabaseUrls, redis_url: str, folder: Path, platform: str, wish: Wish | None = None
) -> AsyncGenerator[Place]:
    """Run a system with one channel of a platform."""
    async with running_simulator() as simulator:
        system = await start_system(stack_urls, urls, redis_url, simulator.origin, folder)
        try:
            talk = await system.open_talk(platform, replace(wish or Wish(), password_hash=HASH))
            [row] = await talk.rows("SELECT name FROM chat_channels")
            # The commands know a channel by the name it has in the product.
            talk = replace(talk, name=str(row.name))
            await simulator.register(platform, talk.name, talk.webhook_url, talk.credentials)
            state = StackState(
                api_url=system.api_url,
                cable_url=system.api_url.replace("http", "ws") + "/cable",
                temporal_address=stack_urls.temporal_address,
                temporal_namespace=stack_urls.temporal_namespace,
                temporal_ui_url="http://temporal.example.org",
                database_url=urls.app,
                database_owner_url=urls.owner,
                redis_url=redis_url,
                simulator_url=simulator.origin,
                admin=Admin(email=talk.tenant.email, password=PASSWORD),
                demo_channels={platform: DemoChannel(id=str(talk.tenant.channel_id), webhook_url=talk.webhook_url)},
            )
            (folder / "stack.json").write_text(state.model_dump_json())
            yield Place(system, talk, folder)
        finally:
            await system.close()
