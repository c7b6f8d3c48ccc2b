"""Blocking people: for good, for a while, on one channel or everywhere."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import FastAPI
from sqlalchemy import text

from api.services import Services
from tests.api.conftest import Login, Person
from tests.api.test_isolation import talk


async def session_of(person: Person, session_id: UUID) -> dict[str, Any]:
    return (await person.get(f"/chat/sessions/{session_id}")).json()["data"]["session"]


async def write_again(person: Person, number: int) -> None:
    update = {
        "update_id": number,
        "message": {
            "message_id": number,
            "date": 1_700_000_000,
            "chat": {"id": 7, "type": "private"},
            "from": {"id": 7, "is_bot": False, "first_name": "Alice"},
            "text": f"hello {number}",
        },
    }
    path = f"/api/v1/chat/webhooks/{person.tenant.webhook_token}"
    answer = await person.client.post(path, json=update, headers={"X-Telegram-Bot-Api-Secret-Token": "s3cret"})
    assert answer.status_code == 200


async def newest_arrival(person: Person, session_id: UUID) -> int | None:
    data = (await person.get(f"/chat/sessions/{session_id}/messages", direction="inbound")).json()["data"]
    return data["items"][0]["arrival_no"]


class TestAdd:
    async def test_for_good_ends_the_open_sessions_and_what_waits(self, app: FastAPI, login: Login) -> None:
        person = await login()
        session_id, _, _ = await talk(app, person)
        await person.post(f"/chat/sessions/{session_id}/messages", {"content": "too late"})
        answer = await person.post("/chat/blacklists", {"platform_user_id": "7", "reason": "spam"})
        assert answer.status_code == 201
        block = answer.json()["data"]["blacklist"]
        assert (block["block_type"], block["account_wide"], block["active"]) == ("permanent", True, True)
        assert block["blocked_by"] == "Olga"
        assert (await session_of(person, session_id))["status"] == "blocked"
        [part] = (await person.get("/chat/troubled")).json()["data"]["items"]
        assert part["error_code"] == "blocked"
        await write_again(person, 2)
        assert await newest_arrival(person, session_id) is None

    async def test_for_a_while_leaves_the_session_and_ends_by_itself(self, app: FastAPI, login: Login) -> None:
        person = await login()
        session_id, _, _ = await talk(app, person)
        body = {"platform_user_id": "7", "channel_id": str(person.tenant.channel_id), "duration_s": 3600}
        block = (await person.post("/chat/blacklists", body)).json()["data"]["blacklist"]
        assert (block["block_type"], block["active"]) == ("temporary", True)
        assert (await session_of(person, session_id))["status"] == "active"
        await write_again(person, 2)
        assert await newest_arrival(person, session_id) is None
        services: Services = app.state.services
        async with services.db.account(person.tenant.account_id) as conn:
            await conn.execute(text("UPDATE chat_blacklists SET expires_at = now() - interval '1 second'"))
        await write_again(person, 3)
        assert await newest_arrival(person, session_id) == 2
        assert (await person.get("/chat/blacklists", active=True)).json()["data"]["items"] == []

    async def test_a_repeat_renews_and_a_block_for_good_is_not_shortened(self, app: FastAPI, login: Login) -> None:
        person = await login()
        await talk(app, person)
        for body in ({"duration_s": 60}, {"duration_s": 7200}, {}):
            assert (await person.post("/chat/blacklists", {"platform_user_id": "7", **body})).status_code == 201
        answer = await person.post("/chat/blacklists", {"platform_user_id": "7", "duration_s": 60})
        assert answer.status_code == 409
        [block] = (await person.get("/chat/blacklists")).json()["data"]["items"]
        assert block["block_type"] == "permanent"

    async def test_a_foreign_channel_is_unknown(self, app: FastAPI, login: Login) -> None:
        mine, theirs = await login(), await login()
        body = {"platform_user_id": "7", "channel_id": str(theirs.tenant.channel_id)}
        assert (await mine.post("/chat/blacklists", body)).status_code == 404


class TestRemove:
    async def test_gives_the_session_back(self, app: FastAPI, login: Login) -> None:
        person = await login()
        session_id, _, _ = await talk(app, person)
        await person.post(f"/chat/sessions/{session_id}/block", {"reason": "spam"})
        [block] = (await person.get("/chat/blacklists", platform_user_id="7")).json()["data"]["items"]
        assert block["channel_id"] == str(person.tenant.channel_id)
        assert (await person.client.delete(f"/api/v1/chat/blacklists/{block['id']}")).status_code == 200
        session = await session_of(person, session_id)
        assert (session["status"], "block_reason" in session["user_metadata"]) == ("active", False)
        await write_again(person, 2)
        assert await newest_arrival(person, session_id) == 2

    async def test_not_while_another_block_holds_it(self, app: FastAPI, login: Login) -> None:
        person = await login()
        session_id, _, _ = await talk(app, person)
        wide = (await person.post("/chat/blacklists", {"platform_user_id": "7"})).json()["data"]["blacklist"]
        here = {"platform_user_id": "7", "channel_id": str(person.tenant.channel_id)}
        narrow = (await person.post("/chat/blacklists", here)).json()["data"]["blacklist"]
        await person.client.delete(f"/api/v1/chat/blacklists/{wide['id']}")
        assert (await session_of(person, session_id))["status"] == "blocked"
        await person.client.delete(f"/api/v1/chat/blacklists/{narrow['id']}")
        assert (await session_of(person, session_id))["status"] == "active"
