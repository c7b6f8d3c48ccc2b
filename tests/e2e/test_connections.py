"""Platforms that speak over a socket that we hold: one holder, and nothing lost or doubled whoever dies."""

from __future__ import annotations

import pytest
from temporalio.client import Client, WorkflowExecutionStatus

from domain.connection import connection_workflow_id
from tests.e2e.sockets import FORGET, STATE, STATUS, connected, heard, listeners, say_over_a_death
from tests.e2e.system import System

both = pytest.mark.parametrize("platform", ["discord", "mattermost"])
one_is_enough = pytest.mark.parametrize("platform", ["discord", pytest.param("mattermost", marks=pytest.mark.full)])
"""What is ours and not the platform's."""


class TestListening:
    @both
    async def test_what_is_said_is_answered_once(self, system: System, platform: str) -> None:
        talk, desk = await connected(system, platform)
        await heard(talk, "alice", "hello")
        await heard(talk, "bob", "hi there")
        replies = await talk.replies(2)
        assert sorted("hi there" in reply["text"] for reply in replies) == [False, True]
        channel = (await desk.data(f"/chat/channels/{talk.tenant.channel_id}"))["channel"]
        assert (channel["status"], channel["connection"]["state"]) == ("connected", "connected")

    @both
    async def test_a_lost_connection_is_made_again(self, system: System, platform: str) -> None:
        talk, _ = await connected(system, platform)
        await heard(talk, "alice", "one")
        await system.simulator.post("sockets", {"channel": talk.name, "order": "drop"})
        await heard(talk, "alice", "two")
        assert len(await talk.replies(2)) == 2
        await talk.until(STATE, "connected")
        assert (await talk.rows("SELECT last_error FROM channel_connections"))[0][0]

    @pytest.mark.parametrize(
        ("platform", "resumes"),
        [
            ("discord", True),
            ("mattermost", False),
            pytest.param("discord", False, marks=pytest.mark.full),
            pytest.param("mattermost", True, marks=pytest.mark.full),
        ],
    )
    async def test_what_is_said_while_the_worker_is_dead_is_answered_once(
        self, system: System, platform: str, resumes: bool
    ) -> None:
        talk, _ = await connected(system, platform)
        await heard(talk, "alice", "one")
        await talk.replies(1)
        await talk.until("SELECT position <> '{}' FROM channel_connections", True)
        await say_over_a_death(talk, None if resumes else FORGET)

    @one_is_enough
    async def test_what_was_said_too_long_ago_is_seen_and_not_answered(self, system: System, platform: str) -> None:
        talk, desk = await connected(system, platform, catch_up_s=0)
        await heard(talk, "alice", "one")
        await talk.replies(1)
        await talk.until("SELECT position <> '{}' FROM channel_connections", True)
        await system.worker.kill()
        await listeners(talk, 0)
        await talk.rows(FORGET)
        await talk.say("alice", "two", wait=False)
        system.worker.start()
        await talk.until("SELECT count(*) FROM inbound_events WHERE state = 'late'", 1)
        await heard(talk, "alice", "three")
        assert ["three" in reply["text"] for reply in await talk.replies(2)] == [False, True]
        [session] = (await desk.data("/chat/sessions"))["items"]
        shown = (await desk.data(f"/chat/sessions/{session['id']}/messages", direction="inbound"))["items"]
        marks = {message["content"]: (message["late"], message["arrival_no"]) for message in shown}
        assert marks == {"one": (False, 1), "two": (True, None), "three": (False, 2)}


class TestChannel:
    @both
    async def test_a_refused_token_is_said_and_a_better_one_tried(self, system: System, platform: str) -> None:
        talk, desk = await connected(system, platform)
        channel = f"/chat/channels/{talk.tenant.channel_id}"
        await desk.patch(channel, channel={"credentials": {"bot_token": "wrong"}})
        await talk.until(STATUS, "error")
        await listeners(talk, 0)
        found = (await desk.data(channel))["channel"]
        assert "token" in found["last_error"]
        assert found["connection"]["state"] == "refused"
        await desk.patch(channel, channel={"credentials": {"bot_token": talk.credentials["bot_token"]}})
        await talk.until(STATUS, "connected")
        await heard(talk, "alice", "hello")
        assert len(await talk.replies(1)) == 1

    @both
    async def test_disconnected_it_is_closed_and_its_workflow_ends(
        self, system: System, platform: str, temporal_client: Client
    ) -> None:
        talk, desk = await connected(system, platform)
        await desk.post(f"/chat/channels/{talk.tenant.channel_id}/disconnect")
        await listeners(talk, 0)
        handle = temporal_client.get_workflow_handle(connection_workflow_id(str(talk.tenant.channel_id)))
        await handle.result()
        assert (await handle.describe()).status is WorkflowExecutionStatus.COMPLETED
        assert (await talk.rows(STATUS))[0][0] == "disconnected"
        await desk.post(f"/chat/channels/{talk.tenant.channel_id}/connect")
        await listeners(talk, 1)

    @one_is_enough
    async def test_one_that_lost_its_workflow_gets_another(
        self, system: System, platform: str, temporal_client: Client
    ) -> None:
        talk, _ = await connected(system, platform)
        handle = temporal_client.get_workflow_handle(connection_workflow_id(str(talk.tenant.channel_id)))
        await handle.terminate("by mistake")
        await listeners(talk, 0)
        await talk.rows("UPDATE channel_connections SET held_at = now() - interval '1 hour' RETURNING 1")
        await listeners(talk, 1)
