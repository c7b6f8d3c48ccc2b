"""A bot without a public address, on platforms that usually send webhooks: nothing is lost or doubled whoever dies."""

from __future__ import annotations

import pytest

from tests.e2e.sockets import STATUS, connected, heard, listeners, say_over_a_death
from tests.e2e.system import System


@pytest.mark.parametrize(("platform", "transport"), [("telegram", "polling"), ("slack", "socket_mode")])
class TestWithoutAnAddress:
    async def test_what_is_said_is_answered_once(self, system: System, platform: str, transport: str) -> None:
        talk, _ = await connected(system, platform, transport=transport)
        await heard(talk, "alice", "hello")
        await heard(talk, "bob", "hi there")
        assert len(await talk.replies(2)) == 2
        asked = await system.simulator.calls(channel=talk.name, method="setWebhook")
        assert asked == []

    async def test_what_is_said_while_the_worker_is_dead_is_answered_once(
        self, system: System, platform: str, transport: str
    ) -> None:
        talk, _ = await connected(system, platform, transport=transport)
        await heard(talk, "alice", "one")
        await say_over_a_death(talk)


class TestTransport:
    async def test_a_channel_changes_over_and_back(self, system: System) -> None:
        talk, desk = await connected(system, "telegram", transport="polling")
        channel = f"/chat/channels/{talk.tenant.channel_id}"
        await heard(talk, "alice", "polled")
        answer = await desk.patch(channel, channel={"configuration": {"transport": "webhook"}})
        assert answer.status_code == 200, answer.text
        await listeners(talk, 0)
        assert (await desk.post(f"{channel}/connect")).status_code == 200
        assert (await talk.rows(STATUS))[0][0] == "connected"
        assert (await talk.say("alice", "pushed"))["statuses"] == [200]
        await desk.patch(channel, channel={"configuration": {"transport": "polling"}})
        await listeners(talk, 1)
        await heard(talk, "alice", "polled again")
        assert len(await talk.replies(3)) == 3

    async def test_other_platforms_offer_no_such_thing(self, system: System) -> None:
        talk, desk = await connected(system, "telegram", transport="polling")
        fields = {"name": "x", "platform": "slack", "configuration": {"transport": "polling"}}
        answer = await desk.post("/chat/channels", channel=fields)
        assert (answer.status_code, answer.json()["details"]["field"]) == (422, "channel.configuration.transport")
        assert (await talk.rows(STATUS))[0][0] == "connected"
