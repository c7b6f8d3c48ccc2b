"""Records histories of real runs: `python -m tests.replay.record [scenario ...]`, all of them when none is named. Run it
when a workflow's decisions change on purpose.

The old files stay as long as workflows of that version may be running; a new version gets files of its own.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from temporalio.client import Client

from db.migrate import upgrade
from simulator.server import running_simulator
from stack.embedded import EmbeddedServices
from tests.conftest import DatabaseUrls
from tests.e2e.sockets import STATUS, connected, heard, listeners
from tests.e2e.system import System, Talk, start_system
from tests.e2e.test_approvals import asked
from tests.e2e.test_media import sent
from tests.files import ogg, png
from tests.tenants import Wish

FOLDER = Path(__file__).parent / "histories"
VERSION = "2"
SECRET = "correct-horse-battery"
"""Said by every person and quoted by every answer: it must be in no history (ruling: ids only)."""


async def plain(system: System) -> Talk:
    """Two questions, two answers."""
    talk = await system.open_talk("telegram")
    await talk.say("alice", f"one {SECRET}")
    await talk.replies(1)
    await talk.say("alice", f"two {SECRET}")
    await talk.replies(2)
    return talk


async def tools(system: System) -> Talk:
    """A turn with a tool, as a workflow of its own."""
    talk = await system.open_talk("telegram", Wish(tools=("calculate",)))
    await talk.say("alice", '/tool calculate {"expression": "6*7"}')
    await talk.replies(1)
    return talk


async def waits(system: System) -> Talk:
    """A platform that asks to wait; a second message is appended to the delivery."""
    talk = await system.open_talk("telegram")
    await system.simulator.fault("rate_limited", channel=talk.name, method="sendMessage", times=1, retry_after_s=2)
    await talk.say("alice", f"one {SECRET}")
    await talk.say("alice", f"two {SECRET}")
    await talk.replies(2)
    return talk


async def collects(system: System) -> Talk:
    """What came while the model worked is answered in one."""
    talk = await system.open_talk(
        "telegram", Wish(provider="openai_compatible", configuration={"busy_mode": "collect", "collect_window_ms": 100})
    )
    gate = await system.simulator.fault("hold", platform="model", times=1)
    await talk.say("alice", f"one {SECRET}")
    await system.simulator.held(gate)
    await talk.say("alice", f"two {SECRET}")
    await talk.say("alice", f"three {SECRET}")
    await talk.until("SELECT count(*) FROM outbox", 0)
    await system.simulator.release(gate)
    await talk.replies(2)
    return talk


async def interrupts(system: System) -> Talk:
    """A newer message cancels the turn."""
    talk = await system.open_talk(
        "telegram", Wish(provider="openai_compatible", configuration={"busy_mode": "interrupt"})
    )
    gate = await system.simulator.fault("hold", platform="model", times=1)
    await talk.say("alice", f"one {SECRET}")
    await system.simulator.held(gate)
    await talk.say("alice", f"two {SECRET}")
    await talk.until("SELECT count(*) FROM turns WHERE status = 'superseded'", 1)
    await system.simulator.release(gate)
    await talk.replies(1)
    return talk


async def closes(system: System) -> Talk:
    """Silence, idle, closed."""
    talk = await system.open_talk("telegram", Wish(configuration={"idle_after_s": 1, "close_after_s": 1}))
    await talk.say("alice", f"one {SECRET}")
    await talk.replies(1)
    await talk.until("SELECT status FROM chat_sessions", "closed")
    return talk


async def continues(system: System) -> Talk:
    """Many questions at once, under a low cap: the session goes on as a new run while some of them wait."""
    await system.worker.kill()
    system.worker.start(POWERNODE_HISTORY_CAP="50")
    await system.ready()
    talk = await system.open_talk("telegram")
    for number in range(12):
        await talk.say("alice", f"{number} {SECRET}")
    await talk.replies(12)
    return talk


async def approves(system: System) -> Talk:
    """A tool that waits for a person, who approves it."""
    talk, desk, approval = await asked(system)
    await desk.post(f"/ai/approvals/{approval['id']}/approve", reason=SECRET)
    await talk.replies(1)
    return talk


async def expires(system: System) -> Talk:
    """A tool that nobody speaks up for in time."""
    talk, _, _ = await asked(system, wait_s=2)
    await talk.replies(1)
    return talk


async def connects(system: System) -> Talk:
    """A socket that is held, refused after a change, held again, and closed with its channel."""
    talk, desk = await connected(system, "mattermost")
    channel = f"/chat/channels/{talk.tenant.channel_id}"
    await desk.patch(channel, channel={"credentials": {"bot_token": SECRET}})
    await talk.until(STATUS, "error")
    await desk.patch(channel, channel={"credentials": {"bot_token": talk.credentials["bot_token"]}})
    await talk.until(STATUS, "connected")
    await heard(talk, "alice", SECRET)
    await talk.replies(1)
    await desk.post(f"{channel}/disconnect")
    await listeners(talk, 0)
    return talk


async def files(system: System) -> Talk:
    """A voice message that is waited for, fetched and transcribed; a file that is refused; one that is tried twice."""
    talk = await system.open_talk("telegram")
    gate = await system.simulator.fault("hold", channel=talk.name, method="file", times=1)
    await talk.say("alice", files=[sent("voice.ogg", ogg(says=SECRET), "voice", mime_type="audio/ogg")])
    await system.simulator.held(gate)
    await system.simulator.release(gate)
    await talk.replies(1)
    await talk.say("alice", SECRET, files=[sent("a.exe", b"MZ\x00", "document")])
    await system.simulator.fault("truncate", channel=talk.name, method="file", times=1, skip=1)
    await talk.say("alice", files=[sent("photo.png", png(), "image")])
    await talk.replies(3)
    await talk.until("SELECT count(*) FROM chat_message_attachments WHERE state = 'waiting'", 0)
    return talk


SCENARIOS = (plain, tools, waits, collects, interrupts, closes, continues, approves, expires, connects, files)
SCENARIO_NAMES = [scenario.__name__ for scenario in SCENARIOS]


async def save(client: Client, talk: Talk, name: str) -> None:
    """Write every history of an account's workflows."""
    await talk.until("SELECT count(*) FROM message_deliveries WHERE status IN ('queued', 'attempting')", 0)
    query = f"AccountId = '{talk.tenant.account_id}'"
    async for found in client.list_workflows(query):
        history = await client.get_workflow_handle(found.id, run_id=found.run_id).fetch_history()
        kind = found.workflow_type
        (FOLDER / f"{VERSION}-{name}-{kind}-{found.run_id[:4]}.json").write_text(history.to_json())


async def main() -> None:
    """Record them all."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        os.chmod(folder, 0o711)  # noqa: PTH101 - Postgres's own user walks through
        async with EmbeddedServices(folder / "var") as urls, running_simulator() as simulator:
            await asyncio.to_thread(upgrade, urls.database_owner_url)
            database = DatabaseUrls("record", urls.database_url, urls.database_owner_url)
            system = await start_system(urls, database, urls.redis_url, simulator.origin, folder)
            client = await Client.connect(urls.temporal_address, namespace=urls.temporal_namespace)
            for scenario in [one for one in SCENARIOS if one.__name__ in (sys.argv[1:] or SCENARIO_NAMES)]:
                await save(client, await scenario(system), scenario.__name__)
            await system.close()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    finally:
        os._exit(0)
