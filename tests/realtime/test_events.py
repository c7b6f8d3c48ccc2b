"""`GET /events`: what a client of server-sent events hears, how it comes back, and who is refused."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, MutableMapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlencode
from uuid import UUID

import httpx2
import pytest
from redis.asyncio import Redis

from realtime.admission import AdmissionLimits
from realtime.client import ask
from realtime.control import CONTROL_STREAM
from realtime.counters import Count
from realtime.door import Door
from realtime.events import EventsApp
from realtime.identity import Identity
from realtime.limits import HubSettings
from realtime.publish import MAX_EVENT_BYTES, Publication
from tests.realtime import spark
from tests.realtime.cable import FAST_BROKER, Cable, Json, identifier, impatient, person, running_cable
from tests.realtime.stage import Stage
from tests.realtime.support import WAIT_S, until


@dataclass(frozen=True)
class Event:
    """One event as a browser would hear it; a comment has only that."""

    name: str = "message"
    data: Json | None = None
    id: str | None = None
    retry: str | None = None
    comment: str | None = None


class Listener:
    """A client's stream. `greetings` is what the channel itself said to a new subscriber."""

    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()
        self.greetings: list[Event] = []

    async def next(self) -> Event:
        """The next event but greetings, comments too. Raises StopAsyncIteration at the end."""
        while (event := await self._read()).name == "message" and _is_greeting(event):
            self.greetings.append(event)
        return event

    async def _read(self) -> Event:
        fields: dict[str, str] = {}
        async with asyncio.timeout(WAIT_S):
            while line := await anext(self._lines):
                name, _, value = line.partition(": ")
                fields[name or "comment"] = value
        if "comment" in fields or line.startswith(":"):
            return Event("", comment=fields.get("comment", ""))
        data = cast("Json", json.loads(fields["data"]))
        return Event(fields.get("event", "message"), data, fields.get("id"), fields.get("retry"))

    async def until(self, name: str) -> list[Event]:
        """All events up to one of this name, which comes last."""
        events = [await self.next()]
        while events[-1].name != name:
            events.append(await self.next())
        return events

    async def __aiter__(self) -> AsyncIterator[Event]:
        with contextlib.suppress(StopAsyncIteration):
            while True:
                yield await self.next()


def _is_greeting(event: Event) -> bool:
    message = event.data and event.data["message"]
    return isinstance(message, dict) and "n" not in message


@contextlib.asynccontextmanager
async def listening(
    cable: Cable, name: str, who: Identity | None = None, *, last: str = "", **query: str
) -> AsyncGenerator[Listener]:
    headers = {"last-event-id": last} if last else {}
    token = cable.token(who or person(cable.account_id))
    async with (
        httpx2.AsyncClient(timeout=WAIT_S) as http,
        http.stream("GET", url(cable), params={"identifier": name, "token": token, **query}, headers=headers) as answer,
    ):
        yield Listener(answer)


def url(cable: Cable) -> str:
    return f"http://127.0.0.1:{cable.port}/events"


def session(cable: Cable) -> tuple[str, str]:
    """A session of the account: its identifier and its stream."""
    session_id = cable.shelf.add_session(cable.account_id)
    return identifier("ChatSessionChannel", session_id=str(session_id)), f"chat_session_{session_id}"


async def say(cable: Cable, stream: str, *numbers: int) -> None:
    await cable.publisher.publish_many([Publication(stream, f"e{n}", b'{"n":%d}' % n) for n in numbers])


async def heard(listener: Listener, count: int) -> list[object]:
    """The numbers of the next data events."""
    return [cast("Json", cast("Json", (await listener.next()).data)["message"])["n"] for _ in range(count)]


@pytest.fixture
async def cable(redis: Redis) -> AsyncIterator[Cable]:
    async with running_cable(redis) as running:
        yield running


