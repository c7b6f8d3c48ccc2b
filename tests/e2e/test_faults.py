"""What platforms, networks and killed processes do to a delivery: nothing is lost, nothing doubled, nothing silent."""

from __future__ import annotations

import asyncio
import signal

import pytest

from tests.e2e.desk import desk_of
from tests.e2e.lines import (
    BY_WEBHOOK,
    PARTS,
    PLATFORMS,
    SENT,
    STATUS,
    open_line,
    restart,
    said_in,
    script,
    sends,
    settled,
    shown,
    tell,
)
from tests.e2e.system import HASH, System, Talk
from tests.tenants import Wish


async def open_lines(system: System) -> list[Talk]:
    """Open a talk on every platform."""
    return [await open_line(system, platform) for platform in PLATFORMS]


class TestRefusals:
    @pytest.mark.parametrize("platform", PLATFORMS)
    async def test_what_comes_later_does_not_overtake_what_waits(self, system: System, platform: str) -> None:
        talk = await open_line(system, platform)
        await script(talk, "rate_limited", retry_after_s=2)
        words = [f"number {number}" for number in range(4)]
        for word in words:
            await tell(talk, "alice", word)
        replies = await talk.replies(4)
        assert said_in([reply["text"] for reply in replies], words) == words
        calls = await sends(talk)
        assert calls[1]["at"] - calls[0]["at"] >= 2, "the wait that the platform named is kept"
        await talk.until(SENT, 4)

    async def test_a_breakdown_that_took_nothing_loses_nothing(self, system: System) -> None:
        talks = await open_lines(system)
        for talk in talks:
            await script(talk, "server_error", status=503)
            await tell(talk, "alice", "hello")
        await asyncio.gather(*(settled(talk) for talk in talks))
        for talk in talks:
            [(status,)] = await talk.rows(STATUS)
            # Where nobody can be asked, even a plain 503 says neither yes nor no.
            lost = talk.platform in {"telegram", "whatsapp"} and status == "unknown"
            assert (status, len(await shown(talk))) in ({("unknown", 0)} if lost else {("sent", 1), ("delivered", 1)})

    async def test_an_answer_that_takes_longer_than_the_claim_is_still_the_answer(self, system: System) -> None:
        talks = await open_lines(system)
        for talk in talks:
            await script(talk, "slow", delay_s=4)
            await tell(talk, "alice", "hello")
        await asyncio.gather(*(settled(talk) for talk in talks))
        for talk in talks:
            assert (await talk.rows(STATUS))[0][0] in {"sent", "delivered"}, talk.platform
            assert (len(await shown(talk)), len(await sends(talk))) == (1, 1), talk.platform

    async def test_a_permanent_refusal_is_dead_at_once_and_says_why(self, system: System) -> None:
        for talk in await open_lines(system):
            await script(talk, "error", error="chat_not_found")
            await tell(talk, "alice", "hello")
            await talk.until(STATUS, "dead")
            [part] = await talk.rows("SELECT attempts, error_code, error_message FROM message_deliveries")
            assert (part.attempts, len(await sends(talk))) == (1, 1), talk.platform
            assert part.error_code, talk.platform
            assert part.error_message, talk.platform

    async def test_bad_markup_is_sent_again_as_plain_text(self, system: System) -> None:
        talk = await system.open_talk("telegram")
        await script(talk, "error", error="bad_markup")
        await talk.say("alice", "hello")
        await talk.replies(1)
        await talk.until(SENT, 1)
        [part] = await talk.rows("SELECT as_plain, attempts FROM message_deliveries")
        assert (part.as_plain, part.attempts) == (True, 2)

    async def test_a_token_that_ran_out_stops_the_channel_and_a_retry_arrives_once(self, system: System) -> None:
        for platform in PLATFORMS:
            wish = Wish(password_hash=HASH)
            talk = await (system.open_talk(platform, wish) if platform in BY_WEBHOOK else open_line(system, platform))
            await script(talk, "error", error="invalid_auth")
            await tell(talk, "alice", "hello")
            await talk.until("SELECT status FROM chat_channels", "error")
            await talk.until(STATUS, "dead")
            desk = await desk_of(talk)
            [(session, message)] = await talk.rows(
                "SELECT session_id, id FROM chat_messages WHERE direction = 'outbound'"
            )
            answer = await desk.post(f"/chat/sessions/{session}/messages/{message}/retry")
            assert answer.status_code in {200, 202}, answer.text
            [reply] = await talk.replies(1)
            assert "hello" in reply["text"]


class TestReceiptBeforeTheAnswer:
    async def test_it_settles_the_send_and_the_answer_changes_nothing(self, system: System) -> None:
        talk = await system.open_talk("whatsapp")
        gate = await script(talk, "accept_then_hold")
        await talk.say("alice", "hello")
        assert await system.simulator.held(gate)
        await talk.until(STATUS, "delivered")
        await system.simulator.release(gate)
        await settled(talk)
        await talk.say("alice", "and then?")
        await talk.replies(2)
        await settled(talk)
        rows = await talk.rows("SELECT status, attempts FROM message_deliveries")
        assert [tuple(row) for row in rows] == [("delivered", 1)] * 2


class TestUnknown:
    async def test_is_listed_and_what_comes_later_goes_on(self, system: System) -> None:
        talk = await system.open_talk("telegram", Wish(password_hash=HASH))
        await script(talk, "accept_then_drop")
        await talk.say("alice", "hello")
        await talk.until(STATUS, "unknown")
        await talk.say("alice", "and now?")
        assert len(await talk.replies(2)) == 2
        listed = await (await desk_of(talk)).data("/chat/troubled")
        assert len(listed["items"]) == 1


class TestKilledWorker:
    """The worker is killed at a named point of a send, and started again; test_ambiguous.py has all that can become of it."""

    @pytest.mark.parametrize(
        ("platform", "point"),
        [
            ("slack", "deliver.sent"),
            ("telegram", "deliver.before_write"),
            *(pytest.param(platform, "deliver.claimed", marks=pytest.mark.full) for platform in PLATFORMS),
        ],
    )
    async def test_nothing_is_lost_or_doubled(self, system: System, platform: str, point: str) -> None:
        talk = await open_line(system, platform)
        await restart(system, POWERNODE_FAILPOINT=f"{point}=kill")
        await tell(talk, "alice", "hello")
        assert await system.worker.ended() == -signal.SIGKILL
        await restart(system)
        await talk.until(PARTS, 1)
        await settled(talk)
        [(status,)] = await talk.rows(STATUS)
        if platform in {"telegram", "whatsapp"}:
            # Nothing to look up here: the attempt is listed as unknown, whether or not it arrived.
            assert (status, len(await shown(talk))) == ("unknown", 0)
        else:
            assert (status, len(await shown(talk))) == ("sent", 1)
        await tell(talk, "alice", "again")
        await talk.until("SELECT count(*) FROM turns WHERE status = 'completed'", 2)


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
