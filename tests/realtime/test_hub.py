"""Fan-out over real sockets: who gets what, slow readers, pings, Redis lost and found, remote control, draining."""

from __future__ import annotations

import asyncio
import json
from typing import cast

import pytest
from redis.asyncio import Redis
from websockets.exceptions import ConnectionClosed

from realtime.control import CONTROL_STREAM
from realtime.counters import Count
from realtime.limits import HubSettings
from realtime.publish import Publication
from tests.realtime.cable import FAST_BROKER, Cable, Client, identifier, impatient, person, running_cable
from tests.realtime.support import Valkey, until


async def joined(cable: Cable, client: Client, session_id: object) -> str:
    name = identifier("ChatSessionChannel", session_id=str(session_id))
    assert (await client.subscribe(name))["type"] == "confirm_subscription"
    await client.settled()
    return f"chat_session_{session_id}"


class TestPings:
    async def test_come_by_themselves_with_rising_whole_seconds(self, redis: Redis) -> None:
        settings = HubSettings(ping_interval_s=0.06, broker=FAST_BROKER)
        async with running_cable(redis, settings) as cable, cable.client() as client:
            stamps = [cast("int", json.loads(await client.socket.recv())["message"]) for _ in range(5)]
        assert stamps == sorted(set(stamps))
        assert all(isinstance(stamp, int) for stamp in stamps)


class TestDeliver:
    @pytest.mark.parametrize("payload", ['{"a": 1}', '"plain text"', '"{\\"a\\": 1}"', "[1, 2]", "null"])
    async def test_any_json_reaches_the_client_as_it_is(self, cable: Cable, payload: str) -> None:
        session_id = cable.shelf.add_session(cable.account_id)
        async with cable.client() as client:
            stream = await joined(cable, client, session_id)
            await cable.publisher.publish(stream, "e", payload.encode())
            assert await client.message() == json.loads(payload)

    async def test_all_sockets_get_all_events_in_order(self, cable: Cable) -> None:
        session_id = cable.shelf.add_session(cable.account_id)
        async with asyncio.TaskGroup() as tasks:
            ready = asyncio.Barrier(9)

            async def one_client() -> None:
                async with cable.client() as client:
                    await joined(cable, client, session_id)
                    await ready.wait()
                    assert [await client.message() for _ in range(100)] == list(range(100))

            for _ in range(8):
                tasks.create_task(one_client())
            await ready.wait()
            items = [Publication(f"chat_session_{session_id}", f"e{n}", b"%d" % n) for n in range(100)]
            await cable.publisher.publish_many(items)

    async def test_no_event_falls_between_confirmation_and_first_event(self, cable: Cable) -> None:
        session_id = cable.shelf.add_session(cable.account_id)
        name = identifier("ChatSessionChannel", session_id=str(session_id))
        async with cable.client() as client:
            for turn in range(20):
                await client.send(command="subscribe", identifier=name)
                assert (await client.next())["type"] == "confirm_subscription"
                await cable.publisher.publish(f"chat_session_{session_id}", f"e{turn}", b'{"turn":%d}' % turn)
                seen: list[object] = []
                while {"turn": turn} not in seen:
                    seen.append(await client.message())
                await client.send(command="unsubscribe", identifier=name)


class TestSlowReader:
    async def test_one_that_does_not_read_is_cut_and_the_others_feel_nothing(self, redis: Redis) -> None:
        async with running_cable(redis, impatient(outbox_bytes=256 * 1024, farewell_s=0.2)) as cable:
            session_id = cable.shelf.add_session(cable.account_id)
            async with cable.client() as stalled, cable.client() as healthy:
                stream = await joined(cable, stalled, session_id)
                await joined(cable, healthy, session_id)
                stalled.socket.transport.pause_reading()
                sent = 0
                while not cable.hub.counters[Count.TOO_SLOW]:
                    sent += 1
                    await cable.publisher.publish(stream, f"e{sent}", b'"%s"' % (b"x" * 100_000))
                    assert len(cast("str", await healthy.message())) == 100_000
                    assert sent < 1000
                assert cable.hub.connections == 1
                await cable.publisher.publish(stream, "last", b'"last"')
                assert await healthy.message() == "last"
                stalled.socket.transport.abort()

    async def test_one_that_makes_no_progress_is_cut_by_the_wheel(self, redis: Redis) -> None:
        limits = impatient(stall_s=0.3, farewell_s=0.1, outbox_bytes=64 * 1024 * 1024)
        settings = HubSettings(ping_interval_s=0.06, broker=FAST_BROKER, connection=limits.connection)
        async with running_cable(redis, settings) as cable:
            session_id = cable.shelf.add_session(cable.account_id)
            async with cable.client() as stalled:
                stream = await joined(cable, stalled, session_id)
                stalled.socket.transport.pause_reading()
                big = b'"%s"' % (b"x" * 200_000)
                await cable.publisher.publish_many([Publication(stream, f"e{n}", big) for n in range(60)])
                await until(lambda: cable.hub.counters[Count.TOO_SLOW] == 1)
                assert cable.hub.connections == 0
                stalled.socket.transport.abort()

    async def test_one_that_reads_again_in_time_is_told_to_come_back(self, redis: Redis) -> None:
        async with running_cable(redis, impatient(outbox_bytes=256 * 1024, farewell_s=10)) as cable:
            session_id = cable.shelf.add_session(cable.account_id)
            async with cable.client() as client:
                stream = await joined(cable, client, session_id)
                client.socket.transport.pause_reading()
                sent = 0
                while not any(connection.ended.done() for connection in cable.hub.sockets()):
                    sent += 1
                    await cable.publisher.publish(stream, f"e{sent}", b'"%s"' % (b"x" * 100_000))
                client.socket.transport.resume_reading()
                frames, code = await client.until_closed()
        assert frames[-1] == {"type": "disconnect", "reason": "too_slow", "reconnect": True}
        assert code == 1000
        offsets = [frame["offset"] for frame in frames[:-1]]
        assert offsets == list(range(1, len(offsets) + 1)), "what was delivered before the cut has no holes"


