"""MCP at `/mcp`, by the official package's own client over real HTTP: tools, resources, permissions, tenants, the door."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar
from uuid import uuid4

import httpx2
import pytest
from fastapi import FastAPI
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import TextResourceContents

from api.mcp.http import open_mcp
from api.mcp.tool import Args, Call, Result, Tool, discover, gather
from domain.permissions import ROLE_PERMISSIONS, Permission, Role
from tests.api.conftest import Login, Person
from tests.api.served import serving
from tests.api.test_auth import service_token
from tests.api.test_isolation import ask, talk
from tests.conftest import DatabaseUrls


@pytest.fixture
async def port(app: FastAPI) -> AsyncIterator[int]:
    async with open_mcp(app, app.state.services), serving(app) as found:
        yield found


def bearer(person: Person) -> str:
    return person.client.headers["Authorization"]


@asynccontextmanager
async def session(port: int, authorization: str, mode: str = "legacy") -> AsyncGenerator[Client]:
    headers = {"Authorization": authorization}
    async with httpx2.AsyncClient(headers=headers) as http:
        transport = streamable_http_client(f"http://127.0.0.1:{port}/mcp", http_client=http)
        async with Client(transport, mode=mode) as client:  # pyright: ignore[reportArgumentType]
            yield client


def arguments(tool: str, ids: dict[str, str]) -> dict[str, Any]:
    """Return what a tool needs, about these things."""
    needed: dict[str, Any] = {
        "get_session": {"session_id": ids["session_id"]},
        "list_messages": {"session_id": ids["session_id"]},
        "search_messages": {"words": "hello"},
        "read_conversation": {"conversation_id": ids["conversation_id"]},
        "send_message": {"session_id": ids["session_id"], "content": "hi", "client_id": "c1"},
        "channel_status": {"channel_id": ids["channel_id"]},
        "resolve_approval": {"approval_id": ids["approval_id"], "decision": "reject"},
    }
    return needed.get(tool, {})


async def things(app: FastAPI, person: Person) -> dict[str, str]:
    session_id, message_id, conversation_id = await talk(app, person)
    return {
        "session_id": str(session_id),
        "message_id": str(message_id),
        "conversation_id": str(conversation_id),
        "channel_id": str(person.tenant.channel_id),
        "agent_id": str(person.tenant.agent_id),
        "approval_id": await ask(app, person, session_id, conversation_id),
    }


class TestTools:
    @pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
    async def test_each_answers_about_the_callers_account(
        self, app: FastAPI, login: Login, port: int, mode: str
    ) -> None:
        person = await login()
        ids = await things(app, person)
        async with session(port, bearer(person), mode) as client:
            listed = {tool.name for tool in (await client.list_tools()).tools}
            assert listed == set(discover())
            for name in sorted(listed):
                answer = await client.call_tool(name, arguments(name, ids))
                assert not answer.is_error, (name, answer.content)
                text = json.dumps(answer.structured_content)
                assert any(one in text for one in (*ids.values(), "hello")), (name, text)

    async def test_a_message_is_sent_once_under_its_key(self, app: FastAPI, login: Login, port: int) -> None:
        person = await login()
        ids = await things(app, person)
        async with session(port, bearer(person)) as client:
            said = {"session_id": ids["session_id"], "content": "We are open.", "client_id": "key-1"}
            first, again = [await client.call_tool("send_message", said) for _ in range(2)]
            assert first.structured_content["message"]["id"] == again.structured_content["message"]["id"]
            found = await client.call_tool("search_messages", {"words": "WE ARE OPEN"})
        assert [one["content"] for one in found.structured_content["messages"]] == ["We are open."]

    async def test_what_people_look_for_is_taken_literally(self, app: FastAPI, login: Login, port: int) -> None:
        person = await login()
        await talk(app, person)
        async with session(port, bearer(person)) as client:
            for words in ("h%o", "h_llo", "\\hello"):
                answer = await client.call_tool("search_messages", {"words": words})
                assert answer.structured_content == {"messages": []}, words

    async def test_wrong_arguments_are_said_by_name(self, login: Login, port: int) -> None:
        async with session(port, bearer(await login())) as client:
            for given, fault in (({}, "session_id"), ({"session_id": str(uuid4()), "more": 1}, "more")):
                answer = await client.call_tool("get_session", given)
                assert answer.is_error
                assert fault in str(answer.content)


class TestPermissions:
    @pytest.mark.parametrize("role", list(Role))
    async def test_each_role_has_the_tools_of_its_permissions(
        self, app: FastAPI, login: Login, port: int, role: Role
    ) -> None:
        person = await login(role)
        ids = await things(app, person)
        async with session(port, bearer(person)) as client:
            listed = {tool.name for tool in (await client.list_tools()).tools}
            for name, tool in discover().items():
                allowed = tool.permission in ROLE_PERMISSIONS[role]
                assert (name in listed) is allowed
                if allowed:
                    assert not (await client.call_tool(name, arguments(name, ids))).is_error, name
                else:
                    with pytest.raises(MCPError, match="Unknown tool"):
                        await client.call_tool(name, arguments(name, ids))

    async def test_a_service_token_has_what_it_was_given(
        self, app: FastAPI, login: Login, port: int, database_urls: DatabaseUrls
    ) -> None:
        person = await login()
        ids = await things(app, person)
        wanted = [Permission.SESSIONS_READ, Permission.APPROVALS_RESOLVE]
        token = await service_token(database_urls, person.tenant.account_id, wanted)
        async with session(port, f"Bearer {token}") as client:
            listed = {tool.name for tool in (await client.list_tools()).tools}
            assert listed == {name for name, tool in discover().items() if tool.permission in wanted}
            assert not (await client.call_tool("get_session", arguments("get_session", ids))).is_error
            refused = await client.call_tool("resolve_approval", arguments("resolve_approval", ids))
            assert (refused.is_error, "FORBIDDEN" in str(refused.content)) == (True, True)


class TestTenants:
    async def test_foreign_and_guessed_look_the_same(self, app: FastAPI, login: Login, port: int) -> None:
        mine, theirs = await login(), await login()
        foreign = await things(app, theirs)
        guessed = {name: str(uuid4()) for name in foreign}
        async with session(port, bearer(mine)) as client:
            for name in discover():
                if not arguments(name, foreign) or name == "search_messages":
                    continue
                answers = [await client.call_tool(name, arguments(name, ids)) for ids in (foreign, guessed)]
                assert answers[0].model_dump() == answers[1].model_dump(), name
                assert answers[0].is_error
                assert "NOT_FOUND" in str(answers[0].content), name
            for name in set(discover()) - {"send_message", "resolve_approval"}:
                answer = await client.call_tool(name, arguments(name, guessed))
                assert not [one for one in foreign.values() if one in str(answer)], name
            for kind, key in (
                ("sessions", "session_id"),
                ("conversations", "conversation_id"),
                ("channels", "channel_id"),
            ):
                faults = [await refusal(client, f"powernode://{kind}/{ids[key]}") for ids in (foreign, guessed)]
                assert faults == ["No such resource"] * 2
            listed = await client.list_resources()
            assert not [one for one in foreign.values() if one in str(listed)]


async def refusal(client: Client, uri: str) -> str:
    with pytest.raises(MCPError) as refused:
        await client.read_resource(uri)
    assert refused.value.error.code == -32002
    return refused.value.error.message


class TestResources:
    async def test_are_listed_and_read(self, app: FastAPI, login: Login, port: int) -> None:
        person = await login()
        ids = await things(app, person)
        async with session(port, bearer(person)) as client:
            listed = {str(one.uri) for one in (await client.list_resources()).resources}
            wanted = {f"powernode://sessions/{ids['session_id']}", f"powernode://channels/{ids['channel_id']}"}
            assert wanted <= listed
            for uri in (*wanted, f"powernode://conversations/{ids['conversation_id']}"):
                [content] = (await client.read_resource(uri)).contents
                assert isinstance(content, TextResourceContents)
                assert json.loads(content.text)
            templates = await client.list_resource_templates()
            assert {one.name for one in templates.resource_templates} == {"sessions", "conversations", "channels"}

    @pytest.mark.parametrize(
        "uri",
        [
            "powernode://sessions/x",
            "powernode://sessions/",
            "powernode://agents/1",
            "file:///etc/passwd",
            "powernode:x",
        ],
    )
    async def test_what_is_no_address_is_unknown(self, login: Login, port: int, uri: str) -> None:
        async with session(port, bearer(await login())) as client:
            await refusal(client, uri)


class TestDoor:
    HELLO: ClassVar[dict[str, Any]] = {
        "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {},
    }  # fmt: skip
    ACCEPT: ClassVar[dict[str, str]] = {"Accept": "application/json, text/event-stream"}

    async def post(self, port: int, **headers: str) -> httpx2.Response:
        async with httpx2.AsyncClient() as http:
            return await http.post(f"http://127.0.0.1:{port}/mcp", json=self.HELLO, headers=self.ACCEPT | headers)

    async def test_without_a_good_token_nobody_comes_in(self, login: Login, port: int) -> None:
        person = await login()
        for given in ("", "Bearer", "Bearer nonsense", bearer(person)[:-2], "Basic " + bearer(person)):
            answer = await self.post(port, **({"Authorization": given} if given else {}))
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), given
            assert answer.json()["code"] == "UNAUTHORIZED"
        assert (await self.post(port, Authorization=bearer(person))).status_code == 200

    async def test_a_logged_out_token_is_refused(self, login: Login, port: int) -> None:
        person = await login()
        await person.post("/auth/logout")
        assert (await self.post(port, Authorization=bearer(person))).status_code == 401

    async def test_foreign_pages_and_names_are_refused(self, login: Login, port: int) -> None:
        token = bearer(await login())
        for origin in (
            "https://evil.example",
            "null",
            "http://chat.example.org",
            "https://chat.example.org.evil.example",
        ):
            assert (await self.post(port, Authorization=token, Origin=origin)).status_code == 403, origin
        for host in ("evil.example", "127.0.0.1.evil.example:80", "chat.example.org:1"):
            assert (await self.post(port, Authorization=token, Host=host)).status_code == 421, host
        own = {"Origin": "https://chat.example.org", "Host": "chat.example.org"}
        assert (await self.post(port, Authorization=token, **own)).status_code == 200

    async def test_what_is_no_json_rpc_is_said_so(self, login: Login, port: int) -> None:
        headers = {"Authorization": bearer(await login()), "Content-Type": "application/json", **self.ACCEPT}
        async with httpx2.AsyncClient(headers=headers) as http:
            for body in (b"", b"no", b"[]", b'{"jsonrpc":"2.0","id":1}', b"\xff", b"[" * 100_000):
                answer = await http.post(f"http://127.0.0.1:{port}/mcp", content=body)
                assert answer.status_code == 400, body[:10]
            assert (await http.post(f"http://127.0.0.1:{port}/mcp", content=b"x" * (2 << 20))).status_code == 413


class _Empty(Args):
    pass


async def _run(_call: Call, _args: _Empty) -> Result:
    return Result()


class TestRegistry:
    def test_mistakes_stop_the_start(self) -> None:
        good = Tool("look", "Look.", _Empty, Result, Permission.SESSIONS_READ, _run)
        assert gather({"m": [good]}) == {"look": good}
        mistakes: tuple[dict[str, list[Tool[Any]]], ...] = (
            {"m": []},
            {"m": [good], "n": [good]},
            {"m": [Tool("Look!", "Look.", _Empty, Result, Permission.SESSIONS_READ, _run)]},
            {"m": [Tool("look", "", _Empty, Result, Permission.SESSIONS_READ, _run)]},
            {"m": [Tool("look", "Look.", _Empty, Result, "root", _run)]},  # pyright: ignore[reportArgumentType]
        )
        for wrong in mistakes:
            with pytest.raises(RuntimeError):
                gather(wrong)
