"""What only one platform has: buttons whose spinner must stop, and groups that become supergroups."""

from __future__ import annotations

from typing import Any

from tests.e2e.system import System, Talk


async def call(talk: Talk, method: str, **values: Any) -> dict[str, Any]:
    """Call the Bot API as the channel's bot."""
    url = f"{talk.system.simulator.origin}/bot{talk.credentials['bot_token']}/{method}"
    return (await talk.system.http.post(url, json=values)).json()["result"]


class TestPressedButton:
    async def test_the_press_is_answered_at_once_and_its_label_opens_a_turn(self, system: System) -> None:
        talk = await system.open_talk("telegram")
        said = await talk.say("alice", "hello")
        await talk.replies(1)
        buttons = {"inline_keyboard": [[{"text": "Yes, please", "callback_data": "yes:1"}]]}
        sent = await call(talk, "sendMessage", chat_id=said["chat"], text="Shall I?", reply_markup=buttons)
        await talk.say("alice", "yes:1", kind="press", target=str(sent["message_id"]))
        [answered] = await system.simulator.calls(channel=talk.name, method="answerCallbackQuery", timeout_s=30)
        assert (answered["status"], answered["error"]) == (200, None)
        assert "Yes, please" in (await talk.replies(3))[-1]["text"]


class TestUpgradedGroup:
    async def test_keeps_its_session_and_is_answered_at_its_new_id(self, system: System) -> None:
        talk = await system.open_talk("telegram")
        group = await talk.say("alice", "hello", chat="Team", chat_kind="group", mention=True)
        await talk.replies(1)
        moved = await talk.say("alice", chat="Team", kind="upgrade")
        assert moved["chat"] != group["chat"]
        await talk.say("alice", "still there?", chat="Team", mention=True)
        replies = await talk.replies(2)
        assert [reply["chat"] for reply in replies] == [group["chat"], moved["chat"]]
        sessions = await talk.rows("SELECT session_key, last_arrival_no FROM chat_sessions")
        assert [tuple(session) for session in sessions] == [(moved["chat"], 2)]
        calls = await system.simulator.calls(channel=talk.name, method="sendMessage")
        assert [made["status"] for made in calls] == [200, 200]
