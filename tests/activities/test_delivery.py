"""One delivery attempt against a scripted platform, with the claim in every state in which it can be."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from redis.asyncio import Redis
from temporalio.testing import ActivityEnvironment

from activities.delivery import DeliveryActivities
from activities.failpoints import Failpoints
from activities.limiter import SendLimiter
from api.services import Services
from db.part_rows import Claims
from domain.work import DeliverInput, DeliverResult, Recorded, SessionRef
from tests.adapters.support import Drop, FakeServer, Reply
from tests.api.conftest import Login, Person
from tests.api.test_isolation import talk
from tests.api.test_sessions import agent_reply

ACCEPTED = Reply(200, {"ok": True, "result": {"message_id": 9}})


class Case:
    """An operator's message that waits to be sent."""

    def __init__(self, app: FastAPI, redis: Redis, person: Person, session_id: UUID) -> None:
        self.services: Services = app.state.services
        self.redis = redis
        self.person = person
        self.session_id = session_id

    async def write(self) -> str:
        answer = await self.person.post(f"/chat/sessions/{self.session_id}/messages", {"content": "hi"})
        return answer.json()["data"]["message"]["id"]

    async def deliver(self, message_id: str, hold_s: float = 20) -> DeliverResult:
        services, tenant = self.services, self.person.tenant
        activities = DeliveryActivities(
            services.db,
            services.channels,
            SendLimiter(self.redis),
            services.dispatcher,
            Failpoints(),
            Claims(hold_s),
        )
        ref = SessionRef(str(tenant.account_id), str(self.session_id), str(tenant.channel_id), "telegram")
        return await ActivityEnvironment().run(activities.deliver, DeliverInput(ref, Recorded(message_id, 1, "t")))

    async def parts(self, message_id: str) -> list[dict[str, Any]]:
        answer = await self.person.get(f"/chat/sessions/{self.session_id}/messages/{message_id}")
        return answer.json()["data"]["message"]["delivery_detail"]


@pytest.fixture
async def case(app: FastAPI, login: Login, redis: Redis) -> Case:
    person = await login()
    session_id, _, _ = await talk(app, person)
    return Case(app, redis, person, session_id)


class TestDeliver:
    async def test_sends_settles_and_does_it_once(self, case: Case, server: FakeServer) -> None:
        server.will(ACCEPTED)
        message_id = await case.write()
        for sent in (1, 0):
            assert await case.deliver(message_id) == DeliverResult(settled=True, sent=sent)
        assert len(server.received) == 1
        [part] = await case.parts(message_id)
        assert (part["status"], part["attempts"], part["platform_message_id"]) == ("sent", 1, "9")

    async def test_a_claim_that_is_over_sends_nothing_and_gives_the_part_back(
        self, case: Case, server: FakeServer
    ) -> None:
        server.will(ACCEPTED)
        message_id = await case.write()
        given_up = await case.deliver(message_id, hold_s=0)
        assert (given_up.settled, given_up.error_class) == (False, "claim_expired")
        assert server.received == []
        assert [part["status"] for part in await case.parts(message_id)] == ["queued"]
        assert (await case.deliver(message_id)).settled

    async def test_a_send_whose_answer_was_lost_is_not_repeated(self, case: Case, server: FakeServer) -> None:
        server.will(Drop(), ACCEPTED)
        message_id = await case.write()
        assert (await case.deliver(message_id)).settled
        assert len(server.received) == 1
        assert [part["status"] for part in await case.parts(message_id)] == ["unknown"]

    async def test_an_agents_message_is_not_sent_once_a_human_took_over(
        self, case: Case, app: FastAPI, server: FakeServer
    ) -> None:
        server.will(ACCEPTED)
        messages = (await case.person.get(f"/chat/sessions/{case.session_id}/messages")).json()["data"]["items"]
        message_id = str(await agent_reply(app, case.person, case.session_id, UUID(messages[0]["id"])))
        async with case.services.db.account(case.person.tenant.account_id) as conn:
            await conn.exec_driver_sql("UPDATE message_deliveries SET status = 'queued'")
            await conn.exec_driver_sql("UPDATE chat_sessions SET owner = 'human'")
        assert (await case.deliver(message_id)).settled
        assert server.received == []
        assert {part["error_code"] for part in await case.parts(message_id)} == {"taken_over"}
