"""The three channels over a real socket: greetings, first state, actions."""

from __future__ import annotations

from typing import cast
from uuid import uuid4

import pytest

from domain.errors import InvalidInputError
from domain.views import ChannelSummaryView, SessionView
from realtime.commands import SendMessage
from tests.realtime.cable import Cable, Client, identifier, person

Message = dict[str, object]


async def subscribed(client: Client, name: str) -> list[Message]:
    """Subscribe and return the payloads that greet."""
    answer = await client.subscribe(name)
    assert answer["type"] == "confirm_subscription", answer
    return [cast("Message", frame["message"]) for frame in await client.settled()]


class TestChatSessionChannel:
    async def test_greets_and_shows_the_session(self, cable: Cable) -> None:
        session_id = cable.shelf.add_session(cable.account_id)
        async with cable.client() as client:
            greeting, state = await subscribed(client, identifier("ChatSessionChannel", session_id=str(session_id)))
        assert greeting["type"] == "subscription.confirmed"
        assert greeting["session_id"] == str(session_id)
        assert greeting["timestamp"]
        assert state["type"] == "session_updated"
        assert state["is_initial_status"] is True
        assert SessionView.model_validate(state["session"]) == await cable.shelf.find(
            SessionView, cable.account_id, str(session_id)
        )


class TestChatChannelChannel:
    async def test_greets_and_shows_the_channel(self, cable: Cable) -> None:
        channel_id = cable.shelf.add_channel(cable.account_id)
        async with cable.client() as client:
            greeting, state = await subscribed(client, identifier("ChatChannelChannel", channel_id=str(channel_id)))
            await cable.publisher.publish(f"chat_channel_{channel_id}", "e", b'"live"')
            assert await client.message() == "live"
        assert greeting["type"] == "subscription.confirmed"
        assert state["type"] == "status_change"
        assert state["is_initial_status"] is True
        assert state["status"] == "connected"
        assert ChannelSummaryView.model_validate(state["channel"]) == await cable.shelf.find(
            ChannelSummaryView, cable.account_id, str(channel_id)
        )


class TestAiConversationChannel:
    @pytest.mark.parametrize("by", ["id", "public_id"])
    async def test_either_id_leads_to_the_stream_of_the_public_one(self, cable: Cable, by: str) -> None:
        ref = cable.shelf.add_conversation(cable.account_id)
        given = str(ref.id) if by == "id" else ref.public_id
        async with cable.client() as client:
            (greeting,) = await subscribed(client, identifier("AiConversationChannel", conversation_id=given))
            assert (greeting["type"], greeting["conversation_id"]) == ("subscription.confirmed", given)
            await cable.publisher.publish(f"ai_conversation_{ref.public_id}", "e", b'"live"')
            assert await client.message() == "live"

    async def test_a_message_is_handed_on_and_answered(self, cable: Cable) -> None:
        ref = cable.shelf.add_conversation(cable.account_id)
        name = identifier("AiConversationChannel", conversation_id=ref.public_id)
        async with cable.client() as client:
            await subscribed(client, name)
            await client.perform(name, "send_message", content="  hello ", client_id="c1")
            answer = cast("Message", await client.message())
        assert (answer["type"], answer["status"]) == ("ai_response_queued", "queued")
        assert "error" not in answer
        assert answer["timestamp"]
        assert cable.orders.given == [SendMessage(ref.id, "hello", "c1")]

    async def test_a_refusal_is_said_with_its_reason(self, cable: Cable) -> None:
        ref = cable.shelf.add_conversation(cable.account_id)
        name = identifier("AiConversationChannel", conversation_id=ref.public_id)
        cable.orders.refusal = InvalidInputError("The conversation is closed")
        async with cable.client() as client:
            await subscribed(client, name)
            await client.perform(name, "send_message", content="hello")
            answer = cast("Message", await client.message())
        assert (answer["status"], answer["error"]) == ("failed", "The conversation is closed")

    @pytest.mark.parametrize(
        "data", [{}, {"content": ""}, {"content": "   "}, {"content": 1}, {"content": "x" * 32_001}]
    )
    async def test_a_message_that_does_not_fit_is_an_error(self, cable: Cable, data: Message) -> None:
        ref = cable.shelf.add_conversation(cable.account_id)
        name = identifier("AiConversationChannel", conversation_id=ref.public_id)
        async with cable.client() as client:
            await subscribed(client, name)
            await client.perform(name, "send_message", **data)
            answer = cast("Message", await client.message())
        assert (answer["type"], answer["message"]) == ("error", "Not valid: content")
        assert cable.orders.given == []

    async def test_an_unknown_action_is_an_error(self, cable: Cable) -> None:
        ref = cable.shelf.add_conversation(cable.account_id)
        name = identifier("AiConversationChannel", conversation_id=ref.public_id)
        async with cable.client() as client:
            await subscribed(client, name)
            await client.perform(name, "authorize")
            assert cast("Message", await client.message())["type"] == "error"

    @pytest.mark.parametrize(
        ("data", "typing"),
        [
            ({"typing": True}, True),
            ({"typing": False}, False),
            ({"status": "typing"}, True),
            ({"status": "stopped"}, False),
        ],
    )
    async def test_typing_reaches_the_others_and_not_its_sender(
        self, cable: Cable, data: Message, typing: bool
    ) -> None:
        ref = cable.shelf.add_conversation(cable.account_id)
        name = identifier("AiConversationChannel", conversation_id=ref.public_id)
        writer = person(cable.account_id)
        async with cable.client(writer) as sender, cable.client() as other, cable.client(person(uuid4())) as stranger:
            await subscribed(sender, name)
            await subscribed(other, name)
            await sender.perform(name, "typing_indicator", **data)
            message = cast("Message", await other.message())
            assert await sender.settled() == []
            assert await stranger.settled() == []
        assert (message["type"], message["typing"]) == ("typing_indicator", typing)
        assert (message["user_id"], message["user_name"]) == (str(writer.user_id), "Ada")
        assert message["timestamp"]