class TestRedisRestart:
    async def test_open_sockets_stay_and_hear_the_new_epoch(self, own_valkey: Valkey, own_redis: Redis) -> None:
        async with running_cable(own_redis) as cable:
            session_id = cable.shelf.add_session(cable.account_id)
            async with cable.client() as client:
                stream = await joined(cable, client, session_id)
                await cable.publisher.publish(stream, "before", b'"before"')
                before = await client.next()
                await own_valkey.kill()
                await own_valkey.start()
                await cable.publisher.publish(stream, "after", b'"after"')
                after = await client.next()
                assert (before["message"], after["message"]) == ("before", "after")
                assert before["epoch"] != after["epoch"]
                assert after["offset"] == 1
                assert (await client.settled()) == []

    async def test_a_subscribe_meanwhile_is_no_rejection(self, own_valkey: Valkey, own_redis: Redis) -> None:
        async with running_cable(own_redis) as cable:
            session_id = cable.shelf.add_session(cable.account_id)
            async with cable.client() as client:
                await own_valkey.kill()
                await client.send(
                    command="subscribe", identifier=identifier("ChatSessionChannel", session_id=str(session_id))
                )
                frames, _ = await client.until_closed()
                assert frames == [{"type": "disconnect", "reason": "unavailable", "reconnect": True}]
                await own_valkey.start()
            async with cable.client() as client:
                stream = await joined(cable, client, session_id)
                await cable.publisher.publish(stream, "e", b'"live"')
                assert await client.message() == "live"


class TestControl:
    async def test_all_sockets_of_a_person_are_ended_and_nobody_elses(self, cable: Cable) -> None:
        someone = person(cable.account_id)
        async with cable.client(someone) as first, cable.client(someone) as second, cable.client() as other:
            order = {"command": "disconnect", "user_id": str(someone.user_id), "reconnect": False}
            await cable.publisher.publish_transient(CONTROL_STREAM, json.dumps(order).encode())
            for client in (first, second):
                frames, code = await client.until_closed()
                assert frames == [{"type": "disconnect", "reason": "remote", "reconnect": False}]
                assert code == 1000
            assert await other.settled() == []

    @pytest.mark.parametrize(
        "order", [b"", b"[]", b"{}", b'{"command":"disconnect"}', b'{"command":"x","user_id":"1"}']
    )
    async def test_an_order_without_a_target_ends_nobody(self, cable: Cable, order: bytes) -> None:
        async with cable.client() as client:
            await cable.publisher.publish_transient(CONTROL_STREAM, order)
            assert await client.settled() == []


class TestDrain:
    async def test_everybody_is_told_to_come_back_and_nobody_may_enter(self, cable: Cable) -> None:
        async with cable.client() as first, cable.client() as second:
            await cable.hub.drain(window_s=0.2)
            for client in (first, second):
                frames, code = await client.until_closed()
                assert frames == [{"type": "disconnect", "reason": "server_restart", "reconnect": True}]
                assert code == 1001
        assert cable.hub.connections == 0
        assert cable.hub.accepting is False

    async def test_what_waits_is_sent_before(self, cable: Cable) -> None:
        session_id = cable.shelf.add_session(cable.account_id)
        async with cable.client() as client:
            stream = await joined(cable, client, session_id)
            await cable.publisher.publish_many([Publication(stream, f"e{n}", b"%d" % n) for n in range(50)])
            await until(lambda: cable.hub.counters[Count.DELIVERIES] == 50)
            await cable.hub.drain(window_s=0)
            frames, _ = await client.until_closed()
        assert [frame.get("message") for frame in frames[:-1]] == list(range(50))

    async def test_an_empty_hub_is_drained_at_once(self, cable: Cable) -> None:
        await cable.hub.drain()
        assert cable.hub.connections == 0


class TestLeave:
    async def test_a_client_that_vanishes_leaves_nothing_behind(self, cable: Cable) -> None:
        session_id = cable.shelf.add_session(cable.account_id)
        async with cable.client() as client:
            stream = await joined(cable, client, session_id)
            client.socket.transport.abort()
            await until(lambda: cable.hub.connections == 0)
            assert cable.hub.listeners(stream) == 0
            with pytest.raises(ConnectionClosed):
                await client.next()


class TestStanding:
    async def test_tells_what_there_is_and_what_has_gone_through(self, cable: Cable) -> None:
        session_id, who = cable.shelf.add_session(cable.account_id), person(cable.account_id)
        async with cable.client(who) as one, cable.client(who) as two, cable.client():
            for client in (one, two):
                await joined(cable, client, session_id)
            await cable.publisher.publish(f"chat_session_{session_id}", "e", b"1")
            assert (await one.message(), await two.message()) == (1, 1)
            standing = cable.hub.standing()
            assert (standing.clients, standing.users) == (3, 2)
            assert (standing.streams, standing.subscriptions, standing.outbox_bytes) == (1, 2, 0)
            sent = standing.sent_bytes
        await until(lambda: cable.hub.connections == 0, "the end of all")
        counted = cable.hub.counters.snapshot()
        assert counted["commands"] == 4
        assert counted["sent_bytes"] == sent > 500
        assert cable.hub.counters.lag.cumulated()[0][-1] == ("+Inf", 1)
