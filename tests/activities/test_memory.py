"""Large files never stand in memory: 100 MB from a platform into the store costs a process less than 20 MB."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from pathlib import Path

from simulator.client import SimulatorClient
from simulator.server import running_simulator
from stack.paths import ROOT

SIZE, TOKEN = 100 << 20, "xoxb-memory"


async def sent(simulator: SimulatorClient, size: int) -> str:
    """Let a person send a file of this size; return its address as the event says it."""
    file = {"name": "a.bin", "kind": "document", "size": size}
    said = await simulator.say("s", "alice", files=[file], mode="sign_only")
    event = json.loads(base64.b64decode(said["body"]))["event"]
    return str(event["files"][0]["url_private"])


class TestMemory:
    async def test_a_hundred_megabytes(self, tmp_path: Path) -> None:
        async with running_simulator() as simulator:
            await simulator.register("slack", "s", None, {"bot_token": TOKEN, "signing_secret": "s"})
            small, large = await sent(simulator, 1_000), await sent(simulator, SIZE)
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.activities.fetch_large", small, large, TOKEN, str(tmp_path),
                cwd=ROOT, stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            said, _ = await process.communicate()
        found = json.loads(said)
        assert found["size"] == SIZE
        assert found["grew"] < 20 << 20
