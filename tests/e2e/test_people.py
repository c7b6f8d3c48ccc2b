"""People whom the platform knows by several names: they go on in their session, and are answered at their newest name."""

from __future__ import annotations

from tests.e2e.system import System, Talk

SESSIONS = "SELECT id, session_key, platform_user_id, last_arrival_no FROM chat_sessions"
HEARD = "SELECT count(*) FROM inbound_events WHERE kind = 'identity'"


async def people(talk: Talk, **change: object) -> None:
    await talk.system.simulator.post("people", {"channel": talk.name, "name": "alice"} | change)


async def addressed(talk: Talk) -> list[object]:
    """Return where the answers went, as the calls named it."""
    calls = await talk.system.simulator.calls(channel=talk.name, method="messages")
    sends = [call["body"] for call in calls if "text" in call["body"]]
    return [body.get("recipient") or body.get("to") for body in sends]


class TestWhatsApp:
    async def test_who_hides_their_number_goes_on_in_the_same_session(self, system: System) -> None:
        talk = await system.open_talk("whatsapp")
        said = await talk.say("alice", "one")
        await talk.replies(1)
        await people(talk, number_hidden=True)
        await talk.say("alice", "two")
        await talk.replies(2)
        await people(talk, number_hidden=False)
        await talk.say("alice", "three")
        replies = await talk.replies(3)
        assert [word for reply in replies for word in ("one", "two", "three") if word in reply["text"]] == [
            "one",
            "two",
            "three",
        ]
        [session] = await talk.rows(SESSIONS)
        assert (session.session_key, session.last_arrival_no) == (said["user_id"], 3)
        first, second, third = await addressed(talk)
        assert (first, third) == (said["user_id"], said["user_id"])
        assert str(second).startswith("DE.")

    async def test_who_has_another_number_goes_on_and_the_old_one_is_free(self, system: System) -> None:
        talk = await system.open_talk("whatsapp")
        await talk.say("alice", "one")
        await talk.replies(1)
        [before] = await talk.rows(SESSIONS)
        await people(talk, number="4915112345678")
        await talk.until(HEARD, 2)
        await talk.say("alice", "two")
        await talk.replies(2)
        [after] = await talk.rows(SESSIONS)
        assert (after.id, after.session_key, after.platform_user_id) == (before.id, "4915112345678", "4915112345678")
        assert (await addressed(talk))[1] == "4915112345678"
        # Somebody else is given the number that she had.
        await talk.system.simulator.post("people", {"channel": talk.name, "name": "zoe", "number": before.session_key})
        await talk.say("zoe", "hello")
        await talk.replies(3)
        assert len(await talk.rows(SESSIONS)) == 2
