"""A talk on any platform, in the same words: told by webhook where the platform sends one, else over a socket.

What follows a storm of faults is asked here too: whether everything has ended, and what the platform really has.
"""

from __future__ import annotations

import asyncio
from typing import Any

from tests.e2e.sockets import connected, heard
from tests.e2e.system import System, Talk
from tests.tenants import Wish

BY_SOCKET = frozenset({"discord", "mattermost"})
SEND = {
    "discord": "create_message",
    "mattermost": "create_post",
    "slack": "chat.postMessage",
    "telegram": "sendMessage",
    "whatsapp": "messages",
}
PLATFORMS = tuple(SEND)
BY_WEBHOOK = tuple(name for name in PLATFORMS if name not in BY_SOCKET)
HEARD = "SELECT count(*) FROM chat_messages WHERE direction = 'inbound'"
OPEN_PARTS = "SELECT count(*) FROM message_deliveries WHERE status IN ('queued', 'attempting')"
PARTS = "SELECT count(*) FROM message_deliveries"
UNHANDLED = "SELECT count(*) FROM chat_messages WHERE direction = 'inbound' AND handled_at IS NULL"
STATUS = "SELECT status FROM message_deliveries ORDER BY created_at DESC, part_no DESC LIMIT 1"
SENT = "SELECT count(*) FROM chat_messages WHERE direction = 'outbound' AND delivery_status IN ('sent', 'delivered', 'read')"


async def open_line(system: System, platform: str, **configuration: Any) -> Talk:
    """Open a talk; where the platform tells of messages by a socket only, the channel is connected first."""
    if platform in BY_SOCKET:
        return (await connected(system, platform, **configuration))[0]
    return await system.open_talk(platform, Wish(configuration=configuration))


async def tell(talk: Talk, person: str, said: str) -> None:
    """Let a person write, and wait until it is stored."""
    if talk.platform in BY_SOCKET:
        await heard(talk, person, said)
    else:
        assert set((await talk.say(person, said))["statuses"]) == {200}


async def script(talk: Talk, kind: str, **more: Any) -> str:
    """Begin a fault of the talk's sends."""
    wanted = {"times": 1} | more
    return await talk.system.simulator.fault(kind, channel=talk.name, method=SEND[talk.platform], **wanted)


async def settled(talk: Talk, timeout_s: float = 180.0) -> None:
    """Wait until everything that was asked is answered, every part has ended, and every receipt is in."""
    await talk.until(UNHANDLED, 0, timeout_s=timeout_s)
    await talk.until(OPEN_PARTS, 0, timeout_s=timeout_s)
    if talk.platform == "whatsapp":
        told = await shown(talk)
        receipts = await talk.system.simulator.deliveries(
            talk.name, kind="status_delivered", outcome="acked", at_least=len(told), timeout_s=30
        )
        assert {receipt["message_id"] for receipt in receipts} >= {one["message_id"] for one in told}


async def shown(talk: Talk) -> list[dict[str, Any]]:
    """Return what the platform really has of the bot's."""
    return await talk.system.simulator.received(talk.name, at_least=0)


def said_in(texts: list[str], words: list[str]) -> list[str]:
    """Return which word each of the texts quotes, in their order."""
    found = [word for text in texts for word in words if word in text]
    assert len(found) == len(texts), texts
    return found


async def sends(talk: Talk) -> list[dict[str, Any]]:
    """Return the requests that were to send something."""
    return await talk.system.simulator.calls(channel=talk.name, method=SEND[talk.platform], at_least=0)


async def quiet(talk: Talk) -> None:
    """Wait until nothing is on its way to us any more: our own words come back as well, and receipts."""
    await settled(talk)
    if talk.platform in BY_SOCKET:
        echoes = len(await shown(talk))
        await talk.until(f"SELECT count(*) - ({HEARD}) FROM inbound_events", echoes)
    else:
        async with asyncio.timeout(60):
            while (await talk.system.simulator.get("pending", channel=talk.name))["pending"]:
                await asyncio.sleep(0.05)


async def restart(system: System, **more: str) -> None:
    """Kill the worker and start it again, with these settings besides."""
    await system.worker.kill()
    system.worker.start(**more)
    await system.ready()
