"""A slow reply is seen growing, and ends as one message with the stored text, whatever happens on the way."""

from __future__ import annotations

import signal
from itertools import pairwise, product
from typing import Any

import pytest

from tests.e2e.system import System, Talk
from tests.tenants import Wish

EDITING = ("discord", "mattermost", "slack")
METHODS = {
    "discord": ("create_message", "edit_message"),
    "mattermost": ("create_post", "patch_post"),
    "slack": ("chat.postMessage", "chat.update"),
    "telegram": ("sendMessage", "sendMessageDraft"),
}
STATUS = "SELECT delivery_status FROM chat_messages WHERE direction = 'outbound' ORDER BY created_at DESC LIMIT 1"
LEFT = "SELECT count(*) FROM reply_previews"
TURNS = "SELECT count(*) FROM turns WHERE status = '{}'"
POINTS = (
    "preview.begun",
    "preview.sent",
    "preview.shown",
    "preview.edited",
    "deliver.claimed",
    "deliver.before_write",
    "deliver.sent",
)
SHORT = (("discord", "preview.sent"), ("mattermost", "deliver.sent"))
"""A placeholder that its nonce finds again, and a reply that had taken its place; Slack's look-up is in TestTrouble."""
ONE_OF_EACH = ("slack", *(pytest.param(platform, marks=pytest.mark.full) for platform in EDITING[:2]))
WORDS = " ".join(f"word{number:03}" for number in range(60))
COMMANDS = {"discord": "/ask ", "mattermost": "/ask "}
"""Where ordinary messages come by a socket, people use the command, which needs none."""


async def slow_talk(
    system: System, platform: str, said: str = WORDS, *, chunk_s: float = 0.1, **configuration: object
) -> Talk:
    """Open a talk whose model takes four seconds over its answer."""
    wish = Wish(provider="openai_compatible", configuration=configuration)
    talk = await system.open_talk(platform, wish)
    script = {"match": talk.name, "text": said, "chunk_delay_s": chunk_s, "times": None}
    await system.simulator.post("model/script", {"replies": [script]})
    return talk


async def ask(talk: Talk, person: str = "alice", said: str | None = None) -> None:
    """Let a person ask what the slow model answers."""
    command = COMMANDS.get(talk.platform)
    more = {} if command is None else {"kind": "command"}
    await talk.say(person, (command or "") + (said or f"tell me, {talk.name}"), **more)


async def told(talk: Talk, kind: str = "all", at_least: int = 0) -> list[dict[str, Any]]:
    """What the platform was told and took."""
    return await talk.system.simulator.received(talk.name, kind=kind, at_least=at_least, timeout_s=30)


async def shown(talk: Talk) -> list[dict[str, Any]]:
    """What the bot sent, as the person's phone has it now (a command's own answer, which quotes it, aside)."""
    sent = {entry["message_id"] for entry in await told(talk, "send")}
    chats = (await talk.system.simulator.phone(talk.name, "alice"))["chats"]
    return [message for chat in chats for message in chat["messages"] if message["id"] in sent]


async def ends_as_one(talk: Talk, text: str = WORDS) -> dict[str, Any]:
    """Wait for the end; return the one message that is there."""
    await talk.until(STATUS, "sent")
    await talk.until(LEFT, 0)
    [message] = await shown(talk)
    assert message["text"] == text
    [row] = await talk.rows("SELECT content FROM chat_messages WHERE direction = 'outbound'")
    assert row.content == text
    return message


