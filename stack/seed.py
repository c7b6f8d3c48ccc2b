"""The demo of an embedded stack: an account with an administrator, and a channel per simulated platform.

People are made in the database as its owner, since nobody can log in before; channels are made through the api, as a
person would. Everything is idempotent: a second start finds what the first one made. What it needs is imported where it
is used, so that Postgres and the others start meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from simulator.made_up import CREDENTIALS, credentials
from stack.keys import StackKeys
from stack.paths import VarDir
from stack.service import StartError
from stack.state import DemoChannel, StackState

if TYPE_CHECKING:
    from stack.api_client import ApiClient

ACCOUNT: Final = "Demo"
AGENT: Final = "Demo agent"
SLUG: Final = "demo-agent"


class _Channel(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: str
    name: str
    platform: str
    webhook_url: str = ""
    """Only in the answer for one channel, not in the list."""


SIMULATED: Final = CREDENTIALS
"""The platforms of which the demo has a channel, and how its credentials are made."""


async def migrate(state: StackState) -> str:
    """Bring the database to the current schema; the app role is whom `database_url` names."""
    from db.migrate import upgrade

    role = urlsplit(state.database_url).username or "powernode_app"
    await asyncio.to_thread(upgrade, state.database_owner_url, role)
    return ""


async def people(state: StackState) -> str:
    """Make the account, its agent and its administrator."""
    from api.passwords import hash_password
    from db import accounts
    from db.session import Database
    from domain.permissions import Role

    password_hash = await asyncio.to_thread(hash_password, state.admin.password)
    database = Database(state.database_owner_url, pool_size=1)
    try:
        async with database.open() as conn:
            account_id = await accounts.create_account(conn, ACCOUNT, ACCOUNT.lower())
        async with database.account(account_id) as conn:
            await accounts.create_member(
                conn,
                account_id,
                email=state.admin.email,
                name="Demo administrator",
                password_hash=password_hash,
                role=Role.ADMIN,
            )
            await accounts.create_agent(conn, account_id, name=AGENT, slug=SLUG, provider="local", model="local")
    finally:
        await database.close()
    return state.admin.email


async def channels(var: VarDir, state: StackState) -> str:
    """Make and connect the channels, each known to the simulator first. Puts them into `state`. Raises StartError."""
    from stack.api_client import ApiClient

    secret = StackKeys.keep(var).demo_channels
    async with ApiClient(state) as api:
        calls = _Channels(api, state.simulator_url or "")
        found = {channel.platform: channel for channel in await calls.all() if channel.name.startswith(ACCOUNT)}
        for platform in state.simulated:
            given = credentials(platform, secret)
            known = found.get(platform)
            channel = await calls.show(known.id) if known else await calls.create(platform, given)
            await calls.register(channel, given)
            await calls.connect(channel)
            state.demo_channels[platform] = DemoChannel(id=channel.id, webhook_url=channel.webhook_url)
    return ", ".join(state.simulated)


class _Channels:
    """The few calls that the seed makes."""

    def __init__(self, api: ApiClient, simulator_url: str) -> None:
        self._api = api
        self._simulator_url = simulator_url

    async def all(self) -> list[_Channel]:
        items = (await self._api.call("GET", "/api/v1/chat/channels?per_page=100"))["items"]
        return [_Channel.model_validate(item) for item in cast("list[object]", items)]

    async def show(self, channel_id: str) -> _Channel:
        return _Channel.model_validate((await self._api.call("GET", f"/api/v1/chat/channels/{channel_id}"))["channel"])

    async def create(self, platform: str, credentials: Mapping[str, str]) -> _Channel:
        agents = cast("list[Mapping[str, str]]", (await self._api.call("GET", "/api/v1/ai/agents"))["items"])
        fields = {
            "name": f"{ACCOUNT} {platform}",
            "platform": platform,
            "credentials": credentials,
            "default_agent_id": next(agent["id"] for agent in agents if agent["slug"] == SLUG),
        }
        made = await self._api.call("POST", "/api/v1/chat/channels", {"channel": fields})
        return _Channel.model_validate(made["channel"])

    async def connect(self, channel: _Channel) -> None:
        await self._api.call("POST", f"/api/v1/chat/channels/{channel.id}/connect")

    async def register(self, channel: _Channel, credentials: Mapping[str, str]) -> None:
        body = {
            "name": channel.name,
            "platform": channel.platform,
            "webhook_url": channel.webhook_url,
            "credentials": credentials,
        }
        answer = await self._api.http.post(f"{self._simulator_url}/_sim/channels", json=body)
        if answer.status_code >= 300:
            raise StartError(f"the simulator refused a channel: {answer.status_code} {answer.text[:300]}")
