"""What belongs together stays together: an album is one conversation, and an answer stays in its question's thread."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from tests.e2e.desk import desk_of
from tests.e2e.lines import BY_SOCKET, HEARD, open_line, settled
from tests.e2e.system import HASH, System, Talk
from tests.tenants import Wish

ALBUM = 10


def photo(talk: Talk, number: int) -> dict[str, Any]:
    """Return one picture of an album, as the platform tells of it: Telegram joins them by an id, WhatsApp by nothing."""
    if talk.platform == "telegram":
        size = {"file_id": f"file-{number}", "file_unique_id": f"u{number}", "width": 90, "height": 90}
        chat = {"id": 5001, "type": "private", "first_name": "Alice"}
        author = {"id": 5001, "is_bot": False, "first_name": "Alice"}
        about = {"message_id": 100 + number, "date": int(time.time()), "media_group_id": "1300"}
        return {"message": {**about, "chat": chat, "from": author, "photo": [size]}}
    image = {"id": f"media-{number}", "mime_type": "image/jpeg", "sha256": "x"}
    message = {"from": "15550001111", "id": f"wamid.ALBUM{number}", "timestamp": str(int(time.time()))}
    contact = {"profile": {"name": "Alice"}, "wa_id": "15550001111"}
    return {"contacts": [contact], "messages": [{**message, "type": "image", "image": image}]}


@pytest.mark.parametrize("platform", ["telegram", "whatsapp"])
class TestAlbum:
    async def test_ten_pictures_at_once_are_one_session(self, system: System, platform: str) -> None:
        talk = await system.open_talk(platform)
        await self._arrive(talk)
        await talk.until(HEARD, ALBUM)
        [session] = await talk.rows("SELECT last_arrival_no, message_count FROM chat_sessions")
        assert session.last_arrival_no == ALBUM
        assert len(await talk.rows("SELECT 1 FROM ai_conversations")) == 1
        kinds = await talk.rows(
            "SELECT message_type, jsonb_array_length(attachments) FROM chat_messages WHERE direction = 'inbound'"
        )
        assert {tuple(kind) for kind in kinds} == {("image", 1)}

    async def test_collected_they_are_two_turns_at_most(self, system: System, platform: str) -> None:
        wish = Wish(provider="openai_compatible", configuration={"busy_mode": "collect", "collect_window_ms": 100})
        talk = await system.open_talk(platform, wish)
        gate = await system.simulator.fault("hold", platform="model", times=1)
        await self._arrive(talk)
        assert await system.simulator.held(gate)
        await talk.until(HEARD, ALBUM)
        await talk.until("SELECT count(*) FROM outbox", 0)
        await system.simulator.release(gate)
        await talk.until("SELECT count(*) FROM chat_messages WHERE direction = 'inbound' AND handled_at IS NULL", 0)
        turns = await talk.rows("SELECT cardinality(message_ids) FROM turns ORDER BY 1")
        assert [turn[0] for turn in turns] == [1, ALBUM - 1]

    async def _arrive(self, talk: Talk) -> None:
        pictures = [photo(talk, number) for number in range(ALBUM)]
        said = (talk.say("alice", kind="raw", payload=picture) for picture in pictures)
        for answer in await asyncio.gather(*said):
            assert answer["statuses"] == [200]


async def _line(system: System, platform: str) -> Talk:
    if platform in BY_SOCKET:
        return await open_line(system, platform)
    talk = await system.open_talk(platform, Wish(password_hash=HASH))
    assert (await (await desk_of(talk)).post(f"/chat/channels/{talk.tenant.channel_id}/connect")).status_code == 200
    return talk


class TestThreads:
    # Of a private group on Mattermost only the socket tells: in public ones its outgoing webhook, which does not say of which
    # thread a post is, may be first (docs/platforms/mattermost.md).
    @pytest.mark.parametrize(("platform", "kind"), [("slack", "channel"), ("mattermost", "group")])
    async def test_questions_in_a_channel_are_answered_in_threads_of_their_own(
        self, system: System, platform: str, kind: str
    ) -> None:
        talk = await _line(system, platform)
        where = {"chat": "general", "chat_kind": kind, "mention": True, "wait": False}
        roots = [(await talk.say(person, f"{person} asks", **where))["message_id"] for person in ("alice", "bob")]
        await talk.replies(2)
        for person, root in zip(("alice", "bob"), roots, strict=True):
            await talk.say(person, f"{person} again", thread=root, **where)
        replies = await talk.replies(4)
        await settled(talk)
        found = {
            (reply["thread"], person) for reply in replies for person in ("alice", "bob") if person in reply["text"]
        }
        assert found == set(zip(roots, ("alice", "bob"), strict=True))
        sessions = await talk.rows("SELECT last_arrival_no FROM chat_sessions")
        assert [session.last_arrival_no for session in sessions] == [2, 2]

    async def test_topics_of_a_forum_are_conversations_of_their_own(self, system: System) -> None:
        talk = await _line(system, "telegram")
        await system.simulator.post(
            "chats", {"channel": talk.name, "name": "Forum", "kind": "supergroup", "threads": ["7", "8"]}
        )
        for person, topic in (("alice", "7"), ("bob", "8"), ("alice", "7")):
            await talk.say(person, f"{person} asks", chat="Forum", thread=topic, mention=True)
        replies = await talk.replies(3)
        found = [
            (reply["thread"], person) for reply in replies for person in ("alice", "bob") if person in reply["text"]
        ]
        assert sorted(found) == [("7", "alice"), ("7", "alice"), ("8", "bob")]
        assert len(await talk.rows("SELECT 1 FROM chat_sessions")) == 2

    async def test_a_thread_in_discord_is_a_channel(self, system: System) -> None:
        talk = await _line(system, "discord")
        asked = [
            await talk.say("alice", f"about {thread}", chat=thread, chat_kind="channel", mention=True, wait=False)
            for thread in ("apples", "pears")
        ]
        replies = await talk.replies(2)
        found = {(reply["chat"], word) for reply in replies for word in ("apples", "pears") if word in reply["text"]}
        assert found == {(asked[0]["chat"], "apples"), (asked[1]["chat"], "pears")}
