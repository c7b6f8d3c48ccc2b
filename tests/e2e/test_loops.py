"""Two bots of ours that face each other stop: each hears the other's answers as a bot's words, up to the cap."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from tests.e2e.desk import desk_of
from tests.e2e.lines import BY_SOCKET, open_line, settled, shown
from tests.e2e.system import HASH, System, Talk
from tests.tenants import Wish

CAP = 3
STOPPED = "SELECT count(*) FROM inbound_events WHERE state = 'ignored' AND reason LIKE 'bots have opened%'"


async def bot_of_ours(system: System, platform: str) -> Talk:
    """Open a talk that answers bots, and let it find out who it is."""
    wanted = {"answer_bots": True, "bot_turn_cap": CAP}
    if platform in BY_SOCKET:
        return await open_line(system, platform, **wanted)
    talk = await system.open_talk(platform, Wish(configuration=wanted, password_hash=HASH), echo_own=False)
    answer = await (await desk_of(talk)).post(f"/chat/channels/{talk.tenant.channel_id}/connect")
    assert answer.status_code == 200, answer.text
    return talk


async def carry(speaker: Talk, listener: Talk) -> None:
    """Tell one bot everything that the other says, as the platform does where both are in a chat."""
    told = 0
    while True:
        found = await speaker.system.simulator.received(speaker.name, at_least=told + 1, timeout_s=30)
        for said in found[told:]:
            await listener.say(speaker.name, said["text"], bot=True, wait=False)
        told = len(found)


@pytest.mark.parametrize("platform", ["discord", "mattermost", "slack", "telegram"])
class TestTwoBots:
    async def test_they_stop_at_the_cap_and_a_person_is_still_answered(self, system: System, platform: str) -> None:
        one, other = await bot_of_ours(system, platform), await bot_of_ours(system, platform)
        carriers = [asyncio.create_task(carry(one, other)), asyncio.create_task(carry(other, one))]
        try:
            await one.say(other.name, "hello, colleague", bot=True, wait=False)
            await one.until(STOPPED, 1)
            await asyncio.gather(settled(one), settled(other))
            assert (len(await shown(one)), len(await shown(other))) == (CAP, CAP)
            await one.say("alice", "are you still there?", wait=False)
            assert "still there" in (await one.replies(CAP + 1))[-1]["text"]
        finally:
            for carrier in carriers:
                carrier.cancel()
                with suppress(asyncio.CancelledError):
                    await carrier


class TestByDefault:
    @pytest.mark.parametrize("platform", ["slack", "telegram"])
    async def test_bots_are_not_answered(self, system: System, platform: str) -> None:
        talk = await system.open_talk(platform)
        await talk.say("bob", "hello, colleague", bot=True)
        await talk.until("SELECT count(*) FROM inbound_events WHERE reason = 'written by another bot'", 1)
        assert await shown(talk) == []
