"""What `POST …/test` says of everything that can be wrong with a channel: in words that say what to do, over real sockets.

One table for all platforms; each line is a thing that people get wrong. The words are held whole, because they are the product.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from adapters.base import ChannelContext, CheckResult
from adapters.registry import Platforms
from simulator.client import SimulatorClient
from simulator.made_up import credentials
from simulator.server import running_simulator

KEPT: Mapping[str, str] = {
    "telegram": "1080864575:406c",
    "slack": "xoxb-",
    "discord": "",
    "mattermost": "",
    "whatsapp": "EAA",
}


@dataclass(frozen=True)
class Wrong:
    """What is wrong. `given`: other credentials; `options`: another world; `fault`: what the platform does; `ok`: it works all the same."""

    platform: str
    words: str
    given: Mapping[str, str] = field(default_factory=dict[str, str])
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    fault: Mapping[str, Any] = field(default_factory=dict[str, Any])
    ok: bool = False


EXPIRED = {"kind": "error", "error": "invalid_auth"}
DOWN = {"kind": "server_error", "status": 503}
SLOW_DOWN = {"kind": "rate_limited", "retry_after_s": 30}
WRONG = {
    "telegram, an expired token": Wrong(
        "telegram", "Telegram does not accept the bot's token; create a new one with @BotFather (Unauthorized)", fault=EXPIRED
    ),
    "telegram, another's token": Wrong(
        "telegram", "Telegram does not accept the bot's token; create a new one with @BotFather (Unauthorized)",
        given={"bot_token": "1:other"},
    ),
    "telegram, down": Wrong("telegram", "Telegram failed: Internal Server Error; try again in a few minutes", fault=DOWN),
    "telegram, too fast": Wrong("telegram", "Telegram asks to slow down (Too Many Requests: retry after 30)", fault=SLOW_DOWN),
    "slack, an expired token": Wrong(
        "slack", "Slack does not accept the bot token; install the app again and enter the new token (invalid_auth)",
        fault=EXPIRED,
    ),
    "slack, a revoked token": Wrong(
        "slack", "The bot token was revoked; install the app again and enter the new token (token_revoked)",
        fault={"kind": "error", "error": "token_revoked"},
    ),
    "slack, a missing scope": Wrong(
        "slack", "The app lacks the scope chat:write; add it and install the app again",
        options={"scopes": "im:history,channels:history,files:read,files:write,reactions:write"}, ok=True,
    ),
    "slack, no scope for files": Wrong(
        "slack", "The app lacks the scope files:write: without it files cannot be sent; add it and install the app again",
        options={"scopes": "chat:write,im:history,channels:history,files:read,reactions:write"}, ok=True,
    ),
    "slack, no signing secret": Wrong(
        "slack", "The signing secret is missing; without it no event can be trusted", given={"signing_secret": ""}
    ),
    "slack, another workspace's token": Wrong(
        "slack", "The token belongs to workspace TOURS", options={}, given={"team_id": "TTHEIRS"}
    ),
    "slack, down": Wrong("slack", "Slack failed: internal_error; try again in a few minutes", fault=DOWN),
    "discord, a wrong token": Wrong(
        "discord",
        "Discord does not accept the bot's token; reset it in the developer portal and enter the new one (HTTP 401)",
        given={"bot_token": "other"},
    ),
    "discord, another application's key": Wrong(
        "discord", "The public key is not this application's; copy it from General information, 64 small digits", given={"public_key": "0" * 64}
    ),
    "discord, no intent": Wrong(
        "discord", "The bot may not read messages; turn on Bot, Message content intent in the developer portal",
        options={"message_content": False}, ok=True,
    ),
    "discord, down": Wrong("discord", "Discord failed: HTTP 503; try again in a few minutes", fault=DOWN),
    "mattermost, a wrong token": Wrong(
        "mattermost",
        "The server does not accept the bot's token; make a new one in the System console, Bot accounts"
        " (api.context.session_expired.app_error)",
        given={"bot_token": "other"},
    ),
    "mattermost, a person's token": Wrong(
        "mattermost", "The token belongs to a person, not to a bot; make a bot account", options={"is_bot": False}, ok=True
    ),
    "mattermost, down": Wrong("mattermost", "Mattermost failed: api.simulated.app_error; try again in a few minutes", fault=DOWN),
    "whatsapp, an expired token": Wrong(
        "whatsapp", "The access token has expired or was revoked; make a new one, best one that never expires (190)",
        fault=EXPIRED,
    ),
    "whatsapp, a missing permission": Wrong(
        "whatsapp", "The access token lacks the permission whatsapp_business_messaging (10)", fault={"kind": "error", "error": "10"}
    ),
    "whatsapp, another number's id": Wrong(
        "whatsapp", "The phone number id does not exist, or the access token may not use it (100/33)",
        given={"phone_number_id": "1234567890"},
    ),
    "whatsapp, another app's secret": Wrong(
        "whatsapp",
        "The app secret is not that of the app which the access token belongs to; if webhooks come from that app too,"
        " none will be trusted: copy it from App settings, Basic",
        given={"app_secret": "f" * 32}, ok=True,
    ),
    "whatsapp, no app secret": Wrong(
        "whatsapp", "The app secret is missing; without it no webhook can be trusted", given={"app_secret": ""}
    ),
    "whatsapp, down": Wrong("whatsapp", "WhatsApp failed, error 1; try again in a few minutes", fault=DOWN),
}  # fmt: skip
UNREACHABLE = {
    "telegram": "Telegram could not be reached",
    "slack": "Slack could not be reached",
    "discord": "Discord could not be reached",
    "mattermost": "The Mattermost server could not be reached",
    "whatsapp": "WhatsApp could not be reached",
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def sim() -> AsyncGenerator[SimulatorClient]:
    async with running_simulator() as found:
        yield found


def own(platform: str) -> dict[str, str]:
    """Return a bot's credentials."""
    made = credentials(platform, "words")
    return made | {"team_id": "TOURS"} if platform == "slack" else made


