"""The extended protocol over two processes on one Redis: history, restoring, presence, whispers, pongs, new tokens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import cast

import pytest

from domain.permissions import Role
from realtime.client import ask
from realtime.keys import meta_key, session_key
from tests.realtime import spark
from tests.realtime.cable import Client, Json, identifier
from tests.realtime.hub_process import Tuning, running_hubs
from tests.realtime.stage import SPARK, Stage, eventually, frames_of, frames_until
from tests.realtime.support import Valkey


def confirmed(name: str = SPARK) -> Json:
    return {"type": "confirm_subscription", "identifier": name}


def history(kind: str, name: str = SPARK) -> Json:
    return {"type": f"{kind}_history", "identifier": name}


def position(frame: Json) -> Json:
    return {cast("str", frame["stream_id"]): {"epoch": frame["epoch"], "offset": frame["offset"]}}


def messages(frames: list[Json]) -> list[object]:
    return [frame["message"] for frame in frames if "message" in frame]


class TestWelcome:
    @pytest.mark.parametrize("hub", [0, 1])
    async def test_brings_a_sid_that_is_new_each_time(self, stage: Stage, hub: int) -> None:
        async with stage.socket(hub) as (_, first), stage.socket(hub) as (_, second):
            assert set(first) == {"type", "sid"}
            assert len(cast("str", first["sid"])) == 21
            assert first["sid"] != second["sid"]

    async def test_an_unknown_sid_is_an_ordinary_welcome(self, stage: Stage) -> None:
        async with stage.socket(sid="no-such-sid") as (_, welcome):
            assert set(welcome) == {"type", "sid"}


class TestHistory:
    @pytest.mark.parametrize("hub", [0, 1])
    async def test_by_time_with_the_subscription(self, stage: Stage, hub: int) -> None:
        since = int(time.time())
        for n in range(3):
            await stage.publish({"n": n})
        async with stage.client(hub) as client:
            await client.send(command="subscribe", identifier=SPARK, history={"since": since})
            assert await client.next() == confirmed()
            frames = await frames_of(client, 4)
            assert messages(frames) == [{"n": 0}, {"n": 1}, {"n": 2}]
            assert [frame.get("offset") for frame in frames] == [1, 2, 3, None]
            assert frames[-1] == history("confirm")
            await stage.publish({"n": 3})
            assert (await client.next())["offset"] == 4

    async def test_by_position_with_its_own_command(self, stage: Stage) -> None:
        async with stage.client() as client:
            await client.subscribe(SPARK)
            for n in range(5):
                await stage.publish({"n": n})
            frames = await frames_of(client, 5)
            await client.send(command="history", identifier=SPARK, history={"streams": position(frames[1])})
            again = await frames_until(client, "confirm_history")
            assert messages(again) == [{"n": 2}, {"n": 3}, {"n": 4}]
            assert again[:-1] == frames[2:], "a repeat is the same frame"

    async def test_a_position_wins_over_the_time(self, stage: Stage) -> None:
        since = int(time.time())
        async with stage.client() as client:
            await client.subscribe(SPARK)
            for n in range(3):
                await stage.publish({"n": n})
            frames = await frames_of(client, 3)
            wanted = {"since": since, "streams": position(frames[1])}
            await client.send(command="history", identifier=SPARK, history=wanted)
            assert messages(await frames_until(client, "confirm_history")) == [{"n": 2}]

    async def test_nothing_missed_is_confirmed_too(self, stage: Stage) -> None:
        async with stage.client() as client:
            await client.send(command="subscribe", identifier=SPARK, history={"since": int(time.time())})
            assert await frames_of(client, 2) == [confirmed(), history("confirm")]

    async def test_two_streams_are_caught_up_by_position_and_by_time(self, stage: Stage) -> None:
        name = identifier("SparkChannel", name="main", second="other")
        since = int(time.time())
        await stage.publish("m1")
        await stage.publish("o1", "other")
        await stage.publish("m2")
        async with stage.client() as client:
            await client.send(command="subscribe", identifier=name, history={"since": since})
            frames = await frames_until(client, "confirm_history")
            assert sorted(cast("list[str]", messages(frames))) == ["m1", "m2", "o1"]
            first = next(frame for frame in frames if frame.get("message") == "m1")
            wanted = {"since": since, "streams": position(first)}
            await client.send(command="history", identifier=name, history=wanted)
            assert sorted(cast("list[str]", messages(await frames_until(client, "confirm_history")))) == ["m2", "o1"]

    @pytest.mark.parametrize("wrong", [{"epoch": "other", "offset": 1}, {"offset": 100}])
    async def test_a_wrong_position_is_rejected_and_nothing_replayed(self, stage: Stage, wrong: Json) -> None:
        async with stage.client() as client:
            await client.subscribe(SPARK)
            await stage.publish(1)
            (frame,) = await frames_of(client, 1)
            streams = {stage.stream(): {"epoch": frame["epoch"], "offset": 1, **wrong}}
            await client.send(command="history", identifier=SPARK, history={"since": 0, "streams": streams})
            assert await client.next() == history("reject")
            await stage.publish(2)
            assert await client.message() == 2

    async def test_a_foreign_stream_is_ignored(self, stage: Stage) -> None:
        other = Stage(stage.hubs, stage.redis)
        await other.publish("secret")
        epoch = cast("bytes", await ask(stage.redis, "HGET", meta_key(other.stream()), "epoch")).decode()
        async with stage.client() as client:
            await client.subscribe(SPARK)
            streams = {other.stream(): {"epoch": epoch, "offset": 0}}
            await client.send(command="history", identifier=SPARK, history={"streams": streams})
            assert await client.next() == history("confirm")

    async def test_without_a_subscription_there_is_silence(self, stage: Stage) -> None:
        async with stage.client() as client:
            await client.send(command="history", identifier=SPARK, history={"since": 0})
            assert await client.settled() == []

    async def test_the_base_protocol_has_none(self, stage: Stage) -> None:
        await stage.publish(1)
        async with stage.client(base=True) as client:
            await client.send(command="subscribe", identifier=SPARK, history={"since": 0})
            await client.send(command="history", identifier=SPARK, history={"since": 0})
            assert await client.settled() == [confirmed()]

    async def test_joining_in_the_middle_of_a_stream_loses_and_repeats_nothing(self, stage: Stage) -> None:
        async def publish_all() -> None:
            for n in range(300):
                await stage.publish(n)

        publishing = asyncio.create_task(publish_all())
        async with asyncio.TaskGroup() as tasks:
            for number in range(10):
                tasks.create_task(self.hear_all(stage, number))
            await publishing

    async def hear_all(self, stage: Stage, number: int) -> None:
        for _ in range(number):
            await asyncio.sleep(0.005)
        async with stage.client(number % 2) as client:
            await client.send(command="subscribe", identifier=SPARK, history={"since": 0})
            seen: list[object] = []
            while len(seen) < 300:
                seen += messages([await client.next()])
            assert seen == list(range(300))


class TestRestore:
    @pytest.mark.parametrize("hub", [0, 1])
    async def test_any_process_takes_over_and_replays_what_was_missed(self, stage: Stage, hub: int) -> None:
        who = stage.person()
        async with stage.socket(who=who) as (client, welcome):
            await client.subscribe(SPARK)
            await stage.publish("before")
            frame = await client.next()
            await stage.drop(client)
        await self.until_stored(stage, welcome)
        await stage.publish("missed")
        async with stage.socket(hub, who=who, sid=cast("str", welcome["sid"])) as (client, again):
            assert again["restored"] is True
            assert again["restored_ids"] == [SPARK]
            assert again["sid"] != welcome["sid"]
            await stage.publish("held back until the history is answered")
            assert await client.settled() == []
            await client.send(command="history", identifier=SPARK, history={"streams": position(frame)})
            frames = await frames_until(client, "confirm_history")
            assert messages(frames) == ["missed", "held back until the history is answered"]
            await stage.publish("live")
            assert await client.message() == "live"

    async def until_stored(self, stage: Stage, welcome: Json) -> None:
        async def look() -> AsyncIterator[bool]:
            while True:
                yield await ask(stage.redis, "EXISTS", session_key(cast("str", welcome["sid"]))) == 1

        await eventually(look())

    async def test_the_sid_may_come_in_a_header(self, stage: Stage) -> None:
        who = stage.person()
        async with stage.socket(who=who) as (client, welcome):
            await client.subscribe(SPARK)
            await self.until_stored(stage, welcome)
            headers = {"X-AnyCable-Restore-Sid": cast("str", welcome["sid"])}
            async with stage.socket(1, who=who, headers=headers) as (_, again):
                assert again["restored_ids"] == [SPARK]

    async def test_a_socket_that_is_dead_without_knowing_is_ended(self, stage: Stage) -> None:
        who = stage.person()
        async with stage.socket(who=who) as (client, welcome):
            await client.subscribe(SPARK)
            async with stage.socket(who=who, sid=cast("str", welcome["sid"])) as (_, again):
                assert again["restored"] is True
                frames, _ = await client.until_closed()
                assert frames == [{"type": "disconnect", "reason": "superseded", "reconnect": True}]

    async def test_someone_elses_sid_restores_nothing(self, stage: Stage) -> None:
        other = Stage(stage.hubs, stage.redis)
        async with stage.socket() as (client, welcome):
            await client.subscribe(SPARK)
            await self.until_stored(stage, welcome)
            for thief in (stage.person(), other.person()):
                for hub in (0, 1):
                    async with stage.socket(hub, who=thief, sid=cast("str", welcome["sid"])) as (_, again):
                        assert set(again) == {"type", "sid"}

    async def test_what_may_not_be_any_more_is_left_out(self, stage: Stage) -> None:
        who = stage.person()
        greeting = identifier("GreetingChannel")
        async with stage.socket(who=who) as (client, welcome):
            await client.subscribe(SPARK)
            await client.subscribe(greeting)
            await client.settled()
            await stage.drop(client)
        await self.until_stored(stage, welcome)
        lesser = type(who)(
            who.user_id, who.account_id, who.name, "", stage.person(Role.VIEWER).permissions, who.expires_at, "t2"
        )
        async with stage.socket(1, who=lesser, sid=cast("str", welcome["sid"])) as (client, again):
            assert again["restored_ids"] == [SPARK]
            assert await client.subscribe(greeting) == {"type": "reject_subscription", "identifier": greeting}

    async def test_what_was_unsubscribed_is_not_restored(self, stage: Stage) -> None:
        who = stage.person()
        async with stage.socket(who=who) as (client, welcome):
            await client.subscribe(SPARK)
            await client.send(command="unsubscribe", identifier=SPARK)
            await client.settled()
            await stage.drop(client)
        await self.until_stored(stage, welcome)
        async with stage.socket(who=who, sid=cast("str", welcome["sid"])) as (_, again):
            assert (again["restored"], again["restored_ids"]) == (True, [])

    async def test_a_client_that_subscribes_anyway_is_confirmed(self, stage: Stage) -> None:
        who = stage.person()
        async with stage.socket(who=who) as (client, welcome):
            await client.subscribe(SPARK)
            await stage.drop(client)
        async with stage.socket(who=who, sid=cast("str", welcome["sid"])) as (client, again):
            assert again["restored_ids"] == [SPARK]
            await stage.publish("held")
            await client.settled()
            assert await client.subscribe(SPARK) == confirmed()
            assert await client.message() == "held"

    async def test_one_that_never_asks_for_its_history_is_cut(self, shared_valkey: Valkey, stage: Stage) -> None:
        async with running_hubs(shared_valkey.url, Tuning(gate_wait_s=0.3), Tuning(gate_bytes=1000)) as hubs:
            slow = Stage(hubs, stage.redis)
            who = slow.person()
            async with slow.socket(who=who) as (client, welcome):
                await client.subscribe(SPARK)
                await self.until_stored(slow, welcome)
                async with slow.socket(0, who=who, sid=cast("str", welcome["sid"])) as (waiting, _):
                    frames, _ = await waiting.until_closed()
                    assert frames == [{"type": "disconnect", "reason": "too_slow", "reconnect": True}]
                async with slow.socket(1, who=who, sid=cast("str", welcome["sid"])) as (flooded, again):
                    assert again["restored"] is True
                    await slow.publish("x" * 2000)
                    frames, _ = await flooded.until_closed()
                    assert frames == [{"type": "disconnect", "reason": "too_slow", "reconnect": True}]

    async def test_a_process_that_was_killed_is_taken_over_too(self, shared_valkey: Valkey, stage: Stage) -> None:
        async with running_hubs(shared_valkey.url, Tuning(), Tuning()) as hubs:
            pair = Stage(hubs, stage.redis)
            who = pair.person()
            async with pair.socket(who=who) as (client, welcome):
                await client.subscribe(SPARK)
                await pair.publish(1)
                frame = await client.next()
                await self.until_stored(pair, welcome)
                await hubs[0].kill()
                await pair.publish(2)
                async with pair.socket(1, who=who, sid=cast("str", welcome["sid"])) as (again, restored):
                    assert restored["restored_ids"] == [SPARK]
                    await again.send(command="history", identifier=SPARK, history={"streams": position(frame)})
                    assert messages(await frames_until(again, "confirm_history")) == [2]


class TestWhisper:
    @pytest.mark.parametrize("data", [{"typing": True}, "text", [1], 0, None])
    async def test_reaches_all_others_in_all_processes_and_never_the_sender(self, stage: Stage, data: object) -> None:
        async with stage.client(0) as sender, stage.client(0) as near, stage.client(1, base=True) as far:
            for client in (sender, near, far):
                await client.subscribe(SPARK)
            await sender.send(command="whisper", identifier=SPARK, data=data)
            for client in (near, far):
                assert await client.next() == {"identifier": SPARK, "message": data}
            assert await sender.settled() == []

    async def test_is_not_stored(self, stage: Stage) -> None:
        async with stage.client() as sender:
            await sender.subscribe(SPARK)
            await sender.send(command="whisper", identifier=SPARK, data=1)
            await sender.settled()
            await sender.send(command="history", identifier=SPARK, history={"since": 0})
            assert await sender.next() == history("confirm")

    async def test_a_channel_without_whispers_drops_them(self, stage: Stage) -> None:
        name = identifier("GreetingChannel")
        async with stage.client() as sender, stage.client() as other:
            for client in (sender, other):
                await client.subscribe(name)
                await client.settled()
            await sender.send(command="whisper", identifier=name, data=1)
            assert await sender.settled() == []
            assert await other.settled() == []


class TestPong:
    async def test_ping_is_answered_in_both_protocols(self, stage: Stage) -> None:
        for base in (True, False):
            async with stage.client(base=base) as client:
                await client.send(command="ping")
                assert await client.next() == {"type": "pong"}

    async def test_one_that_answered_before_and_stops_is_ended(self, shared_valkey: Valkey, stage: Stage) -> None:
        async with running_hubs(shared_valkey.url, Tuning(ping_interval_s=0.15)) as hubs:
            brisk = Stage(hubs, stage.redis)
            async with brisk.client() as client:
                await client.send(command="pong")
                frames, code = await client.until_closed()
            assert frames == [{"type": "disconnect", "reason": "no_pong", "reconnect": True}]
            assert code == 1000
            # One more where a ping left before the pong was read.
            assert len(client.pings) in {3, 4}

    async def test_all_extended_clients_must_when_it_is_required(self, shared_valkey: Valkey, stage: Stage) -> None:
        async with running_hubs(shared_valkey.url, Tuning(ping_interval_s=0.15, pongs_required=True)) as hubs:
            strict = Stage(hubs, stage.redis)
            async with strict.client(base=True) as base, strict.client() as silent, strict.client() as good:
                frames, _ = await silent.until_closed()
                assert frames == [{"type": "disconnect", "reason": "no_pong", "reconnect": True}]
                await self.answer(good, 8)
                assert await base.settled() == []

    async def answer(self, client: Client, times: int) -> None:
        for _ in range(times):
            while "ping" not in cast("str", await client.socket.recv()):
                pass
            await client.send(command="pong")


class TestAuth:
    async def test_a_new_token_prolongs_the_connection(self, stage: Stage) -> None:
        who = stage.person(life_s=30)
        later = type(who)(
            who.user_id, who.account_id, who.name, "", who.permissions, stage.person(life_s=900).expires_at, "t2"
        )
        async with stage.client(who=who) as client:
            await client.subscribe(SPARK)
            await client.send(command="auth", token=spark.mint(later))
            assert await client.next() == {"type": "confirm_auth", "expires_at": int(later.expires_at.timestamp())}
            await stage.publish(1)
            assert await client.message() == 1

    async def test_fewer_permissions_end_what_needs_them(self, stage: Stage) -> None:
        who = stage.person()
        lesser = type(who)(
            who.user_id, who.account_id, who.name, "", stage.person(Role.VIEWER).permissions, who.expires_at, "t2"
        )
        greeting = identifier("GreetingChannel")
        async with stage.client(who=who) as client:
            await client.subscribe(SPARK)
            await client.subscribe(greeting)
            await client.settled()
            await client.send(command="auth", token=spark.mint(lesser))
            assert await client.next() == {"type": "reject_subscription", "identifier": greeting}
            assert (await client.next())["type"] == "confirm_auth"
            await stage.publish("still here")
            assert await client.message() == "still here"

    async def test_a_bad_token_or_another_persons_changes_nothing(self, stage: Stage) -> None:
        async with stage.client() as client:
            await client.subscribe(SPARK)
            for token, reason in (
                ("nonsense", "unauthorized"),
                (spark.mint(stage.person()), "unauthorized"),
                (spark.mint(stage.person(life_s=-1)), "token_expired"),
            ):
                await client.send(command="auth", token=token)
                assert await client.next() == {"type": "reject_auth", "reason": reason}
            await stage.publish(1)
            assert await client.message() == 1

    async def test_expiry_is_told_so_that_the_client_fetches_a_new_token(self, stage: Stage) -> None:
        async with stage.client(who=stage.person(life_s=0.3)) as client:
            await asyncio.sleep(0.3)
            await client.send(command="ping")
            frames, _ = await client.until_closed()
        assert frames == [{"type": "disconnect", "reason": "token_expired", "reconnect": False}]
