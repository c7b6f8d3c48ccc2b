"""Postgres, Valkey and Temporal killed with -9 under load, in the stack that `make up` runs; its supervisor restarts them."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import text

from db.session import Database
from simulator.client import SimulatorClient
from stack.api_client import ApiClient
from stack.keys import StackKeys
from stack.paths import VarDir
from stack.seed import SIMULATED
from stack.state import StackState
from tests.e2e.checker import check
from tests.e2e.lines import OPEN_PARTS, UNHANDLED
from tests.e2e.system import ROOT, Talk

pytestmark = pytest.mark.full
COUNT = 150


@dataclass
class DemoSystem:
    """The part of a system that a talk needs."""

    simulator: SimulatorClient
    database: Database
    folder: Path


class DemoTalk(Talk):
    """A demo channel; rows are read as the owner, because the demo account's id is of no interest here."""

    async def rows(self, query: str) -> list[Any]:
        async with self.system.database.open() as conn:
            return list((await conn.execute(text(query))).all())


async def powernode(var: Path, *arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "cli.py", *arguments, cwd=ROOT, env={**os.environ, "POWERNODE_VAR_DIR": str(var)}
    )
    assert await process.wait() == 0


@pytest.fixture
async def running(tmp_path: Path) -> AsyncGenerator[StackState]:
    await powernode(tmp_path, "up", "--detach")
    state = StackState.read(tmp_path)
    assert state is not None
    yield state
    await powernode(tmp_path, "down")


class TestKilledServices:
    @pytest.mark.parametrize("name", ["postgres", "valkey", "temporal"])
    async def test_nothing_is_lost(self, running: StackState, tmp_path: Path, name: str) -> None:
        simulator = SimulatorClient(str(running.simulator_url))
        database = Database(running.database_owner_url)
        channel = running.demo_channels["slack"]
        async with ApiClient(running) as api:
            path = f"/api/v1/chat/channels/{channel.id}"
            fields = {"rate_limit_per_minute": 1000}
            shown = cast("dict[str, Any]", (await api.call("PATCH", path, {"channel": fields}))["channel"])
        await _hasten(simulator, tmp_path, shown)
        system = DemoSystem(simulator, database, tmp_path)
        talk = DemoTalk(cast("Any", system), cast("Any", None), "slack", shown["name"], {})
        begun = await simulator.post(
            "batch",
            {
                "channel": talk.name,
                "count": COUNT,
                "people": 10,
                "text": "question {i}. from {person}",
                "rate_per_s": 10,
            },
        )
        await simulator.deliveries(talk.name, at_least=COUNT // 3, timeout_s=60)
        os.kill(running.pids[name], signal.SIGKILL)
        report = begun
        while not report["done"]:
            report = await simulator.get(f"batch/{begun['batch']}", timeout_s=100)
        await talk.until(UNHANDLED, 0, timeout_s=180)
        await talk.until(OPEN_PARTS, 0, timeout_s=180)
        asked = [
            row.content for row in await talk.rows("SELECT content FROM chat_messages WHERE direction = 'inbound'")
        ]
        verdict = await check(talk, asked)
        assert verdict.asked == COUNT, verdict
        assert (verdict.lost, verdict.doubled, verdict.unstored, verdict.called_twice) == ([], [], [], []), verdict
        answers = {attempt["status"] for attempt in await simulator.deliveries(talk.name)}
        assert 500 not in answers
        await simulator.aclose()
        await database.close()


async def _hasten(simulator: SimulatorClient, var: Path, shown: dict[str, Any]) -> None:
    """Let the platform repeat as it would, but sixty times as fast, and never give up."""
    secret = StackKeys.keep(VarDir.at(var)).demo_channels
    credentials = SIMULATED["slack"](hashlib.sha256(f"{secret} slack".encode()).hexdigest()[:32])
    await simulator.register(
        "slack", shown["name"], shown["webhook_url"], dict(credentials), time_factor=60, persistent=True
    )
