"""The account's view of its live connections: in all processes, and nothing of anybody else's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from uuid import uuid4

import pytest
from fastapi import FastAPI

from api.hub import open_hub
from domain.permissions import Role
from realtime.client import redis_client
from realtime.control import CONTROL_STREAM
from realtime.hub import Hub
from realtime.keys import live_channel
from tests.api.conftest import Login, Person, build_app
from tests.api.live import Socket, of
from tests.conftest import DatabaseUrls
from tests.realtime.cable import identifier
from tests.realtime.support import WAIT_S, until


@pytest.fixture
async def hubs(
    app: FastAPI, database_urls: DatabaseUrls, redis_url: str, redis: object
) -> AsyncIterator[tuple[Hub, Hub]]:
    """The hub of the api that is asked, and one of another process."""
    other = build_app(database_urls.app, redis_url)
    async with open_hub(app, app.state.services), open_hub(other, other.state.services):
        both: tuple[Hub, Hub] = (app.state.hub, other.state.hub)
        await until(lambda: all(hub.hearing for hub in both), "both hubs")
        yield both
    await other.state.services.close()


async def items(person: Person, what: str) -> list[dict[str, object]]:
    """Ask until every process has answered in time: on a busy machine one may need longer than the api waits."""
    async with asyncio.timeout(WAIT_S * 4):
        while True:
            answer = await person.get(f"/realtime/{what}")
            assert answer.status_code == 200, answer.text
            if answer.json()["data"]["complete"]:
                return answer.json()["data"]["items"]


class TestLooking:
    async def test_sees_own_connections_in_all_processes_and_no_others(
        self, hubs: tuple[Hub, Hub], login: Login
    ) -> None:
        mine, theirs = await login(), await login()
        session_id = uuid4()
        async with AsyncExitStack() as ending:
            for person, hub, name in ((mine, hubs[0], "Ada"), (mine, hubs[1], "Bob"), (theirs, hubs[1], "Eve")):
                socket = of(person, hub, name)
                ending.callback(socket.leave)
                await socket.hear(session_id if person is mine else uuid4())
            seen = await items(mine, "connections")
            assert [one["name"] for one in seen] == ["Ada", "Bob"]
            wanted = identifier("ChatSessionChannel", session_id=str(session_id))
            stream = f"chat_session_{session_id}"
            assert [one["subscriptions"] for one in seen] == [[{"identifier": wanted, "streams": [stream]}]] * 2
            assert await items(mine, "streams") == [{"name": stream, "connections": 2}]
            assert [one["name"] for one in await items(theirs, "connections")] == ["Eve"]
        assert await items(mine, "connections") == []

    async def test_a_process_that_does_not_answer_is_told(
        self, hubs: tuple[Hub, Hub], login: Login, redis_url: str
    ) -> None:
        mine = await login()
        client = redis_client(redis_url)
        async with client.pubsub() as silent:  # pyright: ignore[reportUnknownMemberType]
            await silent.subscribe(live_channel(CONTROL_STREAM))
            await silent.get_message(timeout=WAIT_S)
            answer = (await mine.get("/realtime/connections")).json()["data"]
        assert answer == {"items": [], "complete": False}
        await client.aclose()


class TestTail:
    async def test_reads_the_newest_events_of_a_stream_that_is_heard(self, hubs: tuple[Hub, Hub], login: Login) -> None:
        mine, theirs = await login(), await login()
        socket = of(mine, hubs[1])
        stream = await socket.hear(uuid4())
        for n in range(1, 6):
            await hubs[0].publisher.publish(stream, f"e{n}", b'{"n":%d}' % n)
        data = (await mine.get(f"/realtime/streams/{stream}/tail", count=2)).json()["data"]
        assert (data["top"], [(item["offset"], item["payload"]) for item in data["items"]]) == (
            5,
            [(4, {"n": 4}), (5, {"n": 5})],
        )
        assert (await theirs.get(f"/realtime/streams/{stream}/tail")).status_code == 404
        socket.leave()
        assert (await mine.get(f"/realtime/streams/{stream}/tail")).status_code == 404


class TestDisconnect:
    async def test_ends_all_sockets_of_one_person_in_this_account(self, hubs: tuple[Hub, Hub], login: Login) -> None:
        mine, theirs = await login(), await login()
        wanted = [of(mine, hub) for hub in hubs]
        colleague = Socket(hubs[0], mine.tenant.account_id, uuid4(), "Bob")
        elsewhere = Socket(hubs[0], theirs.tenant.account_id, mine.tenant.user_id, "Ada")
        path = f"/realtime/users/{mine.tenant.user_id}/disconnect"
        assert (await theirs.post(path)).status_code == 404
        assert (await mine.post(path, {"reconnect": True})).status_code == 200
        await until(lambda: all(socket.connection.ended.done() for socket in wanted), "the end of both")
        for socket in wanted:
            ending = socket.connection.ended.result()
            assert (ending.reason, ending.reconnect) == ("remote", True)
        assert not colleague.connection.ended.done()
        assert not elsewhere.connection.ended.done()
        for socket in (*wanted, colleague, elsewhere):
            socket.hub.leave(socket.connection)

    async def test_needs_more_than_reading(self, hubs: tuple[Hub, Hub], login: Login) -> None:
        operator = await login(Role.OPERATOR)
        answer = await operator.post(f"/realtime/users/{operator.tenant.user_id}/disconnect")
        assert answer.status_code == 403
        assert "operations.manage" in answer.text
