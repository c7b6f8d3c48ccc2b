"""`powernode channel add`: asks for what a platform needs, says where it is found, connects, and says what is wrong.

It calls the running api as an administrator would; the api decides everything.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import httpx2
from rich.console import Console
from rich.prompt import Prompt

from stack.api_client import ApiClient, RefusedError
from stack.service import StartError
from stack.state import StackState

Json = Mapping[str, Any]
Ask = Callable[[Json], str]


@dataclass(frozen=True, slots=True)
class Wish:
    """The channel to be. `agent`: a slug; None for the only one, or the first by name."""

    platform: str
    name: str
    transport: str | None = None
    agent: str | None = None
    credentials: Mapping[str, str] = field(default_factory=dict[str, str])


def given(pairs: Sequence[str]) -> dict[str, str]:
    """Return `name=value` pairs as credentials. Raises StartError."""
    split = [pair.partition("=") for pair in pairs]
    wrong = [name for name, sign, _ in split if not sign]
    if wrong:
        raise StartError(f"--set wants name=value, not {wrong[0]!r}")
    return {name: value for name, _, value in split}


def ask_person(credential: Json) -> str:
    """Ask at the terminal; what is typed of a secret is not shown. Raises StartError where nobody can be asked."""
    if not sys.stdin.isatty():
        raise StartError(f"missing: --set {credential['name']}=…  ({credential['where']})")
    return Prompt.ask(question(credential), password=bool(credential["secret"]))


def question(credential: Json) -> str:
    """Return how a credential is asked for: its name, and where it is found."""
    return f"{credential['label']}\n  [dim]{credential['where']}[/]\n "


async def add(state: StackState, wish: Wish, ask: Ask) -> Json:
    """Create and connect a channel; returns it, with `problems` beside it. Raises StartError with the reasons in words.

    One that cannot be connected is taken away again, so that it can simply be tried once more.
    """
    async with ApiClient(state) as api:
        platform = await _platform(api, wish)
        credentials = dict(wish.credentials)
        for needed in platform["credentials"]:
            if needed["name"] not in credentials and _is_asked(needed, wish.transport):
                credentials[needed["name"]] = ask(needed)
        fields = {
            "name": wish.name,
            "platform": wish.platform,
            "credentials": credentials,
            "configuration": {"transport": wish.transport} if wish.transport else {},
            "default_agent_id": await _agent(api, wish.agent),
        }
        channel = cast("Json", (await _told(api, "POST", "/api/v1/chat/channels", {"channel": fields}))["channel"])
        try:
            return await _told(api, "POST", f"/api/v1/chat/channels/{channel['id']}/connect")
        except StartError:
            await api.call("DELETE", f"/api/v1/chat/channels/{channel['id']}")
            raise


def _is_asked(credential: Json, transport: str | None) -> bool:
    if credential["transport"]:
        return bool(credential["transport"] == transport)
    return bool(credential["required"] and not credential["made_up"])


async def _platform(api: ApiClient, wish: Wish) -> Json:
    known = cast("list[Json]", (await api.call("GET", "/api/v1/chat/channels/platforms"))["platforms"])
    found = {str(one["id"]): one for one in known}
    if wish.platform not in found:
        raise StartError(f"unknown platform {wish.platform!r}; one of: {', '.join(found)}")
    return found[wish.platform]


async def _agent(api: ApiClient, slug: str | None) -> str:
    agents = cast("list[Json]", (await api.call("GET", "/api/v1/ai/agents"))["items"])
    named = [agent for agent in agents if slug in {None, agent["slug"]}]
    if not named:
        raise StartError(f"there is no agent {slug or ''}; one of: {', '.join(str(one['slug']) for one in agents)}")
    return str(named[0]["id"])


async def _told(api: ApiClient, method: str, path: str, body: object = None) -> Json:
    try:
        return await api.call(method, path, body)
    except RefusedError as refused:
        raise StartError(refused.reason) from refused


def run(state: StackState, wish: Wish, *, as_json: bool, console: Console | None = None, ask: Ask = ask_person) -> int:
    """Add it and print what to do next. Returns the command's status."""
    console = console or Console(highlight=False)
    try:
        done = asyncio.run(add(state, wish, ask))
    except (StartError, httpx2.HTTPError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    channel = cast("Json", done["channel"])
    if as_json:
        sys.stdout.write(f"{json.dumps(done)}\n")
        return 0
    console.print(f"[green]✓[/] {channel['name']}: {channel['status']}  [dim]{channel['id']}[/]")
    for problem in cast("list[str]", done["problems"]):
        console.print(f"[yellow]![/] {problem}")
    if wish.transport in {None, "webhook"}:
        console.print(f"Webhook address, where the platform asks for one:\n  {channel['webhook_url']}", soft_wrap=True)
    return 0