async def check(origin: str, platform: str, given: Mapping[str, str]) -> CheckResult:
    async with httpx2.AsyncClient(trust_env=False) as http:
        adapter = Platforms(http, {platform: origin}).get(platform)
        return await adapter.check(ChannelContext("c", given), None)


class TestWords:
    @pytest.mark.parametrize("name", WRONG)
    async def test_say_what_is_wrong_and_what_to_do(self, sim: SimulatorClient, name: str) -> None:
        wrong = WRONG[name]
        await sim.reset(forget_channels=True)
        await sim.register(wrong.platform, wrong.platform, None, own(wrong.platform), **wrong.options)
        if wrong.fault:
            await sim.fault(
                str(wrong.fault["kind"]),
                platform=wrong.platform,
                **{k: v for k, v in wrong.fault.items() if k != "kind"},
            )
        found = await check(sim.origin, wrong.platform, own(wrong.platform) | dict(wrong.given))
        assert (found.ok, found.problems) == (wrong.ok, (wrong.words,))

    @pytest.mark.parametrize("platform", UNREACHABLE)
    async def test_nothing_is_wrong_where_nothing_is(self, sim: SimulatorClient, platform: str) -> None:
        await sim.reset(forget_channels=True)
        await sim.register(platform, platform, None, own(platform))
        found = await check(sim.origin, platform, own(platform))
        assert (found.ok, found.problems) == (True, ())

    @pytest.mark.parametrize("platform", UNREACHABLE)
    async def test_nobody_is_there(self, platform: str) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            found = await check(f"http://127.0.0.1:{taken.getsockname()[1]}", platform, own(platform))
        assert not found.ok
        [words] = found.problems
        assert words.startswith(UNREACHABLE[platform])

    def test_no_secret_is_in_any_of_them(self) -> None:
        public = {"team_id", "site_url"}
        for platform in UNREACHABLE:
            for secret in [value for name, value in own(platform).items() if name not in public]:
                assert not any(secret in wrong.words for wrong in WRONG.values())
