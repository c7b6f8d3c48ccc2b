"""What is said besides text, through the whole system: buttons that are pressed and answered, files that arrive once."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.registry import platform_names
from tests.e2e.desk import Desk, desk_of
from tests.e2e.sockets import STATUS, listeners
from tests.e2e.system import HASH, System, Talk
from tests.tenants import Wish

BYTES = b"%PDF-1.7 not really\r\n" + b"\x00\xff and so on\r\n--x\r\n" * 5_000
DELIVERED = "SELECT delivery_status IN ('sent', 'delivered', 'read') FROM chat_messages WHERE direction = 'outbound' ORDER BY created_at DESC LIMIT 1"
BY_SOCKET = {"discord", "mattermost"}
SHOWS = {"slack": "files.completeUploadExternal", "discord": "create_message", "mattermost": "create_post"}
"""The request that makes a file visible."""


async def opened(system: System, platform: str, **wish: Any) -> tuple[Talk, Desk]:
    """Open a talk whose bot knows itself, and let alice write."""
    talk = await system.open_talk(platform, Wish(password_hash=HASH, **wish))
    desk = await desk_of(talk)
    if platform in BY_SOCKET:
        assert (await desk.post(f"/chat/channels/{talk.tenant.channel_id}/connect")).status_code == 200
        await talk.until(STATUS, "connected")
        await listeners(talk, 1)
    await talk.say("alice", "hello", wait=platform not in BY_SOCKET)
    await talk.replies(1)
    await talk.until(DELIVERED, True)
    return talk, desk


async def shown(talk: Talk) -> list[dict[str, Any]]:
    """Return all that the bot has sent, as alice's phone shows it."""
    chats = (await talk.system.simulator.phone(talk.name, "alice"))["chats"]
    return [message | {"chat": chat["chat"]} for chat in chats for message in chat["messages"] if message["bot"]]


async def session_of(talk: Talk) -> str:
    return str((await talk.rows("SELECT id FROM chat_sessions"))[0][0])


async def uploaded(talk: Talk, session: str, content: bytes = BYTES, name: str = "offer.pdf") -> dict[str, Any]:
    url = f"{talk.system.api_url}/api/v1/chat/sessions/{session}/attachments"
    headers = {"Authorization": f"Bearer {await talk.token()}"}
    answer = await talk.system.http.post(url, headers=headers, files={"file": (name, content, "application/pdf")})
    assert answer.status_code == 201, answer.text
    return answer.json()["data"]["attachment"]


@pytest.mark.parametrize("platform", platform_names())
class TestButtons:
    async def test_shown_pressed_and_answered(self, system: System, platform: str) -> None:
        buttons = {
            "text": "Shall I book it?",
            "buttons": [{"label": "Yes, please", "value": "yes:1"}, {"label": "No", "value": "no"}],
        }
        await system.simulator.post(
            "model/script", {"replies": [{"tool_calls": [{"name": "send_buttons", "arguments": buttons}]}]}
        )
        talk, _ = await opened(system, platform, provider="openai_compatible", tools=("send_buttons",))
        question = next(one for one in await shown(talk) if one["buttons"])
        assert "Shall I book it?" in question["text"]
        place = {"chat": question["chat"]} if platform in BY_SOCKET else {}
        await talk.say("alice", "Yes, please", kind="press", target=question["id"], **place)
        replies = await talk.replies(2)
        assert "Yes, please" in replies[1]["text"]
        [press] = await talk.rows(
            "SELECT content, platform_metadata ->> 'value' AS value FROM chat_messages WHERE direction = 'inbound' AND content <> 'hello'"
        )
        assert (press.content, press.value) == ("Yes, please", "yes:1")
        assert (await talk.rows("SELECT count(*) FROM chat_sessions"))[0][0] == 1


