"""One client's commands over a real socket: answers, order, repeats, isolation, bad frames, expiry."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import cast
from uuid import uuid4

from redis.asyncio import Redis

from domain.permissions import Role
from realtime.commands import SendMessage
from realtime.counters import Count
from realtime.limits import HubSettings
from realtime.publish import Publisher
from tests.realtime.cable import QUIET, Cable, identifier, person, running_cable, session_view
from tests.realtime.support import until


def session_identifier(session_id: object) -> str:
    return identifier("ChatSessionChannel", session_id=str(session_id))


def confirmed(name: str) -> dict[str, object]:
    return {"type": "confirm_subscription", "identifier": name}


def rejected(name: str) -> dict[str, object]:
    return {"type": "reject_subscription", "identifier": name}


class TestSubscribe:
    async def test_confirms_with_the_identifier_byte_for_byte(self, cable: Cable) -> None:
        session_id = cable.shelf.add_session(cable.account_id)
        odd = f'{{ "session_id" : "{session_id}",\n"channel":"ChatSessionChannel" }}'
        async with cable.client() as client:
            assert await client.subscribe(odd) == confirmed(odd)
            assert {frame["identifier"] for frame in await client.settled()} == {odd}

    async def test_two_spellings_are_two_subscriptions_to_one_stream(self, cable: Cable) -> None:
        session_id = cable.shelf.add_session(cable.account_id)
        first = session_identifier(session_id)
        second = json.dumps({"session_id": str(session_id), "channel": "ChatSessionChannel"})
        async with cable.client() as client:
            assert await client.subscribe(first) == confirmed(first)
            await client.settled()
            assert await client.subscribe(second) == confirmed(second)
            await client.settled()
            await cable.publisher.publish(f"chat_session_{session_id}", "e", b'{"n":1}')
            frames = [await client.next(), await client.next()]
            assert {frame["identifier"] for frame in frames} == {first, second}
            assert [frame["message"] for frame in frames] == [{"n": 1}, {"n": 1}]

    async def test_same_channel_other_params_are_independent(self, cable: Cable) -> None:
        ids = [cable.shelf.add_session(cable.account_id) for _ in range(2)]
        async with cable.client() as client:
            for session_id in ids:
                assert await client.subscribe(session_identifier(session_id)) == confirmed(
                    session_identifier(session_id)
                )
                await client.settled()
            await cable.publisher.publish(f"chat_session_{ids[1]}", "e", b"1")
            assert (await client.next())["identifier"] == session_identifier(ids[1])
            assert await client.settled() == []

    async def test_a_repeat_is_swallowed_while_pending_and_when_confirmed(self, cable: Cable) -> None:
        name = session_identifier(cable.shelf.add_session(cable.account_id))
        cable.shelf.free.clear()
        async with cable.client() as client:
            for _ in range(3):
                await client.send(command="subscribe", identifier=name)
            cable.shelf.free.set()
            assert await client.next() == confirmed(name)
            await client.send(command="subscribe", identifier=name)
            assert [frame for frame in await client.settled() if "type" in frame] == []
            assert cable.hub.counters[Count.DUPLICATE_SUBSCRIBES] == 3

    async def test_a_repeat_of_a_pending_one_is_rejected_once(self, cable: Cable) -> None:
        name = session_identifier(uuid4())
        cable.shelf.free.clear()
        async with cable.client() as client:
            for _ in range(3):
                await client.send(command="subscribe", identifier=name)
            await until(lambda: cable.shelf.asked == 1)
            await (await client.socket.ping())  # its pong comes after the repeats were taken in
            cable.shelf.free.set()
            assert await client.next() == rejected(name)
            assert await client.settled() == []

    async def test_trying_again_after_a_rejection_is_judged_anew(self, cable: Cable) -> None:
        session_id = uuid4()
        name = session_identifier(session_id)
        async with cable.client() as client:
            assert await client.subscribe(name) == rejected(name)
            cable.shelf.put(cable.account_id, str(session_id), session_view(session_id, uuid4()))
            assert await client.subscribe(name) == confirmed(name)

    async def test_subscribe_unsubscribe_subscribe_in_one_go_ends_subscribed(self, cable: Cable) -> None:
        session_id = cable.shelf.add_session(cable.account_id)
        name = session_identifier(session_id)
        async with cable.client() as client:
            for _ in range(20):
                for command in ("subscribe", "unsubscribe", "subscribe"):
                    await client.send(command=command, identifier=name)
                frames = await client.settled()
                assert frames.count(confirmed(name)) == 2
                await cable.publisher.publish(f"chat_session_{session_id}", uuid4().hex, b'"live"')
                assert await client.message() == "live"
                await client.send(command="unsubscribe", identifier=name)

    async def test_unsubscribe_before_the_answer_ends_unsubscribed(self, cable: Cable) -> None:
        session_id = cable.shelf.add_session(cable.account_id)
        name = session_identifier(session_id)
        cable.shelf.free.clear()
        async with cable.client() as client:
            await client.send(command="subscribe", identifier=name)
            await client.send(command="unsubscribe", identifier=name)
            cable.shelf.free.set()
            await client.settled()
            await cable.publisher.publish(f"chat_session_{session_id}", "e", b"1")
            assert await client.settled() == []

    async def test_leaving_in_the_middle_of_a_subscribe_leaves_nothing_behind(self, cable: Cable) -> None:
        name = session_identifier(cable.shelf.add_session(cable.account_id))
        cable.shelf.free.clear()
        async with cable.client() as client:
            await client.send(command="subscribe", identifier=name)
            await until(lambda: cable.shelf.asked == 1)
        await until(lambda: cable.hub.connections == 0)
        cable.shelf.free.set()
        async with cable.client() as client:
            assert await client.subscribe(name) == confirmed(name)

    async def test_the_limit_of_subscriptions_holds(self, redis: Redis) -> None:
        async with running_cable(redis, HubSettings(ping_interval_s=60, max_subscriptions=2)) as cable:
            names = [session_identifier(cable.shelf.add_session(cable.account_id)) for _ in range(3)]
            async with cable.client() as client:
                for name in names[:2]:
                    assert await client.subscribe(name) == confirmed(name)
                    await client.settled()
                assert await client.subscribe(names[2]) == rejected(names[2])
                await client.send(command="unsubscribe", identifier=names[0])
                assert await client.subscribe(names[2]) == confirmed(names[2])

    async def test_a_database_that_is_away_is_no_rejection(self, cable: Cable) -> None:
        cable.shelf.away = True
        async with cable.client() as client:
            await client.send(command="subscribe", identifier=session_identifier(uuid4()))
            frames, code = await client.until_closed()
        assert frames == [{"type": "disconnect", "reason": "unavailable", "reconnect": True}]
        assert code == 1000

    async def test_an_answer_that_takes_too_long_is_no_rejection(self, redis: Redis) -> None:
        settings = HubSettings(ping_interval_s=60, authorize_timeout_s=0.05)
        async with running_cable(redis, settings) as cable:
            cable.shelf.free.clear()
            async with cable.client() as client:
                await client.send(command="subscribe", identifier=session_identifier(uuid4()))
                frames, _ = await client.until_closed()
            assert frames == [{"type": "disconnect", "reason": "unavailable", "reconnect": True}]


class TestIsolation:
    """TENANT: foreign, unknown and malformed cannot be told apart."""

    async def test_foreign_unknown_and_malformed_look_the_same(self, cable: Cable) -> None:
        foreign_account = uuid4()
        foreign = cable.shelf.add_session(foreign_account)
        conversation = cable.shelf.add_conversation(foreign_account)
        own = cable.shelf.add_session(cable.account_id)
        names = [
            session_identifier(foreign), session_identifier(uuid4()), session_identifier("no id"),
            identifier("ChatSessionChannel"), identifier("ChatSessionChannel", session_id=None),
            identifier("ChatSessionChannel", session_id=str(own), extra=1), identifier("ChatSessionChannel", id=str(own)),
            identifier("ChatChannelChannel", channel_id=str(cable.shelf.add_channel(foreign_account))),
            identifier("AiConversationChannel", conversation_id=conversation.public_id),
            identifier("AiConversationChannel", conversation_id=str(conversation.id)),
            identifier("AiConversationChannel", conversation_id="a}b"),
            identifier("NoSuchChannel"), "{}", "[]", "not json", "1",
        ]  # fmt: skip
        async with cable.client() as client:
            for name in names:
                assert await client.subscribe(name) == rejected(name)
            assert await client.settled() == []
        assert cable.hub.counters[Count.CONFIRMED] == 0

    async def test_a_missing_permission_looks_the_same_and_looks_nothing_up(self, cable: Cable) -> None:
        name = session_identifier(cable.shelf.add_session(cable.account_id))
        someone = person(cable.account_id)
        nobody = type(someone)(
            someone.user_id, someone.account_id, someone.name, someone.email, frozenset(), someone.expires_at, "id"
        )
        async with cable.client(nobody) as client:
            assert await client.subscribe(name) == rejected(name)
        assert cable.shelf.asked == 0

    async def test_no_event_crosses_accounts(self, cable: Cable) -> None:
        other = uuid4()
        theirs = cable.shelf.add_session(other)
        ours = cable.shelf.add_session(cable.account_id)
        async with cable.client() as us, cable.client(person(other)) as them:
            await us.subscribe(session_identifier(ours))
            await them.subscribe(session_identifier(theirs))
            await us.settled()
            await them.settled()
            await cable.publisher.publish(f"chat_session_{theirs}", "e", b'"secret"')
            assert await them.message() == "secret"
            assert await us.settled() == []


class TestUnsubscribe:
    async def test_nothing_comes_after_it_and_it_is_not_answered(self, cable: Cable) -> None:
        session_id = cable.shelf.add_session(cable.account_id)
        async with cable.client() as leaver, cable.client() as stayer:
            for client in (leaver, stayer):
                await client.subscribe(session_identifier(session_id))
                await client.settled()
            await leaver.send(command="unsubscribe", identifier=session_identifier(session_id))
            assert await leaver.settled() == []
            await cable.publisher.publish(f"chat_session_{session_id}", "e", b"1")
            assert await stayer.message() == 1
            assert await leaver.settled() == []


class TestOrder:
    async def test_commands_are_carried_out_in_the_order_sent(self, cable: Cable) -> None:
        conversation = cable.shelf.add_conversation(cable.account_id)
        name = identifier("AiConversationChannel", conversation_id=conversation.public_id)
        async with cable.client() as client:
            await client.send(command="subscribe", identifier=name)
            for number in range(200):
                await client.perform(name, "send_message", content=str(number))
            frames = await client.settled()
        assert len(frames) == 202
        assert [cast("SendMessage", order).content for order in cable.orders.given] == [
            str(number) for number in range(200)
        ]


class TestBadFrames:
    async def test_two_are_forgiven_and_later_commands_still_work(self, cable: Cable) -> None:
        name = session_identifier(cable.shelf.add_session(cable.account_id))
        async with cable.client() as client:
            await client.socket.send("{not json")
            await client.socket.send(b"binary")
            assert await client.subscribe(name) == confirmed(name)

    async def test_the_third_ends_the_connection(self, cable: Cable) -> None:
        async with cable.client() as client:
            for text in ("", "[]", '{"command":"subscribe"}'):
                await client.socket.send(text)
            frames, code = await client.until_closed()
        assert frames == [{"type": "disconnect", "reason": "invalid_request", "reconnect": False}]
        assert code == 1000
        assert cable.hub.counters[Count.MALFORMED] == 3

    async def test_one_over_64_kib_ends_the_connection(self, cable: Cable) -> None:
        async with cable.client() as client:
            await client.socket.send(
                json.dumps({"command": "subscribe", "identifier": "é" * 40_000}, ensure_ascii=False)
            )
            frames, code = await client.until_closed()
        assert frames == [{"type": "disconnect", "reason": "invalid_request", "reconnect": False}]
        assert code == 1009

    async def test_unknown_commands_and_strange_subscriptions_are_met_with_silence(self, cable: Cable) -> None:
        async with cable.client() as client:
            for _ in range(5):
                await client.send(command="whisper", identifier="i", data={})
                await client.perform(identifier("ChatSessionChannel", session_id=str(uuid4())), "say")
                await client.send(command="unsubscribe", identifier="never seen")
            assert await client.settled() == []


class TestExpiry:
    async def test_a_token_that_ends_mid_life_asks_for_a_new_one(self, redis: Redis) -> None:
        settings = HubSettings(ping_interval_s=0.06, broker=QUIET.broker)
        async with running_cable(redis, settings) as cable:
            someone = person(cable.account_id, life_s=0.5)
            async with cable.client(someone) as client:
                frames, code = await client.until_closed()
            assert frames == [{"type": "disconnect", "reason": "token_expired", "reconnect": True}]
            assert code == 1000
            assert cable.hub.counters[Count.TOKEN_EXPIRED] == 1

    async def test_no_command_is_obeyed_after_it(self, cable: Cable) -> None:
        someone = person(cable.account_id, life_s=0.3)
        async with cable.client(someone) as client:
            await until(lambda: someone.expires_at <= datetime.now(UTC))
            await client.send(command="subscribe", identifier=session_identifier(uuid4()))
            frames, _ = await client.until_closed()
        assert frames == [{"type": "disconnect", "reason": "token_expired", "reconnect": True}]
        assert cable.shelf.asked == 0


class TestPermission:
    async def test_an_action_needs_its_own(self, cable: Cable) -> None:
        conversation = cable.shelf.add_conversation(cable.account_id)
        name = identifier("AiConversationChannel", conversation_id=conversation.public_id)
        async with cable.client(person(cable.account_id, Role.VIEWER)) as client:
            assert await client.subscribe(name) == confirmed(name)
            await client.settled()
            await client.perform(name, "send_message", content="hello")
            message = await client.message()
        assert isinstance(message, dict)
        assert message["type"] == "error"
        assert "chat.sessions.reply" in message["message"]
        assert cable.orders.given == []


class TestPublisherPort:
    async def test_the_hub_hears_what_any_publisher_says(self, cable: Cable, redis: Redis) -> None:
        session_id = cable.shelf.add_session(cable.account_id)
        async with cable.client() as client:
            await client.subscribe(session_identifier(session_id))
            await client.settled()
            offset = await Publisher(redis).publish(f"chat_session_{session_id}", "e", b'{"type":"x"}')
            frame = await client.next()
        assert (frame["offset"], frame["stream_id"]) == (offset, f"chat_session_{session_id}")
        assert isinstance(frame["epoch"], str)
