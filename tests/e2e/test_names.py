"""Names that the platform tells apart from its messages: asked for once, shown to who watches, missing without harm."""

from __future__ import annotations

from simulator.client import SimulatorClient
from tests.e2e.desk import desk_of
from tests.e2e.sockets import connected, heard
from tests.e2e.system import HASH, System, Talk
from tests.tenants import Wish

NAME = "SELECT platform_username FROM chat_sessions"
DUE = "SELECT profile_due_at IS NOT NULL FROM chat_sessions"


async def asked(simulator: SimulatorClient, talk: Talk, method: str) -> int:
    return len(await simulator.calls(channel=talk.name, method=method, at_least=0))


class TestSlack:
    async def test_a_person_is_named_beside_the_answer(self, system: System) -> None:
        talk = await system.open_talk("slack", Wish(password_hash=HASH))
        # The question would hang if the answer waited for the name.
        gate = await system.simulator.fault("hold", channel=talk.name, method="users.info", times=1)
        await talk.say("alice", "hello")
        assert await system.simulator.held(gate)
        await talk.replies(1)
        assert (await talk.rows(NAME))[0][0] is None
        await system.simulator.release(gate)
        await talk.until(NAME, "alice")
        [session] = (await (await desk_of(talk)).data("/chat/sessions"))["items"]
        assert session["platform_username"] == "alice"
        await talk.say("alice", "again")
        await talk.replies(2)
        assert await asked(system.simulator, talk, "users.info") == 1

    async def test_without_the_permission_they_stay_nameless_and_are_answered(self, system: System) -> None:
        talk = await system.open_talk("slack")
        await system.simulator.fault("error", channel=talk.name, method="users.info", error="missing_scope", times=None)
        await talk.say("alice", "hello")
        await talk.replies(1)
        await talk.until(DUE, False)
        assert (await talk.rows(NAME))[0][0] is None
        assert (await talk.rows("SELECT status, last_error FROM chat_channels"))[0].status == "connected"
        assert await asked(system.simulator, talk, "users.info") == 1

    async def test_a_platform_that_is_away_is_asked_again_later(self, system: System) -> None:
        talk = await system.open_talk("slack")
        await system.simulator.fault("server_error", channel=talk.name, method="users.info", status=503, times=1)
        await talk.say("alice", "hello")
        await talk.until("SELECT profile_due_at > now() + interval '5 minutes' FROM chat_sessions", True)
        await talk.rows("UPDATE chat_sessions SET profile_due_at = now() RETURNING id")
        await talk.until(NAME, "alice")


class TestMattermost:
    async def test_a_session_without_a_name_gets_one(self, system: System) -> None:
        talk, _ = await connected(system, "mattermost")
        await heard(talk, "alice", "one")
        await talk.replies(1)
        # As after reading back: posts in a channel's history have no name.
        await talk.rows("UPDATE chat_sessions SET platform_username = NULL, profile_due_at = now() RETURNING id")
        await talk.until(NAME, "alice")
        assert await asked(system.simulator, talk, "user") == 1
