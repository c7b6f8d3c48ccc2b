"""What each platform costs: verify and parse beside the SDK that does it, inbound to delivered, a connector's memory.

`make bench-platforms`; one JSON line a row. Parsing: one text message as the simulator signs it, µs of one core, beside
slack_sdk's verifier, aiogram's `Update`, PyNaCl; where no SDK does it, beside the least that anybody must do (the proof and
json.loads). Throughput: 150 messages of 30 people at once on the embedded stack, until the platform has every answer.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2
import orjson
from nacl.signing import VerifyKey
from slack_sdk.signature import SignatureVerifier

from adapters.base import ChannelContext, WebhookRequest
from adapters.registry import Platforms
from db.migrate import upgrade
from simulator.client import SimulatorClient
from simulator.server import running_simulator
from stack.embedded import EmbeddedServices
from stack.paths import ROOT
from stack.seed import SIMULATED
from tests.conftest import DatabaseUrls
from tests.e2e.lines import PLATFORMS, open_line
from tests.e2e.system import System, start_system

PASSES: Final = int(os.environ.get("PASSES", "3"))
ROUNDS: Final = 2_000
MESSAGES, PEOPLE = 150, 30
CHANNELS: Final = 1_000
SECRET: Final = hashlib.sha256(b"bench").hexdigest()[:32]
Work = Callable[[], object]


@dataclass(frozen=True)
class Side:
    """What is measured beside ours: its name and its work; None where it has an interpreter of its own."""

    name: str
    work: Work | None


def row(**values: object) -> None:
    print(orjson.dumps({"bench": "platforms", **values}).decode(), flush=True)


def microseconds(work: Work) -> float:
    """Return µs for one call, of this thread's own time."""
    started = time.thread_time()
    for _ in range(ROUNDS):
        work()
    return (time.thread_time() - started) / ROUNDS * 1e6


async def signed(sim: SimulatorClient, platform: str) -> tuple[dict[str, str], WebhookRequest]:
    """Return a bot's credentials and a webhook with a text message for it."""
    credentials = dict(SIMULATED[platform](SECRET))
    await sim.register(platform, platform, "http://127.0.0.1:1/hook", credentials)
    found = await sim.say(platform, "alice", "Are you open on Sundays? 👋", mode="sign_only")
    request = found["requests"][0]
    headers = {name.lower(): [value] for name, value in request["headers"].items()}
    headers.setdefault("content-type", ["application/json"])
    return credentials, WebhookRequest("POST", headers, {}, base64.b64decode(request["body"]))


def beside(platform: str, credentials: dict[str, str], request: WebhookRequest) -> Side:
    """Return who else does it."""
    body, headers = request.body, {name: values[0] for name, values in request.headers.items()}
    if platform == "slack":
        verifier = SignatureVerifier(credentials["signing_secret"])
        return Side("slack_sdk verifier, json", lambda: (verifier.is_valid_request(body, headers), json.loads(body)))
    if platform == "discord":
        key, signature = credentials["public_key"], bytes.fromhex(headers["x-signature-ed25519"])
        stamped = headers["x-signature-timestamp"].encode() + body
        return Side(
            "PyNaCl, json", lambda: (VerifyKey(bytes.fromhex(key)).verify(stamped, signature), json.loads(body))
        )
    if platform == "whatsapp":
        secret = credentials["app_secret"].encode()
        return Side("hmac, json", lambda: (hmac.new(secret, body, hashlib.sha256).hexdigest(), json.loads(body)))
    return Side("aiogram, Update", None) if platform == "telegram" else Side("json", lambda: json.loads(body))