class TestStream:
    async def test_says_welcome_confirms_and_sends_events_with_their_place(self, cable: Cable) -> None:
        name, stream = session(cable)
        async with listening(cable, name) as listener:
            assert listener.response.headers["content-type"].startswith("text/event-stream")
            assert listener.response.headers["cache-control"] == "no-store"
            welcome, confirmed = await listener.until("confirm_subscription")
            assert (welcome.name, welcome.retry) == ("welcome", "3000")
            assert confirmed.data == {"type": "confirm_subscription", "identifier": name}
            await say(cable, stream, 1)
            event = await listener.next()
            assert {greeting.id for greeting in listener.greetings} == {None}
        assert event.data is not None
        assert event.data["identifier"] == name
        assert event.data["message"] == {"n": 1}
        assert event.name == "message"
        assert event.id == f"{event.data['epoch']}/1"

    async def test_a_channel_and_its_params_will_do(self, cable: Cable) -> None:
        session_id = cable.shelf.add_session(cable.account_id)
        async with listening(cable, "", channel="ChatSessionChannel", session_id=str(session_id)) as listener:
            confirmed = (await listener.until("confirm_subscription"))[-1]
        assert confirmed.data is not None
        assert json.loads(str(confirmed.data["identifier"])) == {
            "channel": "ChatSessionChannel",
            "session_id": str(session_id),
        }

    async def test_is_kept_alive_by_comments(self, redis: Redis) -> None:
        settings = HubSettings(ping_interval_s=0.06, broker=FAST_BROKER)
        async with running_cable(redis, settings) as cable, listening(cable, session(cable)[0]) as listener:
            await listener.until("confirm_subscription")
            assert [(await listener.next()).comment is not None for _ in range(3)] == [True] * 3

    async def test_a_client_that_leaves_gives_all_back(self, cable: Cable) -> None:
        name, stream = session(cable)
        async with listening(cable, name) as listener:
            await listener.until("confirm_subscription")
            assert cable.hub.listeners(stream) == 1
        await until(lambda: cable.hub.connections == 0, "the hub's letting go")
        assert cable.hub.listeners(stream) == 0


class TestReturn:
    async def test_hears_what_it_missed_once_and_in_order_while_more_arrives(self, cable: Cable) -> None:
        name, stream = session(cable)
        await say(cable, stream, 1, 2)
        async with listening(cable, name) as listener:
            await listener.until("confirm_subscription")
            await say(cable, stream, 3)
            last = (await listener.next()).id or ""
        await say(cable, stream, *range(4, 20))
        async with asyncio.TaskGroup() as tasks, listening(cable, name, last=last) as listener:
            tasks.create_task(say(cable, stream, *range(20, 60)))
            events = [event async for event in _numbers(listener, 56)]
        assert [n for n, _ in events] == list(range(4, 60))
        assert events[-1][1].endswith("/59")

    async def test_what_comes_before_the_answer_has_begun_waits_for_the_backlog(self, cable: Cable) -> None:
        name, stream = session(cable)
        await say(cable, stream, 1)
        async with listening(cable, name) as listener:
            last = (await listener.until("confirm_subscription"))[-1].id or ""
            await say(cable, stream, 2)
            await listener.next()
            caller = _Caller(name, cable.token(person(cable.account_id)), last)
            app = EventsApp(cable.hub, Door(cable.hub, cable.authenticate, []), cable.orders)
            serving = asyncio.create_task(app(caller.scope, caller.receive, caller.send))
            await until(lambda: cable.hub.listeners(stream) == 2, "the subscription")
            await say(cable, stream, 3)
            assert await heard(listener, 1) == [3]
        caller.ready.set()
        await until(lambda: b"confirm_history" in caller.body, "the end of the backlog")
        caller.gone.set()
        await serving
        assert re.findall(rb'"n":(\d)', caller.body) == [b"2", b"3"]

    async def test_the_confirmation_is_a_place_too(self, cable: Cable) -> None:
        name, stream = session(cable)
        await say(cable, stream, 1, 2)
        async with listening(cable, name) as listener:
            last = (await listener.until("confirm_subscription"))[-1].id or ""
        assert last.endswith("/2")
        await say(cable, stream, 3)
        async with listening(cable, name, last=last) as listener:
            await listener.until("confirm_subscription")
            assert await heard(listener, 1) == [3]

    async def test_of_a_stream_in_which_nothing_had_happened_all_was_missed(self, cable: Cable) -> None:
        name, stream = session(cable)
        async with listening(cable, name) as listener:
            last = (await listener.until("confirm_subscription"))[-1].id or ""
        await say(cable, stream, 1, 2)
        async with listening(cable, name, last=last) as listener:
            assert (await listener.until("confirm_subscription"))[-1].id == last
            assert await heard(listener, 2) == [1, 2]
            assert (await listener.next()).name == "confirm_history"

    async def test_by_another_process(self, stage: Stage) -> None:
        who = stage.person()
        both = identifier("SparkChannel", name="main", second="other")
        await stage.publish({"n": 1})
        async with _at(stage, 0, both, who) as listener:
            last = (await listener.until("confirm_subscription"))[-1].id or ""
        await stage.publish({"n": 2})
        await stage.publish({"n": 3}, "other")
        async with _at(stage, 1, both, who, last) as listener:
            await listener.until("confirm_subscription")
            assert await heard(listener, 2) == [2, 3]
            confirmed = await listener.next()
            assert confirmed.name == "confirm_history"
            await stage.publish({"n": 4}, "other")
            again = await listener.next()
        assert again.id is not None
        assert [place.partition("/")[2] for place in again.id.split(",")] == ["2", "2"]

    async def test_is_reset_when_the_history_is_gone_and_goes_on_from_there(self, cable: Cable) -> None:
        name, stream = session(cable)
        await say(cable, stream, 1)
        async with listening(cable, name) as listener:
            last = (await listener.until("confirm_subscription"))[-1].id or ""
        await ask(cable.redis, "DEL", f"{{{stream}}}:meta", f"{{{stream}}}:log")
        await say(cable, stream, 2, 3)
        async with listening(cable, name, last=last) as listener:
            reset = (await listener.until("reset"))[-1]
            assert reset.data == {"type": "reject_history", "identifier": name}
            await say(cable, stream, 4)
            assert await heard(listener, 1) == [4]
        await say(cable, stream, 5)
        async with listening(cable, name, last=reset.id or "") as listener:
            await listener.until("confirm_subscription")
            assert await heard(listener, 2) == [4, 5]

    @pytest.mark.parametrize("last", ["nonsense", "a/1,b/2", "a/-1", f"a/{'9' * 400}", "/"])
    async def test_an_id_that_is_not_ours_resets(self, cable: Cable, last: str) -> None:
        name, stream = session(cable)
        await say(cable, stream, 1)
        async with listening(cable, name, last=last) as listener:
            assert [event.name for event in await listener.until("reset")] == [
                "welcome", "confirm_subscription", "reset",
            ]  # fmt: skip

    async def test_by_time_the_places_begin_after_the_backlog(self, cable: Cable) -> None:
        name, stream = session(cable)
        await say(cable, stream, 1, 2)
        async with listening(cable, name, history_since="1") as listener:
            events = await listener.until("confirm_history")
        assert [event.name for event in events] == [
            "welcome", "confirm_subscription", "message", "message", "confirm_history",
        ]  # fmt: skip
        assert [event.id is None for event in events] == [True, True, True, True, False]
        assert (events[-1].id or "").endswith("/2")


