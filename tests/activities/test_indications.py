"""Signs that somebody is writing, and the room that messages need more."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest
from redis.asyncio import Redis

from activities.indications import Indications
from activities.limiter import SendLimiter, place_of
from adapters.limits import Place, Verb
from db.channels import load_channel
from domain.work import SessionRef, TurnInput
from tests.activities.test_delivery import Case, case
from tests.adapters.support import FakeServer, Reply

__all__ = ["case"]


class Watched(SendLimiter):
    """Tells when it was asked for room."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis, pace=0.001)
        self.asked = asyncio.Event()

    async def has_room(self, place: Place) -> bool:
        room = await super().has_room(place)
        self.asked.set()
        return room


async def in_use(case: Case, limiter: SendLimiter) -> None:
    """Let messages take all that the bot may send for now."""
    async with case.services.db.account(case.person.tenant.account_id) as conn:
        channel = await load_channel(conn, case.person.tenant.channel_id)
    adapter, context = case.services.channels.open(channel)
    place = place_of(adapter.capabilities, context, channel.platform, "another", Verb.SIGN)
    waits = [await limiter.take(place, f"m{number}") for number in range(31)]
    assert waits[-1] > 0


@pytest.mark.parametrize("busy", [False, True])
async def test_a_sign_is_left_out_where_messages_need_the_room(case: Case, server: FakeServer, busy: bool) -> None:
    limiter = Watched(case.redis)
    if busy:
        await in_use(case, limiter)
    server.will(Reply(200, {"ok": True, "result": True}))
    tenant = case.person.tenant
    messages = (await case.person.get(f"/chat/sessions/{case.session_id}/messages")).json()["data"]["items"]
    ref = SessionRef(str(tenant.account_id), str(case.session_id), str(tenant.channel_id), "telegram")
    turn = TurnInput(ref, str(UUID(int=1)), [messages[0]["id"]], "t", "l")
    before = asyncio.all_tasks()
    async with Indications(case.services.db, case.services.channels, limiter).during(turn, first=True):
        await limiter.asked.wait()
    await asyncio.gather(*(asyncio.all_tasks() - before))
    assert [request.target.rpartition("/")[2] for request in server.received] == ([] if busy else ["sendChatAction"])