def aiogram(credentials: dict[str, str], body: bytes) -> list[float]:
    """Return aiogram's passes."""
    asked = {"body": body.decode(), "secret": credentials["webhook_secret"], "rounds": ROUNDS, "passes": PASSES}
    interpreter = ROOT / ".venv-oracles" / "bin" / "python"
    script = ROOT / "bench" / "foreign" / "aiogram_parses.py"
    done = subprocess.run([interpreter, script], input=json.dumps(asked), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


async def parsing() -> None:
    """Verify and parse, in turn with the other side."""
    async with running_simulator() as sim, httpx2.AsyncClient(trust_env=False) as http:
        adapters = Platforms(http)
        for platform in PLATFORMS:
            credentials, request = await signed(sim, platform)
            adapter, now = adapters.get(platform), time.time()
            channel = ChannelContext("c", credentials, {}, {"id": "1", "user_id": "U1", "username": "us"})

            def ours(adapter: Any = adapter, request: Any = request, channel: Any = channel, now: float = now) -> None:
                adapter.verify(request, channel, now)
                adapter.parse(request, channel)

            other = beside(platform, credentials, request)
            passes: list[tuple[float, float]] = []
            foreign = aiogram(credentials, request.body) if other.work is None else []
            for number in range(PASSES):
                theirs = microseconds(other.work) if other.work else foreign[number]
                passes.append((microseconds(ours), theirs))
            us, them = (statistics.median(one[side] for one in passes) for side in (0, 1))
            row(what="verify and parse", platform=platform, ours_us=round(us, 1), beside=other.name,
                theirs_us=round(them, 1), ratio=round(us / them, 2), bytes=len(request.body))  # fmt: skip


async def rate(system: System, platform: str) -> float:
    """Return answers delivered a second."""
    talk = await open_line(system, platform)
    started = time.time()
    await system.simulator.batch(talk.name, count=MESSAGES, people=PEOPLE, wait_s=0)
    found = await talk.replies(MESSAGES, timeout_s=120)
    return MESSAGES / (found[-1]["at"] - started)


async def throughput() -> None:
    """Inbound to delivered, every platform in turn, several times."""
    with tempfile.TemporaryDirectory(prefix="powernode-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)  # Postgres's own user walks through
        async with EmbeddedServices(folder, durable=True) as urls, running_simulator() as simulator:
            await asyncio.to_thread(upgrade, urls.database_owner_url)
            database = DatabaseUrls("bench", urls.database_url, urls.database_owner_url)
            system = await start_system(urls, database, urls.redis_url, simulator.origin, folder)
            try:
                await system.worker.kill()
                system.worker.start(
                    POWERNODE_WORKFLOW_SANDBOX="false", POWERNODE_CLAIM_S="20", POWERNODE_LOG_LEVEL="warning"
                )
                await system.ready()
                await rate(system, "telegram")  # warm
                passes = [{platform: await rate(system, platform) for platform in PLATFORMS} for _ in range(PASSES)]
            finally:
                await system.close()
    for platform in PLATFORMS:
        figures = [one[platform] for one in passes]
        row(what="inbound to delivered", platform=platform, per_s=round(statistics.median(figures), 1),
            passes=[round(one, 1) for one in figures], messages=MESSAGES, people=PEOPLE)  # fmt: skip


def resident_kb(pid: int) -> int:
    """Return what a process has in memory."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])


def guild() -> dict[str, object]:
    """Return a server with many channels, as Discord tells of one."""
    like: dict[str, object] = {"type": 0, "topic": "what we talk about here", "permission_overwrites": []}
    named = [like | {"id": str(10**18 + n), "name": f"channel-{n}", "position": n} for n in range(CHANNELS)]
    return {"id": str(10**17), "name": "Large", "channels": named, "members": [], "roles": [], "threads": []}


def message(number: int) -> dict[str, object]:
    """Return a message in the n-th channel."""
    author = {"id": str(10**16 + number), "username": f"person{number}", "global_name": None, "bot": False}
    return {"id": str(2 * 10**18 + number), "channel_id": str(10**18 + number), "guild_id": str(10**17), "type": 0,
            "author": author, "content": "hello", "timestamp": "2026-01-01T00:00:00+00:00", "mentions": []}  # fmt: skip


async def memory() -> None:
    """A connector's memory before it connects, connected, and when it has heard of 1,000 channels."""
    async with running_simulator() as sim:
        token = SIMULATED["discord"](SECRET)["bot_token"]
        await sim.register("discord", "discord", None, dict(SIMULATED["discord"](SECRET)))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.connector_process", sim.origin, token, cwd=ROOT,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None

        said = process.stdout

        async def until(word: str) -> int:
            while (await said.readline()).decode().strip() != word:
                assert process.returncode is None
            return resident_kb(process.pid)

        try:
            empty = await until("imported")
            process.stdin.write(b"\n")
            connected = await until("connected")
            await sim.say("discord", "alice", kind="raw", payload={"t": "GUILD_CREATE", "d": guild()})
            for number in range(CHANNELS):
                await sim.say("discord", "alice", kind="raw", payload={"t": "MESSAGE_CREATE", "d": message(number)})
            full = await until(str(CHANNELS))
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    row(what="memory of a connector", platform="discord", imported_kb=empty, connected_kb=connected,
        channels=CHANNELS, with_channels_kb=full, per_channel_bytes=round((full - connected) * 1024 / CHANNELS))  # fmt: skip


async def run() -> None:
    """Run all three."""
    await parsing()
    await memory()
    await throughput()


if __name__ == "__main__":
    asyncio.run(run())
    sys.stdout.flush()
    os._exit(0)