class TestRefused:
    async def test_without_a_token_or_with_a_bad_or_old_one(self, cable: Cable) -> None:
        name, _ = session(cable)
        old = cable.token(person(cable.account_id, life_s=-1))
        async with httpx2.AsyncClient() as http:
            for token, reason in (("", "unauthorized"), ("wrong", "unauthorized"), (old, "token_expired")):
                answer = await http.get(url(cable), params={"identifier": name}, headers={"x-jid": token})
                assert answer.status_code == 401
                assert answer.json() == {"type": "disconnect", "reason": reason, "reconnect": False}

    @pytest.mark.parametrize("wish", ["nonsense", '{"channel":"NoSuchChannel"}', '{"channel":"ChatSessionChannel"}'])
    async def test_malformed_and_unknown_look_like_foreign(self, cable: Cable, wish: str) -> None:
        foreign = identifier("ChatSessionChannel", session_id=str(cable.shelf.add_session(UUID(int=1))))
        answers = [await _refusal(cable, asked) for asked in (wish, foreign)]
        assert answers[0] == answers[1]
        assert answers[0][0] == 403
        assert cable.hub.connections == 0

    async def test_from_a_foreign_page(self, cable: Cable) -> None:
        token = cable.token(person(cable.account_id))
        async with httpx2.AsyncClient() as http:
            answer = await http.get(
                url(cable), params={"identifier": session(cable)[0], "token": token}, headers={"origin": "https://evil.test"}
            )  # fmt: skip
        assert answer.status_code == 403

    async def test_over_the_limit_of_a_person_sockets_counted(self, redis: Redis) -> None:
        settings = HubSettings(broker=FAST_BROKER, admission=AdmissionLimits(per_user=2))
        async with running_cable(redis, settings) as cable:
            who = person(cable.account_id)
            name, _ = session(cable)
            async with cable.client(who), listening(cable, name, who) as listener:
                await listener.until("confirm_subscription")
                assert (await _refusal(cable, name, who))[0] == 429

    async def test_while_draining_it_is_told_to_come_back(self, cable: Cable) -> None:
        name, _ = session(cable)
        cable.hub.draining = True
        async with listening(cable, name) as listener:
            events = [event async for event in listener]
        assert [(event.name, event.retry) for event in events] == [("disconnect", "3000")]

    async def test_other_methods_and_nothing_asked(self, cable: Cable) -> None:
        async with httpx2.AsyncClient() as http:
            assert (await http.post(url(cable))).status_code == 405
            assert (await http.get(url(cable))).status_code == 400