class TestGrowing:
    @pytest.mark.parametrize("platform", EDITING)
    async def test_a_slow_reply_is_one_message_that_grows(self, system: System, platform: str) -> None:
        talk = await slow_talk(system, platform)
        await ask(talk)
        message = await ends_as_one(talk)
        assert len(message["history"]) >= 2
        states = [*message["history"], message["text"]]
        assert all(later.startswith(earlier) for earlier, later in pairwise(states))
        assert [entry["kind"] for entry in await told(talk)] == ["send"] + ["edit"] * len(message["history"])
        edits = await system.simulator.calls(channel=talk.name, method=METHODS[platform][1])
        # The last one is the reply itself, which waits for nobody's pace.
        assert all(b["at"] - a["at"] >= 1.0 for a, b in pairwise(edits[:-1]))

    async def test_in_a_private_telegram_chat_it_is_a_draft_until_the_message_comes(self, system: System) -> None:
        talk = await slow_talk(system, "telegram")
        await ask(talk)
        drafts = await told(talk, "draft", at_least=2)
        assert drafts[1]["text"].startswith(drafts[0]["text"])
        assert len({draft["message_id"] for draft in drafts}) == 1
        message = await ends_as_one(talk)
        assert (message["edited"], message["history"]) == (False, [])

    async def test_where_nothing_can_be_changed_only_the_whole_reply_comes(self, system: System) -> None:
        talk = await slow_talk(system, "whatsapp")
        await ask(talk)
        await talk.replies(1)
        await talk.until("SELECT status FROM message_deliveries", "delivered")
        assert [entry["kind"] for entry in await told(talk)] == ["send"]

    async def test_a_channel_can_want_none_of_it(self, system: System) -> None:
        talk = await slow_talk(system, "slack", streaming="off")
        await ask(talk)
        await ends_as_one(talk)
        assert [entry["kind"] for entry in await told(talk)] == ["send"]

    async def test_a_quick_reply_is_one_plain_message(self, system: System) -> None:
        talk = await system.open_talk("slack", Wish(provider="openai_compatible"))
        await talk.say("alice", "a question that is answered at once")
        await talk.until(STATUS, "sent")
        assert [entry["kind"] for entry in await told(talk)] == ["send"]

    @pytest.mark.parametrize("platform", ONE_OF_EACH)
    async def test_one_that_ends_in_buttons_gives_way_to_them(self, system: System, platform: str) -> None:
        wish = Wish(provider="openai_compatible", tools=("send_buttons",))
        talk = await system.open_talk(platform, wish)
        buttons = {"text": "Shall I book it?", "buttons": [{"label": "Yes", "value": "yes"}]}
        calls = [{"name": "send_buttons", "arguments": buttons}]
        script = {"match": talk.name, "text": WORDS, "tool_calls": calls, "chunk_delay_s": 0.1, "times": 1}
        await system.simulator.post("model/script", {"replies": [script]})
        await ask(talk)
        await talk.until(STATUS, "sent")
        await talk.until(LEFT, 0)
        [message] = await shown(talk)
        assert (message["text"], message["history"], bool(message["buttons"])) == ("Shall I book it?", [], True)
        kinds = [entry["kind"] for entry in await told(talk)]
        assert (kinds[0], kinds[-2:], kinds.count("send")) == ("send", ["delete", "send"], 2)

    async def test_a_long_reply_goes_on_in_further_messages(self, system: System) -> None:
        text = "\n\n".join(f"paragraph {number} " + "x" * 480 for number in range(6))
        talk = await slow_talk(system, "discord", text, chunk_s=0.01)
        await ask(talk)
        await talk.until(STATUS, "sent")
        messages = await shown(talk)
        assert [message["edited"] for message in messages] == [True, False]
        assert "\n\n".join(message["text"] for message in messages) == text


class TestTrouble:
    @pytest.mark.parametrize("platform", ONE_OF_EACH)
    async def test_a_placeholder_whose_answer_was_lost_is_found_again(self, system: System, platform: str) -> None:
        talk = await slow_talk(system, platform)
        await system.simulator.fault("accept_then_drop", channel=talk.name, method=METHODS[platform][0])
        await ask(talk)
        await ends_as_one(talk)

    @pytest.mark.parametrize(
        "platform", ["mattermost", *(pytest.param(one, marks=pytest.mark.full) for one in EDITING[::2])]
    )
    async def test_a_placeholder_that_cannot_be_changed_gives_way(self, system: System, platform: str) -> None:
        talk = await slow_talk(system, platform)
        edit = METHODS[platform][1]
        await system.simulator.fault("error", channel=talk.name, method=edit, error="edit_closed", times=None)
        await ask(talk)
        message = await ends_as_one(talk)
        assert message["history"] == []
        assert [entry["kind"] for entry in await told(talk)] == ["send", "delete", "send"]

    async def test_an_edit_whose_answer_was_lost_is_repeated(self, system: System) -> None:
        talk = await slow_talk(system, "slack")
        await system.simulator.fault(
            "accept_then_drop", channel=talk.name, method="chat.update", text_contains="word059"
        )
        await ask(talk)
        await ends_as_one(talk)
        [part] = await talk.rows("SELECT attempts FROM message_deliveries")
        assert part.attempts == 2

    async def test_a_person_who_takes_over_finds_no_half_sentence(self, system: System) -> None:
        talk = await slow_talk(system, "slack")
        gate = await system.simulator.fault("accept_then_hold", platform="model", times=1)
        await ask(talk)
        assert await system.simulator.held(gate)
        await told(talk, "send", at_least=1)
        await talk.until("SELECT status FROM reply_previews", "shown")
        await talk.rows("UPDATE chat_sessions SET owner = 'human', owner_version = owner_version + 1 RETURNING id")
        await talk.until(LEFT, 0)
        before = await told(talk)
        assert [entry["kind"] for entry in before] == ["send", "delete"]
        await system.simulator.release(gate)
        await talk.until(TURNS.format("skipped"), 1)
        assert await told(talk) == before
        assert await shown(talk) == []


class TestKilledWorker:
    """The worker is killed at a named point, and started again."""

    @pytest.mark.parametrize(
        ("platform", "point"),
        [
            *SHORT,
            *(
                pytest.param(platform, point, marks=pytest.mark.full)
                for platform, point in product(EDITING, POINTS)
                if (platform, point) not in SHORT
            ),
        ],
    )
    async def test_what_it_has_shown_becomes_the_reply(self, system: System, platform: str, point: str) -> None:
        talk = await slow_talk(system, platform)
        await self._restart(system, POWERNODE_FAILPOINT=f"{point}=kill")
        await ask(talk)
        assert await system.worker.ended() == -signal.SIGKILL
        await self._restart(system)
        await ends_as_one(talk)
        kinds = [entry["kind"] for entry in await told(talk)]
        assert (kinds.count("send"), kinds.count("delete")) == (1, 0)

    async def _restart(self, system: System, **more: str) -> None:
        await system.worker.kill()
        system.worker.start(**more)
        await system.ready()