class TestFiles:
    @pytest.mark.parametrize("platform", platform_names())
    async def test_an_operators_file_arrives_once(self, system: System, platform: str) -> None:
        talk, desk = await opened(system, platform)
        session = await session_of(talk)
        upload = await uploaded(talk, session)
        assert (upload["filename"], upload["file_size"]) == ("offer.pdf", len(BYTES))
        body = {"content": "Our *offer*", "attachment_ids": [upload["id"]], "client_id": "c1"}
        for _ in range(2):
            answer = await desk.post(f"/chat/sessions/{session}/messages", **body)
            assert answer.status_code == 201, answer.text
        await talk.replies(2)
        await talk.until(DELIVERED, True)
        [file] = [one for one in await shown(talk) if one["file"]]
        assert "offer" in file["text"]
        kept = await system.http.get(f"{system.simulator.origin}{file['file']['url']}")
        assert kept.content == BYTES
        [message] = await talk.rows("SELECT message_type, content FROM chat_messages WHERE author_user_id IS NOT NULL")
        assert (message.message_type, message.content) == ("document", "Our *offer*\n[document: offer.pdf]")
        [kept_row] = await talk.rows("SELECT state, filename, file_size FROM chat_message_attachments")
        assert tuple(kept_row) == ("stored", "offer.pdf", len(BYTES))

    @pytest.mark.parametrize(
        ("platform", "fault"),
        [
            *((platform, "accept_then_drop") for platform in sorted(SHOWS)),
            ("slack", "drop_before_accept"),
            ("discord", "drop_before_accept"),
            pytest.param("mattermost", "drop_before_accept", marks=pytest.mark.full),
        ],
    )
    async def test_once_also_when_the_answer_is_lost(self, system: System, platform: str, fault: str) -> None:
        talk, desk = await opened(system, platform)
        session = await session_of(talk)
        upload = await uploaded(talk, session)
        await system.simulator.fault(fault, channel=talk.name, method=SHOWS[platform], times=1)
        await desk.post(f"/chat/sessions/{session}/messages", attachment_ids=[upload["id"]])
        await talk.replies(2)
        await talk.until(DELIVERED, True)
        assert len([one for one in await shown(talk) if one["file"]]) == 1


UNKNOWN = "SELECT status FROM message_deliveries ORDER BY created_at DESC LIMIT 1"


class TestReceiptsThatNameTheSend:
    async def test_a_lost_answer_is_told_by_the_receipt(self, system: System) -> None:
        talk = await system.open_talk("whatsapp")
        await system.simulator.fault("accept_then_drop", channel=talk.name, method="messages", times=1)
        await talk.say("alice", "hello")
        await talk.until("SELECT delivery_status FROM chat_messages WHERE direction = 'outbound'", "delivered")
        [part] = await talk.rows("SELECT attempts, platform_message_id FROM message_deliveries")
        [reply] = await talk.replies(1)
        assert (part.attempts, part.platform_message_id) == (1, reply["message_id"])
        # What comes later is not held up by it.
        await talk.say("alice", "again")
        await talk.replies(2)

    async def test_without_one_it_is_unknown_and_not_repeated(self, system: System) -> None:
        talk = await system.open_talk("whatsapp")
        await system.simulator.fault("drop_before_accept", channel=talk.name, method="messages", times=1)
        await talk.say("alice", "hello")
        await talk.until(UNKNOWN, "unknown")
        assert await system.simulator.received(talk.name, at_least=0) == []

    async def test_a_receipt_may_come_before_the_answer(self, system: System) -> None:
        talk = await system.open_talk("whatsapp")
        gate = await system.simulator.fault("accept_then_hold", channel=talk.name, method="messages", times=1)
        await talk.say("alice", "hello")
        await talk.until("SELECT delivery_status FROM chat_messages WHERE direction = 'outbound'", "delivered")
        await system.simulator.release(gate)
        await talk.say("alice", "again")
        await talk.replies(2)
        await talk.until("SELECT count(*) FROM message_deliveries WHERE status = 'delivered'", 2)
        parts = await talk.rows("SELECT status, attempts FROM message_deliveries ORDER BY created_at")
        assert [(part.status, part.attempts) for part in parts] == [("delivered", 1), ("delivered", 1)]


LATE = "UPDATE chat_sessions SET last_inbound_at = now() - interval '25 hours' RETURNING 1"


