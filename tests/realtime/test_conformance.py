"""The scenarios that servers of both protocols are held to, against two processes on one Redis, of which one sends by the
transport and one by ASGI.

Each class is an area of the public conformance suite of AnyCable (https://github.com/anycable/anyt), each method one of
its scenarios. Where a scenario is about what we do not have (cookies as authentication, callbacks written in Ruby), the
method shows what takes its place.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import cast

import pytest
from websockets.exceptions import InvalidStatus

from domain.permissions import Role
from realtime.control import CONTROL_STREAM
from realtime.protocol import BASE, EXTENDED
from tests.realtime import spark
from tests.realtime.cable import Client, Json, identifier
from tests.realtime.hub_process import Tuning, running_hubs
from tests.realtime.stage import SPARK, Stage
from tests.realtime.support import Valkey


@pytest.fixture(params=[BASE, EXTENDED])
def protocol(request: pytest.FixtureRequest) -> str:
    return cast("str", request.param)


@pytest.fixture(params=[0, 1])
def hub(request: pytest.FixtureRequest) -> int:
    return cast("int", request.param)


@pytest.fixture
async def client(stage: Stage, hub: int, protocol: str) -> AsyncIterator[Client]:
    async with stage.socket(hub, protocol=protocol) as (client, _):
        yield client


def confirmed(name: str = SPARK) -> Json:
    return {"type": "confirm_subscription", "identifier": name}


class TestCore:
    async def test_welcome_comes_first(self, stage: Stage, hub: int, protocol: str) -> None:
        async with stage.socket(hub, protocol=protocol) as (client, welcome):
            assert client.socket.subprotocol == protocol
            assert welcome["type"] == "welcome"

    async def test_pings_rise(self, shared_valkey: Valkey, stage: Stage, protocol: str) -> None:
        tunings = [Tuning(ping_interval_s=0.06, wire=wire) for wire in (True, False)]
        async with running_hubs(shared_valkey.url, *tunings) as hubs:
            for number in (0, 1):
                async with Stage(hubs, stage.redis).socket(number, protocol=protocol) as (client, _):
                    stamps = [json.loads(await client.socket.recv())["message"] for _ in range(4)]
                assert stamps == sorted(set(stamps))
                assert all(isinstance(stamp, int) for stamp in stamps)

    async def test_pings_come_as_often_and_as_precise_as_asked(self, shared_valkey: Valkey, stage: Stage) -> None:
        async with running_hubs(shared_valkey.url, Tuning(ping_interval_s=3)) as hubs:
            own = Stage(hubs, stage.redis)
            async with own.socket(query="&pi=1&ptp=ms") as (often, _), own.socket(query="&pi=30") as (seldom, _):
                stamps = [json.loads(await often.socket.recv())["message"] for _ in range(3)]
                assert stamps == sorted(set(stamps))
                assert all(stamp > 1e12 for stamp in stamps)
                await seldom.settled()
                assert len(seldom.pings) <= 1


class TestRequest:
    async def test_url_parameters_count(self, stage: Stage, hub: int) -> None:
        async with stage.socket(hub, query="&page=1") as (_, welcome):
            assert welcome["type"] == "welcome"

    async def test_a_cookie_is_no_token(self, stage: Stage, hub: int, protocol: str) -> None:
        token = spark.mint(stage.person())
        async with stage.bare(hub, protocol=protocol, headers={"Cookie": f"token={token}"}) as client:
            frames, _ = await client.until_closed()
        assert frames == [{"type": "disconnect", "reason": "unauthorized", "reconnect": False}]

    async def test_a_required_header_that_is_missing(self, stage: Stage, hub: int, protocol: str) -> None:
        async with stage.bare(hub, protocol=protocol) as client:
            frames, code = await client.until_closed()
        assert frames == [{"type": "disconnect", "reason": "unauthorized", "reconnect": False}]
        assert code == 1000

    @pytest.mark.parametrize("header", ["X-JID", "Authorization"])
    async def test_a_required_header_that_is_there(self, stage: Stage, hub: int, header: str) -> None:
        token = spark.mint(stage.person())
        value = token if header == "X-JID" else f"Bearer {token}"
        async with stage.bare(hub, headers={header: value}) as client:
            assert (await client.next())["type"] == "welcome"

    async def test_a_foreign_page_is_refused_before_the_upgrade(self, stage: Stage, hub: int) -> None:
        with pytest.raises(InvalidStatus) as refused:
            async with stage.socket(hub, headers={"Origin": "https://evil.example.test"}):
                pass
        assert refused.value.response.status_code == 403

    async def test_the_channel_sees_who_asks(self, client: Client) -> None:
        name = identifier("GreetingChannel")
        assert await client.subscribe(name) == confirmed(name)
        assert await client.message() == {"welcome": "Ada"}

    async def test_a_socket_that_closes_leaves_nothing(self, stage: Stage, hub: int, protocol: str) -> None:
        async with stage.socket(hub, protocol=protocol) as (client, _):
            await client.subscribe(SPARK)
            before = await stage.hubs[hub].counters()
        while (await stage.hubs[hub].counters())["open"] >= before["open"]:
            pass

    async def test_a_socket_that_is_cut_off_leaves_nothing(self, stage: Stage, hub: int, protocol: str) -> None:
        async with stage.socket(hub, protocol=protocol) as (client, _):
            await client.subscribe(SPARK)
            before = await stage.hubs[hub].counters()
            await stage.drop(client)
            while (await stage.hubs[hub].counters())["open"] >= before["open"]:
                pass


class TestFeatures:
    async def test_a_subscription_keeps_its_params_between_commands(self, client: Client) -> None:
        name = identifier("SparkChannel", name="kept")
        await client.subscribe(name)
        for number in range(3):
            await client.perform(name, "echo", number=number)
            assert await client.message() == {"echo": {"number": number}, "name": "kept"}

    async def test_remote_disconnect_ends_all_sockets_of_a_person_in_all_processes(
        self, stage: Stage, protocol: str
    ) -> None:
        who = stage.person()
        async with (
            stage.socket(0, who=who, protocol=protocol) as (first, _),
            stage.socket(0, who=who, protocol=protocol) as (second, _),
            stage.socket(1, who=who, protocol=protocol) as (third, _),
            stage.socket(1, protocol=protocol) as (other, _),
        ):
            order = {"command": "disconnect", "user_id": str(who.user_id), "reconnect": False}
            await stage.publisher.publish_transient(CONTROL_STREAM, json.dumps(order).encode())
            for client in (first, second, third):
                frames, code = await client.until_closed()
                assert frames == [{"type": "disconnect", "reason": "remote", "reconnect": False}]
                assert code == 1000
            assert await other.settled() == []

    async def test_a_restart_tells_everybody_to_come_back(
        self, shared_valkey: Valkey, stage: Stage, protocol: str
    ) -> None:
        async with running_hubs(shared_valkey.url, Tuning(), Tuning(wire=False)) as hubs:
            pair = Stage(hubs, stage.redis)
            async with (
                pair.socket(0, protocol=protocol) as (first, _),
                pair.socket(1, protocol=protocol) as (second, _),
            ):
                ending = asyncio.gather(*(one.stop() for one in hubs))
                for client in (first, second):
                    frames, code = await client.until_closed()
                    assert frames == [{"type": "disconnect", "reason": "server_restart", "reconnect": True}]
                    assert code == 1001
                await ending


class TestStreams:
    @pytest.mark.parametrize("payload", [{"a": 1}, "plain text", '{"a": 1}', [1], 7])
    async def test_whatever_is_said_arrives(self, stage: Stage, client: Client, payload: object) -> None:
        await client.subscribe(SPARK)
        await stage.publish(payload)
        assert await client.message() == payload

    async def test_many_clients_hear_it(self, stage: Stage, client: Client, protocol: str) -> None:
        await client.subscribe(SPARK)
        async with stage.socket(0, protocol=BASE) as (base, _), stage.socket(1, protocol=EXTENDED) as (extended, _):
            for other in (base, extended):
                await other.subscribe(SPARK)
            await stage.publish("all")
            assert [await one.message() for one in (client, base, extended)] == ["all"] * 3

    async def test_another_that_unsubscribes_does_not_matter(self, stage: Stage, client: Client, hub: int) -> None:
        await client.subscribe(SPARK)
        async with stage.client(hub) as other:
            await other.subscribe(SPARK)
            await other.send(command="unsubscribe", identifier=SPARK)
            assert await other.settled() == []
            await stage.publish(1)
            assert await client.message() == 1
            assert await other.settled() == []

    async def test_two_streams_in_one_subscription(self, stage: Stage, client: Client) -> None:
        name = identifier("SparkChannel", name="main", second="other")
        await client.subscribe(name)
        await stage.publish(1)
        assert await client.message() == 1
        await stage.publish(2, "other")
        assert await client.message() == 2

    async def test_nothing_after_unsubscribing_and_no_answer_to_it(self, stage: Stage, client: Client) -> None:
        await client.subscribe(SPARK)
        await client.send(command="unsubscribe", identifier=SPARK)
        assert await client.settled() == []
        await stage.publish(1)
        assert await client.settled() == []

    async def test_ending_one_subscription_leaves_the_other(self, stage: Stage, client: Client) -> None:
        both = identifier("SparkChannel", name="main", second="other")
        one = identifier("SparkChannel", name="other")
        await client.subscribe(both)
        await client.subscribe(one)
        await client.send(command="unsubscribe", identifier=both)
        await client.settled()
        await stage.publish(1)
        await stage.publish(2, "other")
        frame = await client.next()
        assert (frame["identifier"], frame["message"]) == (one, 2)
        assert await client.settled() == []

    async def test_many_subscriptions_of_one_channel(self, stage: Stage, client: Client) -> None:
        names = {identifier("SparkChannel", name=f"n{number}"): f"n{number}" for number in range(20)}
        for name in names:
            assert await client.subscribe(name) == confirmed(name)
        for name, stream in names.items():
            await stage.publish(stream, stream)
            frame = await client.next()
            assert (frame["identifier"], frame["message"]) == (name, stream)


class TestSubscriptions:
    async def test_confirmed(self, client: Client) -> None:
        assert await client.subscribe(SPARK) == confirmed()

    @pytest.mark.parametrize("name", ["forbidden", "UPPER", None])
    async def test_rejected(self, client: Client, name: str | None) -> None:
        spelled = identifier("SparkChannel", name=name)
        assert await client.subscribe(spelled) == {"type": "reject_subscription", "identifier": spelled}

    async def test_an_unknown_channel_is_rejected(self, client: Client) -> None:
        name = identifier("NoSuchChannel")
        assert await client.subscribe(name) == {"type": "reject_subscription", "identifier": name}

    async def test_numbers_and_strings_and_orders_of_keys_are_other_identifiers(self, client: Client) -> None:
        names = [
            '{"channel":"SparkChannel","key":1}',
            '{"channel":"SparkChannel","key":"1"}',
            '{"key":1,"channel":"SparkChannel"}',
        ]
        for name in names:
            assert await client.subscribe(name) == confirmed(name)

    async def test_same_channel_other_params(self, stage: Stage, client: Client) -> None:
        for name in ("a", "b"):
            await client.subscribe(identifier("SparkChannel", name=name))
        await stage.publish(1, "b")
        assert (await client.next())["identifier"] == identifier("SparkChannel", name="b")
        assert await client.settled() == []

    async def test_perform_without_arguments(self, client: Client) -> None:
        await client.subscribe(SPARK)
        await client.perform(SPARK, "echo")
        assert await client.message() == {"echo": {}, "name": "main"}

    async def test_perform_with_arguments(self, client: Client) -> None:
        await client.subscribe(SPARK)
        await client.perform(SPARK, "echo", text="hello", deep={"n": [1, None]})
        assert await client.message() == {"echo": {"text": "hello", "deep": {"n": [1, None]}}, "name": "main"}

    async def test_perform_that_others_hear(self, stage: Stage, client: Client, hub: int) -> None:
        async with stage.client(1 - hub) as other:
            for one in (client, other):
                await one.subscribe(SPARK)
            await client.perform(SPARK, "shout", text="hello")
            assert await other.message() == {"text": "hello"}
            assert await client.settled() == []

    async def test_perform_without_permission(self, stage: Stage, hub: int, protocol: str) -> None:
        async with stage.socket(hub, who=stage.person(Role.VIEWER), protocol=protocol) as (viewer, _):
            await viewer.subscribe(SPARK)
            await viewer.perform(SPARK, "govern")
            assert cast("Json", await viewer.message())["type"] == "error"

    async def test_perform_on_nothing_is_silence(self, client: Client) -> None:
        await client.perform(SPARK, "echo")
        assert await client.settled() == []

    async def test_what_the_channel_says_on_subscribing(self, client: Client) -> None:
        name = identifier("GreetingChannel")
        assert [await client.subscribe(name), await client.next()] == [
            confirmed(name),
            {"identifier": name, "message": {"welcome": "Ada"}},
        ]

    async def test_after_a_malformed_frame_later_commands_are_obeyed(self, client: Client) -> None:
        await client.socket.send("{not json")
        assert await client.subscribe(SPARK) == confirmed()


class TestExtendedBroadcast:
    async def test_the_socket_that_caused_it_can_be_spared(self, stage: Stage, hub: int) -> None:
        async with stage.socket(hub) as (cause, welcome), stage.client(0) as near, stage.client(1) as far:
            for client in (cause, near, far):
                await client.subscribe(SPARK)
            await stage.publish("news", exclude_sid=cast("str", welcome["sid"]))
            assert [await client.message() for client in (near, far)] == ["news", "news"]
            assert await cause.settled() == []
