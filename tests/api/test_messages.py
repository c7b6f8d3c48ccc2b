"""Messages over REST: pages, cursors, repeats."""

from __future__ import annotations

from uuid import uuid4

from fastapi import FastAPI

from tests.api.conftest import Login, Person
from tests.api.test_isolation import talk


async def say(person: Person, session_id: object, count: int) -> list[str]:
    ids: list[str] = []
    for number in range(count):
        answer = await person.post(f"/chat/sessions/{session_id}/messages", {"content": f"answer {number}"})
        ids.append(answer.json()["data"]["message"]["id"])
    return ids


class TestPages:
    async def test_beyond_the_last_page_the_total_is_still_true(self, app: FastAPI, login: Login) -> None:
        person = await login()
        session_id, _, _ = await talk(app, person)
        answer = await person.get(f"/chat/sessions/{session_id}/messages", page=7, per_page=2)
        assert answer.json()["data"] == {
            "items": [],
            "pagination": {"current_page": 7, "per_page": 2, "total_pages": 1, "total_count": 1},
        }

    async def test_is_capped_at_a_hundred(self, app: FastAPI, login: Login) -> None:
        person = await login()
        assert (await person.get("/chat/sessions", per_page=101)).status_code == 422

    async def test_filters(self, app: FastAPI, login: Login) -> None:
        person = await login()
        session_id, message_id, _ = await talk(app, person)
        await say(person, session_id, 1)
        answer = await person.get(f"/chat/sessions/{session_id}/messages", direction="inbound", type="text")
        assert [item["id"] for item in answer.json()["data"]["items"]] == [str(message_id)]


class TestCursors:
    async def test_walks_both_ways_without_gap_or_repeat(self, app: FastAPI, login: Login) -> None:
        person = await login()
        session_id, first, _ = await talk(app, person)
        sent = await say(person, session_id, 6)
        path = f"/chat/sessions/{session_id}/messages"
        down: list[str] = []
        edge: str | None = sent[-1]
        while edge is not None:
            data = (await person.get(path, before=edge, per_page=2)).json()["data"]
            down += [item["id"] for item in data["items"]]
            edge = data["pagination"]["oldest_cursor"] if data["pagination"]["has_older"] else None
        assert down == [*sent[-2::-1], str(first)]
        data = (await person.get(path, after=str(first), per_page=4)).json()["data"]
        assert [item["id"] for item in data["items"]] == sent[3::-1]
        assert (data["pagination"]["has_newer"], data["pagination"]["newest_cursor"]) == (True, sent[3])

    async def test_a_message_of_another_session_is_no_cursor(self, app: FastAPI, login: Login) -> None:
        mine, theirs = await login(), await login()
        session_id, _, _ = await talk(app, mine)
        _, foreign, _ = await talk(app, theirs)
        path = f"/chat/sessions/{session_id}/messages"
        known, guessed = await mine.get(path, before=str(foreign)), await mine.get(path, before=str(uuid4()))
        assert known.status_code == 404
        assert known.content == guessed.content

    async def test_only_one_way_at_a_time(self, app: FastAPI, login: Login) -> None:
        person = await login()
        session_id, first, _ = await talk(app, person)
        answer = await person.get(f"/chat/sessions/{session_id}/messages", before=str(first), after=str(first))
        assert answer.status_code == 422


class TestConversation:
    async def test_after_pages_upwards_so_that_nobody_misses_one(self, app: FastAPI, login: Login) -> None:
        person = await login()
        session_id, _, conversation_id = await talk(app, person)
        await say(person, session_id, 5)
        path = f"/ai/conversations/{conversation_id}/messages"
        data = (await person.get(path, after=1, limit=2)).json()["data"]
        assert [message["sequence_number"] for message in data["messages"]] == [2, 3]
        assert data["pagination"] == {
            "oldest_cursor": 2,
            "newest_cursor": 3,
            "has_older": True,
            "has_newer": True,
            "total_count": 6,
        }
        data = (await person.get(path, before=3, limit=5)).json()["data"]
        assert [message["sequence_number"] for message in data["messages"]] == [1, 2]
        assert data["pagination"]["has_older"] is False