class TestEnd:
    async def test_draining_says_goodbye_and_ends_the_stream(self, cable: Cable) -> None:
        async with listening(cable, session(cable)[0]) as listener:
            await listener.until("confirm_subscription")
            await cable.hub.drain(0)
            events = [event async for event in listener]
        assert [event.data for event in events] == [
            {"type": "disconnect", "reason": "server_restart", "reconnect": True}
        ]
        assert cable.hub.connections == 0

    async def test_remote_disconnect_makes_a_browser_stay_away(self, cable: Cable) -> None:
        who = person(cable.account_id)
        async with listening(cable, session(cable)[0], who) as listener:
            await listener.until("confirm_subscription")
            order = {"command": "disconnect", "user_id": str(who.user_id), "reconnect": False}
            await cable.publisher.publish_transient(CONTROL_STREAM, json.dumps(order).encode())
            goodbye = (await listener.until("disconnect"))[-1]
        assert goodbye.data == {"type": "disconnect", "reason": "remote", "reconnect": False}
        assert int(goodbye.retry or 0) > 86_400_000

    async def test_who_does_not_read_is_cut_and_can_go_on(self, redis: Redis) -> None:
        async with running_cable(redis, impatient(outbox_bytes=600_000, farewell_s=0.1)) as cable:
            name, stream = session(cable)
            async with listening(cable, name) as listener:
                await listener.until("confirm_subscription")
                for n in range(100):
                    await cable.publisher.publish(stream, f"e{n}", b'"%s"' % (b"x" * (MAX_EVENT_BYTES - 10)))
                    if cable.hub.counters[Count.TOO_SLOW]:
                        break
                await until(lambda: cable.hub.connections == 0, "the end of a slow client")
            assert cable.hub.counters[Count.TOO_SLOW] == 1


class _Caller:
    """A client that calls the app itself; the answer begins when it is `ready`, and ends when it is `gone`."""

    def __init__(self, name: str, token: str, last: str) -> None:
        headers = [(b"x-jid", token.encode()), (b"last-event-id", last.encode())]
        query = urlencode({"identifier": name}).encode()
        self.scope: dict[str, object] = {"type": "http", "method": "GET", "headers": headers, "query_string": query}
        self.ready, self.gone = asyncio.Event(), asyncio.Event()
        self.body = b""

    async def receive(self) -> MutableMapping[str, object]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, object]) -> None:
        await self.ready.wait()
        self.body += cast("bytes", message.get("body", b""))


async def _numbers(listener: Listener, count: int) -> AsyncIterator[tuple[int, str]]:
    while count:
        event = await listener.next()
        if event.name == "message" and event.data is not None:
            count -= 1
            yield cast("int", cast("Json", event.data["message"])["n"]), event.id or ""


async def _refusal(cable: Cable, name: str, who: Identity | None = None) -> tuple[int, str]:
    token = cable.token(who or person(cable.account_id))
    async with httpx2.AsyncClient() as http:
        answer = await http.get(url(cable), params={"identifier": name, "token": token})
    return answer.status_code, answer.text


@contextlib.asynccontextmanager
async def _at(stage: Stage, hub: int, name: str, who: Identity, last: str = "") -> AsyncGenerator[Listener]:
    headers = {"authorization": f"Bearer {spark.mint(who)}", **({"last-event-id": last} if last else {})}
    where = f"http://127.0.0.1:{stage.hubs[hub].port}/events"
    async with (
        httpx2.AsyncClient(timeout=WAIT_S) as http,
        http.stream("GET", where, params={"identifier": name}, headers=headers) as answer,
    ):
        yield Listener(answer)
