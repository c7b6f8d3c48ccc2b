"""Sessions over REST: what operators read, say and decide."""

from __future__ import annotations

import asyncio

from fastapi import FastAPI

from tests.api.conftest import Login
from tests.api.test_isolation import talk


class TestSend:
    async def test_is_stored_in_parts_and_waits_for_delivery(self, app: FastAPI, login: Login) -> None:
        person = await login()
        session_id, _, _ = await talk(app, person)
        answer = await person.post(f"/chat/sessions/{session_id}/messages", {"content": "How can I *help*?"})
        assert answer.status_code == 201
        message = answer.json()["data"]["message"]
        assert (message["direction"], message["delivery_status"]) == ("outbound", "pending")
        [part] = message["delivery_detail"]
        assert (part["part"], part["status"]) == (1, "queued")
        listed = (await person.get(f"/chat/sessions/{session_id}/messages")).json()["data"]["items"]
        assert listed[0] == message

    async def test_a_client_id_makes_a_repeat_harmless(self, app: FastAPI, login: Login) -> None:
        person = await login()
        session_id, _, _ = await talk(app, person)
        body = {"content": "once", "client_id": "c-1"}
        answers = await asyncio.gather(*(person.post(f"/chat/sessions/{session_id}/messages", body) for _ in range(5)))
        assert len({answer.json()["data"]["message"]["id"] for answer in answers}) == 1

    async def test_refuses_blank_text(self, app: FastAPI, login: Login) -> None:
        person = await login()
        session_id, _, _ = await talk(app, person)
        answer = await person.post(f"/chat/sessions/{session_id}/messages", {"content": " \x00 "})
        assert answer.status_code == 422


class TestTakeOver:
    async def test_only_the_first_of_two_gets_it(self, app: FastAPI, login: Login) -> None:
        person = await login()
        session_id, _, _ = await talk(app, person)
        version = (await person.get(f"/chat/sessions/{session_id}")).json()["data"]["session"]["owner_version"]
        body = {"owner_version": version}
        answers = await asyncio.gather(*(person.post(f"/chat/sessions/{session_id}/take_over", body) for _ in range(5)))
        assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409]
        session = (await person.get(f"/chat/sessions/{session_id}")).json()["data"]["session"]
        assert (session["owner"], session["owner_user_id"]) == ("human", str(person.tenant.user_id))

    async def test_hand_back_gives_it_to_the_agent_again(self, app: FastAPI, login: Login) -> None:
        person = await login()
        session_id, _, _ = await talk(app, person)
        await person.post(f"/chat/sessions/{session_id}/take_over", {})
        answer = await person.post(f"/chat/sessions/{session_id}/hand_back", {})
        assert answer.json()["data"]["session"]["owner"] == "ai"


class TestClose:
    async def test_closes_and_the_next_message_opens_it_again(self, app: FastAPI, login: Login) -> None:
        person = await login()
        session_id, _, _ = await talk(app, person)
        answer = await person.post(f"/chat/sessions/{session_id}/close", {"reason": "solved"})
        assert answer.json()["data"]["session"]["status"] == "closed"
        details = (await person.get(f"/chat/sessions/{session_id}")).json()["data"]["session"]
        assert details["user_metadata"]["close_reason"] == "solved"


class TestBlock:
    async def test_kills_what_waits_and_lists_it(self, app: FastAPI, login: Login) -> None:
        person = await login()
        session_id, _, _ = await talk(app, person)
        await person.post(f"/chat/sessions/{session_id}/messages", {"content": "too late"})
        await person.post(f"/chat/sessions/{session_id}/block", {"reason": "spam"})
        [part] = (await person.get("/chat/troubled")).json()["data"]["items"]
        assert (part["status"], part["error_code"]) == ("dead", "blocked")

    async def test_a_dead_message_can_be_sent_again_as_a_new_generation(self, app: FastAPI, login: Login) -> None:
        person = await login()
        session_id, _, _ = await talk(app, person)
        sent = await person.post(f"/chat/sessions/{session_id}/messages", {"content": "again"})
        message_id = sent.json()["data"]["message"]["id"]
        path = f"/chat/sessions/{session_id}/messages/{message_id}/retry"
        assert (await person.post(path)).status_code == 409
        await person.post(f"/chat/sessions/{session_id}/block", {})
        again = (await person.post(path)).json()["data"]["message"]
        assert (again["generation"], again["delivery_status"]) == (2, "pending")
        assert (await person.get("/chat/troubled")).json()["data"]["items"] == []


class TestConversation:
    async def test_shows_both_sides_in_order(self, app: FastAPI, login: Login) -> None:
        person = await login()
        session_id, _, conversation_id = await talk(app, person)
        await person.post(f"/chat/sessions/{session_id}/messages", {"content": "hi Alice"})
        answer = await person.get(f"/ai/conversations/{conversation_id}/messages")
        messages = answer.json()["data"]["messages"]
        assert [(m["sender_type"], m["content"], m["sequence_number"]) for m in messages] == [
            ("user", "hello", 1),
            ("ai", "hi Alice", 2),
        ]
        assert [m["sender_info"]["name"] for m in messages] == ["Alice", "Olga"]
