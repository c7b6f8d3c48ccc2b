"""The list of conversations, live: told when one begins and when its status changes, and not by message."""

from __future__ import annotations

import pytest
from fastapi import FastAPI

from api.services import Services
from db import outbox
from realtime.hub import Hub
from tests.api.conftest import Login, Person
from tests.api.desk_socket import Json, desk_socket
from tests.api.test_isolation import talk
from tests.realtime.cable import identifier

NAME = identifier("AiConversationsListChannel")


async def send_away(app: FastAPI, person: Person, session_id: object) -> None:
    """Let a session's events leave. Temporal is away here, so its signals stay, and their rows with them."""
    services: Services = app.state.services
    aggregate = outbox.Aggregate(person.tenant.account_id, f"session:{session_id}")
    async with services.db.account(person.tenant.account_id) as conn:
        await conn.exec_driver_sql("DELETE FROM outbox WHERE kind = 'signal'")
    with pytest.raises(Exception, match="Temporal"):
        await services.dispatcher.dispatch(aggregate)


async def block(person: Person, session_id: object) -> None:
    assert (await person.post(f"/chat/sessions/{session_id}/block", {})).status_code == 200


async def unblock(person: Person, _session_id: object) -> None:
    [entry] = (await person.get("/chat/blacklists")).json()["data"]["items"]
    assert (await person.client.delete(f"/api/v1/chat/blacklists/{entry['id']}")).status_code == 200


async def close(person: Person, session_id: object) -> None:
    assert (await person.post(f"/chat/sessions/{session_id}/close", {})).status_code == 200


async def listed(person: Person) -> Json:
    [one] = (await person.get("/ai/conversations")).json()["data"]["items"]
    item = (await person.get(f"/ai/conversations/{one['id']}")).json()["data"]["conversation"]
    assert item == one
    return one


class TestConversationsList:
    async def test_a_conversation_is_told_when_it_begins_and_when_its_status_changes(
        self, app: FastAPI, hub: Hub, login: Login
    ) -> None:
        mine, theirs = await login(), await login()
        async with desk_socket(app, hub, mine) as socket, desk_socket(app, hub, theirs) as other:
            [greeting] = await socket.watch(NAME)
            await other.watch(NAME)
            assert (greeting["type"], greeting["channel"]) == ("subscription.confirmed", "ai_conversations_list")
            session_id, _, _ = await talk(app, mine)
            await send_away(app, mine, session_id)
            begun = await socket.message()
            fresh = await listed(mine)
            assert begun["type"] == "conversation_created"
            assert fresh | begun["conversation"] == fresh
            assert begun["conversation"]["chat_session_id"] == str(session_id)
            for change, status in ((block, "paused"), (unblock, "active"), (close, "completed")):
                await change(mine, session_id)
                await send_away(app, mine, session_id)
                changed = await socket.message()
                fresh = await listed(mine)
                assert (changed["type"], changed["conversation"]["status"]) == ("conversation_updated", status)
                assert fresh | changed["conversation"] == fresh
            assert fresh["version"] == 4
            assert await socket.settled() == []
            assert await other.settled() == []
