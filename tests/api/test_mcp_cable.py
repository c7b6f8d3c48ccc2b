"""MCP over the cable: the protocol's methods, the older actions, resources that are followed, refusals in JSON-RPC's words."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast
from uuid import uuid4

import pytest
from fastapi import FastAPI

from api.mcp.tool import discover
from domain.events.chat import session_stream
from domain.events.mcp import McpNotification, mcp_account_stream
from domain.permissions import ROLE_PERMISSIONS, Role
from realtime.hub import Hub
from realtime.publish import Publication
from tests.api.conftest import Login, Person
from tests.api.served import cable, serving
from tests.api.test_isolation import talk
from tests.realtime.cable import Client, identifier

NAME = identifier("McpChannel")


@pytest.fixture
async def port(app: FastAPI, hub: Hub) -> AsyncIterator[int]:
    async with serving(app) as found:
        yield found


@dataclass
class Talker:
    """A client that is subscribed; `greeting` is what it was told first."""

    client: Client
    greeting: dict[str, Any]

    async def next(self) -> dict[str, Any]:
        """The next message that is no notification of a call."""
        while (message := cast("dict[str, Any]", await self.client.message())).get("method") == "notification":
            pass
        return message

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        return await self.say({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})

    async def say(self, message: dict[str, Any]) -> dict[str, Any]:
        await self.client.perform(NAME, "receive", **message)
        return await self.next()

    async def act(self, name: str, **data: Any) -> dict[str, Any]:
        await self.client.perform(NAME, name, **data)
        return await self.next()


@asynccontextmanager
async def talker(port: int, person: Person) -> AsyncGenerator[Talker]:
    async with cable(port, person) as (client, _):
        assert (await client.subscribe(NAME))["type"] == "confirm_subscription"
        yield Talker(client, cast("dict[str, Any]", await client.message()))


class TestProtocol:
    async def test_greets_with_what_there_is(self, login: Login, port: int) -> None:
        person = await login(Role.VIEWER)
        async with talker(port, person) as said:
            greeting = said.greeting
        assert (greeting["jsonrpc"], greeting["method"]) == ("2.0", "initialized")
        assert greeting["timestamp"]
        params = greeting["params"]
        assert params["account_id"] == str(person.tenant.account_id)
        granted = ROLE_PERMISSIONS[Role.VIEWER]
        assert set(params["user_permissions"]) == {one.value for one in granted}
        wanted = {name for name, tool in discover().items() if tool.permission in granted}
        assert {tool["name"] for tool in params["available_tools"]} == wanted
        assert params["server_capabilities"]["resources"]["subscribe"] is True

    async def test_a_handshake_and_a_call(self, app: FastAPI, login: Login, port: int) -> None:
        person = await login()
        session_id, _, _ = await talk(app, person)
        async with talker(port, person) as said:
            hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
            answer = await said.ask("initialize", **hello)
            assert answer["result"]["serverInfo"]["name"] == "powernode"
            assert answer["result"]["protocolVersion"] == "2025-06-18"
            await said.client.perform(NAME, "receive", jsonrpc="2.0", method="notifications/initialized")
            tools = (await said.ask("tools/list"))["result"]["tools"]
            assert {tool["name"] for tool in tools} == set(discover())
            answer = await said.ask("tools/call", name="get_session", arguments={"session_id": str(session_id)})
            assert answer["id"] == 7
            assert answer["result"]["structuredContent"]["session"]["id"] == str(session_id)
            assert (await said.ask("ping"))["result"] == {}
            listed = (await said.ask("resources/list"))["result"]["resources"]
            uri = f"powernode://sessions/{session_id}"
            assert uri in {one["uri"] for one in listed}
            [content] = (await said.ask("resources/read", uri=uri))["result"]["contents"]
            assert str(session_id) in content["text"]

    @pytest.mark.parametrize(
        ("message", "code"),
        [
            ({"id": 1, "method": "ping"}, -32600),
            ({"jsonrpc": "1.0", "id": 1, "method": "ping"}, -32600),
            ({"jsonrpc": "2.0", "id": 1}, -32600),
            ({"jsonrpc": "2.0", "id": [], "method": "ping"}, -32600),
            ({"jsonrpc": "2.0", "id": True, "method": "ping"}, -32600),
            ({"jsonrpc": "2.0", "id": 1, "method": "no/such"}, -32601),
            ({"jsonrpc": "2.0", "id": 1, "method": "prompts/list"}, -32601),
            ({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": []}, -32602),
            ({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {}}, -32602),
            ({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "no_such"}}, -32602),
            ({"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": "powernode://x/1"}}, -32002),
        ],
    )
    async def test_what_is_wrong_is_said(self, login: Login, port: int, message: dict[str, Any], code: int) -> None:
        async with talker(port, await login()) as said:
            answer = await said.say(message)
            assert answer["error"]["code"] == code, answer
            assert answer["error"]["data"]["type"]
            assert answer["timestamp"]
            assert "result" not in answer
            assert (await said.ask("ping"))["result"] == {}

    async def test_what_one_may_not_is_unknown(self, app: FastAPI, login: Login, port: int) -> None:
        viewer = await login(Role.VIEWER)
        session_id, _, _ = await talk(app, viewer)
        async with talker(port, viewer) as said:
            given = {"session_id": str(session_id), "content": "hi", "client_id": "1"}
            answer = await said.ask("tools/call", name="send_message", arguments=given)
        assert (answer["error"]["code"], answer["error"]["message"]) == (-32602, "Unknown tool: send_message")


class TestOlderActions:
    async def test_each_is_one_of_the_methods(self, app: FastAPI, login: Login, port: int) -> None:
        person = await login()
        session_id, _, _ = await talk(app, person)
        async with talker(port, person) as said:
            assert (await said.act("initialize_protocol"))["result"]["serverInfo"]["name"] == "powernode"
            assert len((await said.act("list_tools", id=3))["result"]["tools"]) == len(discover())
            tool = (await said.act("describe_tool", params={"name": "get_session"}))["result"]["tool"]
            assert "session_id" in tool["inputSchema"]["properties"]
            assert (await said.act("describe_tool", params={"name": "nope"}))["error"]["code"] == -32602
            call = {"name": "get_session", "arguments": {"session_id": str(session_id)}}
            answer = await said.act("call_tool", id="a", params=call)
            assert (answer["id"], answer["result"]["isError"]) == ("a", False)
            assert "error" not in await said.act("ping", id=1)

    @pytest.mark.parametrize("name", ["execute_workflow", "execute_agent"])
    async def test_what_has_no_tool_is_unknown(self, login: Login, port: int, name: str) -> None:
        if name in discover():
            pytest.skip("there is a tool for it")
        async with talker(port, await login()) as said:
            answer = await said.act(name, params={"workflow_id": str(uuid4())})
        assert (answer["error"]["code"], answer["error"]["message"]) == (-32602, f"Unknown tool: {name}")


class TestFollowing:
    @pytest.mark.parametrize("how", ["method", "action"])
    async def test_changes_are_told_until_one_unsubscribes(
        self, app: FastAPI, hub: Hub, login: Login, port: int, how: str
    ) -> None:
        person = await login()
        session_id, _, _ = await talk(app, person)
        uri, stream = f"powernode://sessions/{session_id}", session_stream(session_id)
        async with talker(port, person) as said:
            if how == "method":
                answer = await said.ask("resources/subscribe", uri=uri)
            else:
                about = {"resource_type": "session_events", "resource_id": str(session_id)}
                answer = await said.act("subscribe_to_resource", params=about)
            assert answer["result"] == {}
            await hub.publisher.publish_transient(stream, b'{"passing":1}')
            await hub.publisher.publish_many([Publication(stream, uuid4().hex, b'{"n":1}')])
            frame = await said.client.next()
            assert frame["message"] == {
                "jsonrpc": "2.0",
                "method": "notifications/resources/updated",
                "params": {"uri": uri},
            }
            assert "offset" not in frame
            assert (await said.ask("resources/unsubscribe", uri=uri))["result"] == {}
            await hub.publisher.publish_many([Publication(stream, uuid4().hex, b'{"n":2}')])
            assert await said.client.settled() == []
        assert hub.listeners(stream) == 0

    async def test_a_socket_that_goes_follows_no_more(self, app: FastAPI, hub: Hub, login: Login, port: int) -> None:
        person = await login()
        session_id, _, _ = await talk(app, person)
        async with talker(port, person) as said:
            await said.ask("resources/subscribe", uri=f"powernode://sessions/{session_id}")
            assert hub.listeners(session_stream(session_id)) == 1
            await said.client.send(command="unsubscribe", identifier=NAME)
            await said.client.settled()
            assert hub.listeners(session_stream(session_id)) == 0

    async def test_a_foreign_resource_is_unknown_and_not_followed(
        self, app: FastAPI, hub: Hub, login: Login, port: int
    ) -> None:
        mine, theirs = await login(), await login()
        session_id, _, _ = await talk(app, theirs)
        async with talker(port, mine) as said:
            for key in (session_id, uuid4()):
                answer = await said.ask("resources/subscribe", uri=f"powernode://sessions/{key}")
                assert (answer["error"]["code"], answer["error"]["message"]) == (-32002, "No such resource")
            assert hub.listeners(session_stream(session_id)) == 0


class TestNotification:
    async def test_operators_hear_of_calls_in_their_account_only(self, hub: Hub, login: Login, port: int) -> None:
        mine, theirs = await login(), await login()
        async with talker(port, mine) as said, talker(port, theirs) as other:
            await said.client.perform(
                NAME, "receive", jsonrpc="2.0", id=1, method="tools/call", params={"name": "list_agents"}
            )
            heard = [cast("dict[str, Any]", await said.client.message()) for _ in range(2)]
            [told] = [message for message in heard if message.get("method") == "notification"]
            event = McpNotification.model_validate(told)
            assert (event.params.tool, event.params.user_id) == ("list_agents", mine.tenant.user_id)
            assert event.streams() == [mcp_account_stream(mine.tenant.account_id)]
            assert await other.client.settled() == []
