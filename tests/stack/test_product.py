"""The product under its own commands, as a person runs it: up in the background, status, a second up, migrate, down."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import pytest

from simulator.client import SimulatorClient
from stack.paths import ROOT
from stack.seed import SIMULATED
from stack.state import StackState
from tests.stack.stacks import alive, family, toy_folder

REAL = "whatsapp"
"""Not simulated in this stack."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command said and how it ended."""

    status: int
    out: str


async def powernode(folder: Path, *arguments: str, **more: str) -> Ran:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(ROOT / "cli.py"), *arguments),
        cwd="/",
        env={**os.environ, "POWERNODE_VAR_DIR": str(folder), **more},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return Ran(process.returncode or 0, out.decode())


def state(folder: Path) -> StackState:
    found = StackState.read(folder)
    assert found is not None
    return found


@pytest.fixture(scope="module")
async def product() -> AsyncGenerator[Path]:
    """A running product's folder."""
    async with toy_folder() as folder:
        started = await powernode(folder, "up", "--detach", POWERNODE_REAL_PLATFORMS=REAL)
        assert started.status == 0, started.out
        assert "Powernode is ready" in started.out
        yield folder
        await powernode(folder, "down")


class TestUp:
    async def test_demo_channels_point_at_the_simulator(self, product: Path) -> None:
        found = state(product)
        assert set(found.demo_channels) == set(SIMULATED) - {REAL}
        assert all(channel.webhook_url.startswith(found.api_url) for channel in found.demo_channels.values())
        assert set(found.pids) == {"postgres", "valkey", "temporal", "api", "worker", "simulator", "supervisor"}

    async def test_a_platform_that_there_is_not_is_said(self) -> None:
        async with toy_folder() as folder:
            ran = await powernode(folder, "up", "--detach", POWERNODE_REAL_PLATFORMS="icq")
        assert ran.status != 0
        assert "POWERNODE_REAL_PLATFORMS names unknown platforms: icq" in ran.out

    @pytest.mark.full
    async def test_second_up_finds_what_the_first_one_made(self, product: Path) -> None:
        before = state(product)
        assert (await powernode(product, "up", "--detach", POWERNODE_REAL_PLATFORMS=REAL)).status == 0
        after = state(product)
        assert after.demo_channels == before.demo_channels
        assert after.admin == before.admin
        assert after.pids["supervisor"] != before.pids["supervisor"]


class TestStatus:
    async def test_all_is_well(self, product: Path) -> None:
        ran = await powernode(product, "status", "--json")
        standing = json.loads(ran.out)
        assert (ran.status, standing["status"], standing["ended"]) == (0, "ok", [])
        assert standing["parts"] == dict.fromkeys(("hub", "postgres", "redis", "temporal", "worker"), True)

    async def test_shows_what_was_set_aside_with_its_reason(self, product: Path) -> None:
        async with SimulatorClient(state(product).simulator_url or "") as simulator:
            body = base64.b64encode(b'{"update_id": "not a number"}').decode()
            await simulator.post("deliver", {"platform": "telegram", "body_base64": body, "wait": True})
        standing = json.loads((await powernode(product, "status", "--json")).out)
        assert standing["waiting"]["quarantined"] == 1
        assert standing["matters"][0]["reason"]
        assert "webhooks set aside: 1" in (await powernode(product, "status")).out

    async def test_nothing_runs(self) -> None:
        async with toy_folder() as folder:
            ran = await powernode(folder, "status")
        assert (ran.status, ran.out) == (3, "Nothing runs here; start it with `make up`\n")


class TestMigrate:
    async def test_uses_the_running_stack(self, product: Path) -> None:
        assert (await powernode(product, "migrate")).status == 0

    async def test_without_a_database_says_what_to_set(self) -> None:
        async with toy_folder() as folder:
            ran = await powernode(folder, "migrate")
        assert ran.status == 2
        assert "POWERNODE_DATABASE_OWNER_URL" in ran.out


class TestApi:
    async def test_missing_settings_are_named(self) -> None:
        async with toy_folder() as folder:
            ran = await powernode(folder, "api")
        assert ran.status == 2
        assert "POWERNODE_JWT_SECRET is missing" in ran.out


class TestDown:
    async def test_leaves_no_process(self, product: Path) -> None:
        everything = family(state(product).pids["supervisor"])
        assert len(everything) > 7
        ran = await powernode(product, "down")
        assert (ran.status, ran.out) == (0, "stopped\n")
        assert alive(everything) == []
        assert (await powernode(product, "down")).out == "nothing was running\n"
