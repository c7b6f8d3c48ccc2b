"""A platform that is away for half an hour, in compressed time: everything arrives once, in order.

Its port refuses connections. Each wait for the next attempt is cut short when it begins, as an operator may do, until as many
attempts have failed as half an hour sees (1, 2, 4 … seconds, 600 at most): the time passes, and nothing of the waiting does.
"""

from __future__ import annotations

from contextlib import suppress

import orjson
import pytest
from temporalio.client import Client
from temporalio.service import RPCError

from stack.seed import SIMULATED
from tests.e2e.gate import gate_before
from tests.e2e.lines import BY_SOCKET, PLATFORMS, open_line, restart, said_in, settled, shown, tell
from tests.e2e.system import System, Talk

ATTEMPTS = 11
"""After so many refusals 1 + 2 + … + 512 + 600 s have passed: 27 minutes and more with the next."""
WORDS = ["one", "two", "three", "four"]
TRIED = "SELECT COALESCE(max(attempts), 0) >= {} FROM message_deliveries"
OVER = (
    "UPDATE message_deliveries SET next_attempt_at = now(), first_attempt_at = first_attempt_at - interval '3 minutes'"
    " WHERE status = 'queued' AND attempts > 0 RETURNING message_id"
)
SHORT = "telegram"
"""Where nobody can be asked what became of a send."""


async def pass_time(talk: Talk, client: Client) -> None:
    """Let the waits of an outage be over, one by one."""
    for tried in range(1, ATTEMPTS + 1):
        await talk.until(TRIED.format(tried), True)
        await over(talk, client)


async def over(talk: Talk, client: Client) -> None:
    """Let the present waits be over."""
    for row in await talk.rows(OVER):
        with suppress(RPCError):  # One that waits behind another does so in that one's workflow.
            await client.get_workflow_handle(f"delivery:{row.message_id}").signal("retry_now")


@pytest.mark.parametrize(
    "platform", [SHORT, *(pytest.param(one, marks=pytest.mark.full) for one in PLATFORMS if one != SHORT)]
)
class TestOutage:
    async def test_after_it_everything_is_there_once_and_in_order(
        self, system: System, platform: str, temporal_client: Client
    ) -> None:
        async with gate_before(system.simulator.origin) as gate:
            bases = dict.fromkeys(SIMULATED, system.simulator.origin) | {platform: gate.origin}
            await restart(system, POWERNODE_PLATFORM_API_BASE=orjson.dumps(bases).decode())
            talk = await open_line(system, platform)
            await tell(talk, "alice", WORDS[0])
            await talk.replies(1)
            await settled(talk)
            await gate.shut()
            for word in WORDS[1:]:
                await talk.say("alice", word, wait=platform not in BY_SOCKET)
            if platform not in BY_SOCKET:
                # Over a socket nothing is heard meanwhile: it is read back afterwards.
                await pass_time(talk, temporal_client)
            assert len(await shown(talk)) == 1
            await gate.open()
            await over(talk, temporal_client)
            await talk.replies(len(WORDS))
            await settled(talk)
            assert said_in([one["text"] for one in await shown(talk)], WORDS) == WORDS
        await restart(system)
