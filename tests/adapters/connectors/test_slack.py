"""Slack's Socket Mode against the simulator, over real sockets; and the simulator against Slack's own client."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import httpx2
import pytest
import pytest_asyncio
from slack_sdk.socket_mode.builtin import SocketModeClient
from slack_sdk.socket_mode.client import BaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web import WebClient

from adapters.base import ChannelContext
from adapters.connectors import Backoff, ConnectorStoppedError
from adapters.platform.slack import SlackSocketMode
from adapters.registry import Outside
from domain.message import EventKind
from simulator.client import SimulatorClient
from tests.adapters.connectors.support import listeners, listening, order
from tests.simulator.support import Bot, Hook, new_bot


@pytest_asyncio.fixture(loop_scope="session")
async def bot(sim: SimulatorClient, http: httpx2.AsyncClient, hook: Hook) -> Bot:
    return await new_bot(sim, http, hook, "slack")


def socket_mode(bot: Bot) -> SlackSocketMode:
    return SlackSocketMode(Outside(bot.http, bot.sim.origin), Backoff(0.01, 0.05))


def channel(bot: Bot, **credentials: str) -> ChannelContext:
    return ChannelContext("c", bot.credentials | credentials)


class TestListening:
    async def test_hears_every_kind_of_webhook(self, sim: SimulatorClient, bot: Bot) -> None:
        async with listening(bot, socket_mode(bot), channel(bot)) as ear:
            await listeners(sim, bot, 1)
            said = await sim.say(bot.name, "alice", "hello")
            await sim.say(bot.name, "alice", "hello!", kind="edit", target=said["message_id"])
            await sim.say(bot.name, "alice", "/ask when?", kind="command")
            await sim.say(
                bot.name, "alice", kind="press", target=said["message_id"],
                payload={"action_id": "a", "type": "button", "text": {"type": "plain_text", "text": "Yes"}, "value": "y"},
            )  # fmt: skip
            events = await ear.until(4)
        assert [event.kind for event in events] == [
            EventKind.MESSAGE,
            EventKind.EDIT,
            EventKind.COMMAND,
            EventKind.ACTION,
        ]
        assert [events[0].text, events[2].text, events[3].text] == ["hello", "/ask when?", "Yes"]
        assert bot.hook.requests == []


class TestGoingOn:
    @pytest.mark.parametrize("what", ["drop", "refresh"])
    async def test_comes_back_and_hears_what_was_not_acknowledged(
        self, sim: SimulatorClient, bot: Bot, what: str
    ) -> None:
        async with listening(bot, socket_mode(bot), channel(bot)) as ear:
            await listeners(sim, bot, 1)
            await sim.say(bot.name, "alice", "one")
            await ear.until_texts("one")
            await order(bot, what)
            await sim.say(bot.name, "alice", "two")
            await ear.until_texts("one", "two")
        assert ear.texts == ["one", "two"]
        assert any(heard.trouble for heard in ear.heard)

    async def test_what_was_not_stored_is_told_again(self, sim: SimulatorClient, bot: Bot) -> None:
        stored = asyncio.Event()

        async def die_while_storing() -> None:
            async for heard in socket_mode(bot).run(channel(bot), {}):
                if heard.events:
                    stored.set()
                    await asyncio.Event().wait()

        dying = asyncio.create_task(die_while_storing())
        await listeners(sim, bot, 1)
        await sim.say(bot.name, "alice", "one")
        await stored.wait()
        dying.cancel()
        await asyncio.gather(dying, return_exceptions=True)
        async with listening(bot, socket_mode(bot), channel(bot)) as ear:
            await ear.until_texts("one")


class TestRefused:
    @pytest.mark.parametrize("token", ["", "xapp-wrong", "no\ntoken"])
    async def test_a_wrong_token_ends_it_in_words(self, bot: Bot, token: str) -> None:
        async with listening(bot, socket_mode(bot), channel(bot, app_token=token)) as ear:
            ended = await ear.until_ended()
        assert isinstance(ended, ConnectorStoppedError)
        assert "connections:write" in ended.message

    async def test_socket_mode_turned_off_ends_it(self, sim: SimulatorClient, bot: Bot) -> None:
        async with listening(bot, socket_mode(bot), channel(bot)) as ear:
            await listeners(sim, bot, 1)
            await order(bot, "disable")
            ended = await ear.until_ended()
        assert isinstance(ended, ConnectorStoppedError)
        assert "turned off" in ended.message


class TestSimulator:
    async def test_slacks_own_client_understands_it(self, sim: SimulatorClient, bot: Bot) -> None:
        loop, heard = asyncio.get_running_loop(), asyncio.Queue[SocketModeRequest]()

        def listen(client: BaseSocketModeClient, request: SocketModeRequest) -> None:
            client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))
            loop.call_soon_threadsafe(heard.put_nowait, request)

        web = WebClient(base_url=f"{sim.origin}/api/")
        client = SocketModeClient(app_token=bot.credentials["app_token"], web_client=web)
        client.socket_mode_request_listeners.append(listen)
        await asyncio.to_thread(client.connect)
        try:
            await listeners(sim, bot, 1)
            await sim.say(bot.name, "alice", "hello")
            request = await asyncio.wait_for(heard.get(), 8)
        finally:
            await asyncio.to_thread(client.close)
        payload = cast("dict[str, Any]", request.payload)  # pyright: ignore[reportUnknownMemberType]
        assert (request.type, payload["event"]["text"]) == ("events_api", "hello")
