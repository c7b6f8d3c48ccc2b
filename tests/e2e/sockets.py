"""A talk on a platform that speaks over a socket: connected by its route, and heard without anybody's answer."""

from __future__ import annotations

from typing import Any

from tests.e2e.desk import Desk, desk_of
from tests.e2e.system import HASH, System, Talk
from tests.tenants import Wish

STATUS = "SELECT status FROM chat_channels"
HEARD = "SELECT count(*) FROM chat_messages WHERE direction = 'inbound'"
FORGET = (
    'UPDATE channel_connections SET position = position || \'{"session": "gone", "connection": "gone"}\' RETURNING 1'
)
"""The platform does not know our session any more: what was said has to be read back."""
FENCE = "SELECT fence FROM channel_connections"
STATE = "SELECT state FROM channel_connections"


async def listeners(talk: Talk, count: int) -> None:
    """Wait until so many sockets of the channel are open."""
    found = await talk.system.simulator.get("sockets", channel=talk.name, listeners=count, timeout_s=30)
    assert found["listeners"] == count


async def connected(system: System, platform: str, **configuration: Any) -> tuple[Talk, Desk]:
    talk = await system.open_talk(platform, Wish(password_hash=HASH, configuration=configuration))
    desk = await desk_of(talk)
    answer = await desk.post(f"/chat/channels/{talk.tenant.channel_id}/connect")
    assert answer.status_code == 200, answer.text
    await talk.until(STATUS, "connected")
    await listeners(talk, 1)
    return talk, desk


async def heard(talk: Talk, person: str, said: str) -> None:
    """Let a person write; over a socket nobody answers, so wait for what is stored."""
    before = (await talk.rows(HEARD))[0][0]
    await talk.say(person, said, wait=False)
    await talk.until(HEARD, before + 1)


async def say_over_a_death(talk: Talk, meanwhile: str | None = None) -> None:
    """Kill the worker that has heard "one", let a person write, start it again: three messages, three answers, in order.

    `meanwhile`: a change of rows while it is dead.
    """
    await talk.system.worker.kill()
    await listeners(talk, 0)
    if meanwhile is not None:
        await talk.rows(meanwhile)
    await talk.say("alice", "two", wait=False)
    talk.system.worker.start()
    await talk.until(HEARD, 2)
    await heard(talk, "alice", "three")
    words = ["one", "two", "three"]
    assert [word for reply in await talk.replies(3) for word in words if word in reply["text"]] == words