class TestWindow:
    async def test_outside_it_nothing_is_sent_and_it_is_said_why(self, system: System) -> None:
        talk, desk = await opened(system, "whatsapp")
        session = await session_of(talk)
        view = (await desk.data(f"/chat/sessions/{session}"))["session"]
        assert view["reply_window_until"] > view["last_inbound_at"]
        await talk.rows(LATE)
        await desk.post(f"/chat/sessions/{session}/messages", content="Are you still there?")
        await talk.until(UNKNOWN, "dead")
        [part] = await talk.rows("SELECT error_code, error_message FROM message_deliveries WHERE status = 'dead'")
        assert part.error_code == "window_closed"
        assert "24 hours" in part.error_message
        assert len(await shown(talk)) == 1
        # A template may be sent still.
        await desk.post(f"/chat/sessions/{session}/messages", template={"name": "reopen", "parameters": ["Ada"]})
        await talk.until(DELIVERED, True)
        assert (await shown(talk))[-1]["text"] == "[reopen] Ada"

    async def test_a_channels_template_goes_in_its_place(self, system: System) -> None:
        template = {"name": "reopen", "language": "en_US", "parameters": ["{text}"]}
        talk, desk = await opened(system, "whatsapp", configuration={"window_template": template})
        session = await session_of(talk)
        await talk.rows(LATE)
        await desk.post(f"/chat/sessions/{session}/messages", content="Are you\n\nstill there?")
        await talk.replies(2)
        await talk.until(DELIVERED, True)
        assert (await shown(talk))[-1]["text"] == "[reopen] Are you still there?"
        await talk.until("SELECT status FROM message_deliveries WHERE payload IS NOT NULL", "delivered")
        [part] = await talk.rows("SELECT error_code, error_message FROM message_deliveries WHERE payload IS NOT NULL")
        assert part.error_code == "window_template"
        assert "template reopen" in part.error_message

    async def test_the_platforms_own_word_counts_too(self, system: System) -> None:
        template = {"name": "reopen"}
        talk, desk = await opened(system, "whatsapp", configuration={"window_template": template})
        session = await session_of(talk)
        await system.simulator.fault("error", channel=talk.name, method="messages", error="window_closed", times=1)
        await desk.post(f"/chat/sessions/{session}/messages", content="Hello?")
        await talk.until(DELIVERED, True)
        assert (await shown(talk))[-1]["text"] == "[reopen]"


TYPING = {"telegram": "sendChatAction", "discord": "typing", "mattermost": "typing", "whatsapp": "read"}


class TestTyping:
    @pytest.mark.parametrize("platform", sorted(TYPING))
    async def test_is_shown_while_the_answer_is_made(self, system: System, platform: str) -> None:
        talk, _ = await opened(system, platform, provider="openai_compatible")
        before = len(await system.simulator.calls(channel=talk.name, method=TYPING[platform], at_least=0))
        gate = await system.simulator.fault("hold", platform="model", times=1)
        await talk.say("alice", "a hard one", wait=False)
        calls = await system.simulator.calls(
            channel=talk.name, method=TYPING[platform], at_least=before + 1, timeout_s=30
        )
        assert len(calls) > before
        await system.simulator.release(gate)
        assert "a hard one" in (await talk.replies(2))[1]["text"]
        await talk.until(DELIVERED, True)

    async def test_can_be_turned_off_and_never_fails_a_reply(self, system: System) -> None:
        for configuration, refused in (({"typing_indicator": False}, 0), ({}, 1)):
            talk, _ = await opened(system, "telegram", provider="openai_compatible", configuration=configuration)
            await system.simulator.fault("server_error", channel=talk.name, method="sendChatAction")
            gate = await system.simulator.fault("hold", platform="model", times=1)
            await talk.say("alice", "a hard one")
            assert await system.simulator.held(gate)
            if refused:
                await system.simulator.calls(channel=talk.name, method="sendChatAction", at_least=1, timeout_s=30)
            await system.simulator.release(gate)
            await talk.replies(2)
            await talk.until(DELIVERED, True)
            calls = await system.simulator.calls(channel=talk.name, method="sendChatAction", at_least=0)
            assert bool(calls) is bool(refused)
