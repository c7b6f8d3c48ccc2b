"""What platforms, networks and killed processes do to a delivery: nothing is lost, nothing doubled, nothing silent."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from tests.e2e.system import System, Talk
from tests.tenants import Wish

STATUS = "SELECT delivery_status FROM chat_messages WHERE direction = 'outbound' ORDER BY created_at DESC LIMIT 1"
PART = "SELECT status FROM message_deliveries ORDER BY created_at DESC, part_no DESC LIMIT 1"
SEND = {"telegram": "sendMessage", "slack": "chat.postMessage"}


async def shown(talk: Talk) -> list[dict[str, Any]]:
    """What the platform really has."""
    return await talk.system.simulator.received(talk.name, at_least=0)


class TestRefusals:
    @pytest.mark.parametrize("platform", ["slack", "telegram"])
    async def test_a_wait_that_the_platform_names_is_kept(self, system: System, platform: str) -> None:
        talk = await system.open_talk(platform)
        await system.simulator.fault("rate_limited", channel=talk.name, method=SEND[platform], times=1, retry_after_s=2)
        await talk.say("alice", "hello")
        await talk.replies(1)
        calls = await system.simulator.calls(channel=talk.name, method=SEND[platform], at_least=2)
        assert calls[1]["at"] - calls[0]["at"] >= 2
        await talk.until(STATUS, "sent")

    @pytest.mark.parametrize("platform", ["slack", "telegram"])
    async def test_what_comes_later_does_not_overtake_what_waits(self, system: System, platform: str) -> None:
        talk = await system.open_talk(platform)
        await system.simulator.fault("rate_limited", channel=talk.name, method=SEND[platform], times=1, retry_after_s=2)
        for number in range(4):
            await talk.say("alice", f"number {number}")
        replies = await talk.replies(4)
        assert [reply["text"][-8:] for reply in replies] == [f"number {number}" for number in range(4)]

    async def test_a_permanent_refusal_is_dead_at_once_and_says_why(self, system: System) -> None:
        talk = await system.open_talk("telegram")
        await system.simulator.fault("error", channel=talk.name, method="sendMessage", error="blocked")
        await talk.say("alice", "hello")
        await talk.until(STATUS, "failed")
        [part] = await talk.rows("SELECT status, attempts, error_message FROM message_deliveries")
        assert (part.status, part.attempts) == ("dead", 1)
        assert part.error_message

    async def test_bad_markup_is_sent_again_as_plain_text(self, system: System) -> None:
        talk = await system.open_talk("telegram")
        await system.simulator.fault("error", channel=talk.name, method="sendMessage", error="bad_markup", times=1)
        await talk.say("alice", "hello")
        await talk.replies(1)
        await talk.until(STATUS, "sent")
        [part] = await talk.rows("SELECT as_plain, attempts FROM message_deliveries")
        assert (part.as_plain, part.attempts) == (True, 2)

    async def test_revoked_credentials_mark_the_channel_as_broken(self, system: System) -> None:
        talk = await system.open_talk("slack")
        await system.simulator.fault("error", channel=talk.name, method="chat.postMessage", error="invalid_auth")
        await talk.say("alice", "hello")
        await talk.until("SELECT status FROM chat_channels", "error")
        await talk.until(STATUS, "failed")


class TestLostAnswers:
    async def test_where_there_is_a_lookup_it_is_found_and_not_repeated(self, system: System) -> None:
        talk = await system.open_talk("slack")
        await system.simulator.fault("accept_then_drop", channel=talk.name, method="chat.postMessage", times=1)
        await talk.say("alice", "hello")
        await talk.until(STATUS, "sent")
        assert len(await shown(talk)) == 1

    async def test_where_it_certainly_did_not_arrive_it_is_repeated(self, system: System) -> None:
        talk = await system.open_talk("slack")
        await system.simulator.fault("drop_before_accept", channel=talk.name, method="chat.postMessage", times=1)
        await talk.say("alice", "hello")
        await talk.until(STATUS, "sent")
        assert len(await shown(talk)) == 1

    async def test_elsewhere_it_is_unknown_listed_and_not_repeated(self, system: System) -> None:
        talk = await system.open_talk("telegram")
        await system.simulator.fault("accept_then_drop", channel=talk.name, method="sendMessage", times=1)
        await talk.say("alice", "hello")
        await talk.until(PART, "unknown")
        assert len(await shown(talk)) == 1
        await talk.say("alice", "and now?")
        assert len(await talk.replies(2)) == 2

    async def test_or_repeated_where_the_channel_wants_that(self, system: System) -> None:
        talk = await system.open_talk("telegram", Wish(configuration={"ambiguous_policy": "at_least_once"}))
        await system.simulator.fault("accept_then_drop", channel=talk.name, method="sendMessage", times=1)
        await talk.say("alice", "hello")
        await talk.until(STATUS, "sent")
        assert len(await shown(talk)) == 2


class TestKilledWorker:
    """The worker is killed at a named point of a send, and started again."""

    @pytest.mark.parametrize(
        ("platform", "point"),
        [
            ("slack", "deliver.sent"),
            ("telegram", "deliver.before_write"),
            pytest.param("slack", "deliver.claimed", marks=pytest.mark.full),
            pytest.param("slack", "deliver.before_write", marks=pytest.mark.full),
            pytest.param("telegram", "deliver.claimed", marks=pytest.mark.full),
            pytest.param("telegram", "deliver.sent", marks=pytest.mark.full),
        ],
    )
    async def test_nothing_is_lost_or_doubled(self, system: System, platform: str, point: str) -> None:
        talk = await system.open_talk(platform)
        await self._restart(system, POWERNODE_FAILPOINT=f"{point}=kill")
        await talk.say("alice", "hello")
        assert await system.worker.ended() == -signal.SIGKILL
        await self._restart(system)
        if platform == "slack":
            await talk.until(STATUS, "sent")
            assert len(await shown(talk)) == 1
        else:
            # No look-up here: the attempt is listed as unknown, whether or not it arrived.
            await talk.until(PART, "unknown")
            assert len(await shown(talk)) == (1 if point == "deliver.sent" else 0)
        await talk.say("alice", "again")
        await talk.until("SELECT count(*) FROM turns WHERE status = 'completed'", 2)

    async def _restart(self, system: System, **more: str) -> None:
        await system.worker.kill()
        system.worker.start(**more)
        await system.ready()


class TestTakeOver:
    async def test_no_part_is_sent_after_a_human_took_over(self, system: System) -> None:
        talk = await system.open_talk("telegram", Wish(provider="openai_compatible"))
        gate = await system.simulator.fault("hold", platform="model", times=1)
        await talk.say("alice", "hello")
        assert await system.simulator.held(gate)
        await talk.rows("UPDATE chat_sessions SET owner = 'human', owner_version = owner_version + 1 RETURNING id")
        await system.simulator.release(gate)
        await talk.until("SELECT count(*) FROM turns WHERE status = 'skipped'", 1)
        assert await shown(talk) == []
        assert (await talk.rows("SELECT count(*) FROM chat_messages WHERE direction = 'outbound'"))[0][0] == 0
