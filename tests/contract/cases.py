"""What the contract tests must know of each platform: its secrets, how it signs, and what its API answers.

A registered platform without a case here fails the suite: adding one means saying how it is tested.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from adapters.base import ChannelContext, WebhookRequest

NOW: Final = 1767225700.0
FIXTURES: Final = Path(__file__).parents[1] / "fixtures"
Headers = dict[str, list[str]]


@dataclass(frozen=True)
class PlatformCase:
    """One platform. `sign`: (body, credentials, time) -> headers. `signs_body`, `signs_time`: what the scheme covers."""

    credentials: Mapping[str, str]
    secret_name: str
    signature_header: str
    sign: Callable[[bytes, Mapping[str, str], float], Headers]
    identity: Mapping[str, str]
    accepted: Mapping[str, object]
    accepted_id: str
    signs_body: bool = True
    signs_time: bool = True

    def channel(
        self, identity: Mapping[str, str] | None = None, configuration: Mapping[str, object] | None = None
    ) -> ChannelContext:
        """Return a channel with this platform's secrets."""
        known = self.identity if identity is None else identity
        return ChannelContext("c", self.credentials, configuration or {}, known)

    def request(self, body: bytes, content_type: str = "application/json", at: float = NOW) -> WebhookRequest:
        """Return a request as the platform would send it."""
        headers = {"content-type": [content_type], **self.sign(body, self.credentials, at)}
        return WebhookRequest("POST", headers, {}, body, received_at=NOW)


def _telegram(_body: bytes, credentials: Mapping[str, str], _at: float) -> Headers:
    return {"x-telegram-bot-api-secret-token": [credentials["webhook_secret"]]}


def _slack(body: bytes, credentials: Mapping[str, str], at: float) -> Headers:
    timestamp = str(int(at))
    base = b"v0:" + timestamp.encode() + b":" + body
    digest = hmac.new(credentials["signing_secret"].encode(), base, hashlib.sha256).hexdigest()
    return {"x-slack-request-timestamp": [timestamp], "x-slack-signature": [f"v0={digest}"]}


CASES: Final[dict[str, PlatformCase]] = {
    "telegram": PlatformCase(
        credentials={"bot_token": "7000000001:AAtest-token", "webhook_secret": "Secret_token-1"},
        secret_name="webhook_secret",
        signature_header="x-telegram-bot-api-secret-token",
        sign=_telegram,
        identity={"id": "7000000001", "username": "powernode_bot"},
        accepted={"ok": True, "result": {"message_id": 77, "chat": {"id": 5001}}},
        accepted_id="77",
        signs_body=False,
        signs_time=False,
    ),
    "slack": PlatformCase(
        credentials={"bot_token": "xoxb-test", "signing_secret": "8f742231b10e8888abcd99yyyzzz85a5"},
        secret_name="signing_secret",
        signature_header="x-slack-signature",
        sign=_slack,
        identity={"user_id": "U0BOT", "bot_id": "B0BOT", "team_id": "T0TEAM"},
        accepted={"ok": True, "channel": "C1", "ts": "1767225600.000100"},
        accepted_id="1767225600.000100",
    ),
}


@dataclass(frozen=True)
class Fixture:
    """A recorded or written payload and what it must become."""

    platform: str
    name: str
    data: dict[str, Any]

    def request(self) -> WebhookRequest:
        """Return it as a signed request."""
        case = CASES[self.platform]
        if "form" in self.data:
            return case.request(urlencode(self.data["form"]).encode(), "application/x-www-form-urlencoded")
        return case.request(json.dumps(self.data["body"]).encode())

    def channel(self) -> ChannelContext:
        """Return the channel that it comes to."""
        return CASES[self.platform].channel(**self.data.get("channel", {}))


def fixtures() -> list[Fixture]:
    """Return all fixtures of all platforms."""
    return [
        Fixture(path.parent.name, path.stem, json.loads(path.read_text(encoding="utf-8")))
        for platform in sorted(CASES)
        for path in sorted((FIXTURES / platform).glob("*.json"))
    ]
