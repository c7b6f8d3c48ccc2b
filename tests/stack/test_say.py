"""`powernode say` on a running system, as a person would use it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from api.passwords import hash_password
from simulator.server import running_simulator
from stack.embedded import StackUrls
from stack.state import Admin, DemoChannel, StackState
from tests.conftest import DatabaseUrls
from tests.e2e.system import ROOT, start_system
from tests.tenants import Wish

PASSWORD = "a long enough password"


async def powernode(var: Path, *arguments: str) -> tuple[int, str, str]:
    """Run the command as a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "cli.py",
        *arguments,
        cwd=ROOT,
        env={**os.environ, "POWERNODE_VAR_DIR": str(var)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


class TestSay:
    async def test_shows_the_answer_the_receipt_and_where_to_look(
        self, stack_urls: StackUrls, database_urls: DatabaseUrls, redis_url: str, tmp_path: Path
    ) -> None:
        async with running_simulator() as simulator:
            system = await start_system(stack_urls, database_urls, redis_url, simulator.origin, tmp_path)
            talk = await system.open_talk("slack", Wish(password_hash=hash_password(PASSWORD)))
            await simulator.register("slack", await _channel_name(talk), talk.webhook_url, talk.credentials)
            state = StackState(
                api_url=system.api_url,
                cable_url=system.api_url.replace("http", "ws") + "/cable",
                temporal_address=stack_urls.temporal_address,
                temporal_namespace=stack_urls.temporal_namespace,
                temporal_ui_url="http://temporal.example.org",
                database_url=database_urls.app,
                database_owner_url=database_urls.owner,
                redis_url=redis_url,
                simulator_url=simulator.origin,
                admin=Admin(email=talk.tenant.email, password=PASSWORD),
                demo_channels={"slack": DemoChannel(id=str(talk.tenant.channel_id), webhook_url=talk.webhook_url)},
            )
            (tmp_path / "stack.json").write_text(state.model_dump_json())
            for said in ("hello", "hello again"):
                status, out, err = await powernode(tmp_path, "say", "--platform", "slack", "--json", said)
                assert status == 0, err
                story = json.loads(out)
                assert said in story["answer"]
                assert story["receipt"]["delivery_status"] == "sent"
                assert story["trace_id"]
                assert story["link"].endswith(f"/workflows/session:{story['session_id']}")
                assert {"webhook answered", "answer recorded", "platform: sent"} <= set(story["hops"])
            await system.close()

    async def test_says_what_to_do_when_nothing_runs(self, tmp_path: Path) -> None:
        status, _, err = await powernode(tmp_path, "say", "hello")
        assert status == 3
        assert "make up" in err


async def _channel_name(talk: object) -> str:
    from tests.e2e.system import Talk

    assert isinstance(talk, Talk)
    [row] = await talk.rows("SELECT name FROM chat_channels")
    return str(row.name)


pytestmark = pytest.mark.usefixtures("redis")
