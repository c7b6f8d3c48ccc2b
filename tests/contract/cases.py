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
    """One platform. `sign`: (body, credentials, time) -> headers. `signs_body`, `signs_time`: what the scheme covers.

    `text_at`: where a sent body holds the text.
    """

    credentials: Mapping[str, str]
    secret_name: str
    signature_header: str
    sign: Callable[[bytes, Mapping[str, str], float], Headers]
    identity: Mapping[str, str]
    accepted: Mapping[str, object]
    accepted_id: str
    token_name: str = "bot_token"
    text_at: tuple[str, ...] = ("text",)
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


def _whatsapp(body: bytes, credentials: Mapping[str, str], _at: float) -> Headers:
    digest = hmac.new(credentials["app_secret"].encode(), body, hashlib.sha256).hexdigest()
    return {"x-hub-signature-256": [f"sha256={digest}"]}


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
    "whatsapp": PlatformCase(
        credentials={
            "access_token": "EAAtest",
            "app_secret": "0123456789abcdef0123456789abcdef",
            "phone_number_id": "106540352242922",
            "verify_token": "my-verify-token",
        },
        secret_name="app_secret",
        signature_header="x-hub-signature-256",
        sign=_whatsapp,
        identity={"id": "106540352242922", "display_phone_number": "+1 555-078-3881"},
        accepted={"messaging_product": "whatsapp", "contacts": [], "messages": [{"id": "wamid.OUT1"}]},
        accepted_id="wamid.OUT1",
        token_name="access_token",
        text_at=("text", "body"),
        signs_time=False,
    ),
}


@dataclass(frozen=True)
class Fixture:
    """A recorded or written payload and what it must become."""

    platform: str
    name: str
    data: dict[str, Any]

    def request(self) -> WebhookRequest:
        """Return it as a signed request; one with a query only is a handshake by GET."""
        case = CASES[self.platform]
        if "query" in self.data:
            return WebhookRequest("GET", {}, self.data["query"], b"", received_at=NOW)
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
