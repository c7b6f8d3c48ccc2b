"""Sessions over REST: what operators read, say and decide."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

from fastapi import FastAPI
from sqlalchemy import text

from api.services import Services
from db import outbound
from db.outgoing import Outgoing, Part
from tests.api.conftest import Login, Person
from tests.api.test_channels import events
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

    async def test_ends_what_the_agent_still_had_to_send_and_names_what_is_on_its_way(
        self, app: FastAPI, login: Login
    ) -> None:
        person = await login()
        session_id, message_id, _ = await talk(app, person)
        theirs = (await person.post(f"/chat/sessions/{session_id}/messages", {"content": "mine"})).json()["data"]
        reply_id = await agent_reply(app, person, session_id, message_id)
        answer = (await person.post(f"/chat/sessions/{session_id}/take_over", {})).json()["data"]
        assert answer["already_sending"] == [{"message_id": str(reply_id), "part": 1}]
        path = f"/chat/sessions/{session_id}/messages"
        reply = (await person.get(f"{path}/{reply_id}")).json()["data"]["message"]
        assert reply["delivery_status"] == "failed"
        assert [(part["status"], part["error_code"]) for part in reply["delivery_detail"]] == [
            ("attempting", None),
            ("dead", "taken_over"),
            ("dead", "taken_over"),
        ]
        mine = (await person.get(f"{path}/{theirs['message']['id']}")).json()["data"]["message"]
        assert mine["delivery_status"] == "pending"
        [told] = [event for event in await events(app, person) if event.get("delivery_status") == "failed"]
        assert told["message"] == {name: reply[name] for name in told["message"]}


async def agent_reply(app: FastAPI, person: Person, session_id: UUID, answers: UUID) -> UUID:
    """Store an agent's reply in three parts, of which the first is being sent."""
    services: Services = app.state.services
    parts = [Part(one, one) for one in "abc"]
    out = Outgoing(session_id, "a b c", parts, "t" * 16, turn_id=uuid4(), answers=answers, handled=[answers])
    async with services.db.account(person.tenant.account_id) as conn:
        await conn.execute(
            text(
                "INSERT INTO turns (id, account_id, conversation_id, session_id, agent_id, message_ids, trace_id)"
                " SELECT :id, account_id, ai_conversation_id, id, assigned_agent_id, ARRAY[CAST(:answers AS uuid)], :trace_id"
                " FROM chat_sessions WHERE id = :session_id"
            ),
            {"id": out.turn_id, "answers": answers, "session_id": session_id, "trace_id": out.trace_id},
        )
        await conn.execute(
            text(
                "INSERT INTO turn_steps (account_id, turn_id, step, kind, name, request, response) VALUES"
                " (app_account(), :id, 1, 'model', 'local', '{}', '{\"text\": \"a b c\"}')"
            ),
            {"id": out.turn_id},
        )
        await outbound.owner_of(conn, session_id)
        view, _ = await outbound.record(conn, person.tenant.account_id, out)
        await conn.execute(
            text("UPDATE message_deliveries SET status = 'attempting' WHERE message_id = :id AND part_no = 1"),
            {"id": view.id},
        )
    return view.id


class TestClose:
    async def test_closes_and_the_next_message_opens_it_again(self, app: FastAPI, login: Login) -> None:
        person = await login()
        session_id, _, _ = await talk(app, person)
        answer = await person.post(f"/chat/sessions/{session_id}/close", {"reason": "solved"})
        assert answer.json()["data"]["session"]["status"] == "closed"
        details = (await person.get(f"/chat/sessions/{session_id}")).json()["data"]["session"]
        assert details["user_metadata"]["close_reason"] == "solved"

    async def test_fails_when_the_person_wrote_meanwhile(self, app: FastAPI, login: Login) -> None:
        person = await login()
        session_id, _, _ = await talk(app, person)
        answer = await person.post(f"/chat/sessions/{session_id}/close", {"last_arrival_no": 0})
        assert (answer.status_code, answer.json()["details"]) == (409, {"last_arrival_no": 1})
        answer = await person.post(f"/chat/sessions/{session_id}/close", {"last_arrival_no": 1})
        assert answer.json()["data"]["session"]["status"] == "closed"

    async def test_the_conversation_follows(self, app: FastAPI, login: Login) -> None:
        person = await login()
        session_id, _, conversation_id = await talk(app, person)
        await person.post(f"/chat/sessions/{session_id}/close", {})
        assert await conversation_status(app, person, conversation_id) == "completed"


class TestAssign:
    async def test_takes_an_agent_of_the_account_only(self, app: FastAPI, login: Login) -> None:
        mine, theirs = await login(), await login()
        session_id, _, _ = await talk(app, mine)
        path = f"/chat/sessions/{session_id}/assign"
        foreign = await mine.post(path, {"agent_id": str(theirs.tenant.agent_id)})
        assert foreign.status_code == 404
        answer = await mine.post(path, {"agent_id": str(mine.tenant.agent_id)})
        assert answer.json()["data"]["session"]["assigned_agent"] == "Ada"


class TestSignals:
    async def test_every_command_tells_the_workflow_and_the_readers(self, app: FastAPI, login: Login) -> None:
        person = await login()
        session_id, _, _ = await talk(app, person)
        for command in ("take_over", "hand_back", "close", "block"):
            session = (await person.post(f"/chat/sessions/{session_id}/{command}", {})).json()["data"]["session"]
            services: Services = app.state.services
            async with services.db.account(person.tenant.account_id) as conn:
                rows = await conn.execute(
                    text("SELECT name, data FROM outbox WHERE aggregate = :name AND aggregate_version = :version"),
                    {"name": f"session:{session_id}", "version": session["version"]},
                )
                told: dict[str, Any] = {row.name: row.data for row in rows}
            assert told["session_changed"]["version"] == session["version"]
            assert told["SessionUpdated"]["session"] == session


async def conversation_status(app: FastAPI, person: Person, conversation_id: UUID) -> str:
    services: Services = app.state.services
    async with services.db.account(person.tenant.account_id) as conn:
        found = await conn.execute(text("SELECT status FROM ai_conversations WHERE id = :id"), {"id": conversation_id})
        return found.scalar_one()


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
