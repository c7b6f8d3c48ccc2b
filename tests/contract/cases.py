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

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from adapters.base import ChannelContext, ParsedWebhook, PlatformAdapter, WebhookRequest
from adapters.platform.discord import frames as discord_frames
from adapters.platform.mattermost import frames as mattermost_frames
from domain.message import InboundEvent

NOW: Final = 1767225700.0
FIXTURES: Final = Path(__file__).parents[1] / "fixtures"
Headers = dict[str, list[str]]


def _unsealed(body: bytes, _credentials: Mapping[str, str], _content_type: str) -> bytes:
    return body


@dataclass(frozen=True)
class PlatformCase:
    """One platform. `sign`: (body, credentials, time) -> headers. `signs_body`, `signs_time`: what the scheme covers.

    `text_at`: where a sent body holds the text. `signature_header`: None where the proof is in the body, put there by
    `seal`. `read_frame`: reads what comes by a socket, where there is one.
    """

    credentials: Mapping[str, str]
    secret_name: str
    signature_header: str | None
    sign: Callable[[bytes, Mapping[str, str], float], Headers]
    identity: Mapping[str, str]
    accepted: Mapping[str, object]
    accepted_id: str
    token_name: str = "bot_token"
    text_at: tuple[str, ...] = ("text",)
    signs_body: bool = True
    signs_time: bool = True
    seal: Callable[[bytes, Mapping[str, str], str], bytes] = _unsealed
    read_frame: Callable[[bytes, ChannelContext, float], tuple[InboundEvent, ...]] | None = None

    def channel(
        self, identity: Mapping[str, str] | None = None, configuration: Mapping[str, object] | None = None
    ) -> ChannelContext:
        """Return a channel with this platform's secrets."""
        known = self.identity if identity is None else identity
        return ChannelContext("c", self.credentials, configuration or {}, known)

    def request(self, body: bytes, content_type: str = "application/json", at: float = NOW) -> WebhookRequest:
        """Return a request as the platform would send it."""
        body = self.seal(body, self.credentials, content_type)
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


def _mattermost(_body: bytes, _credentials: Mapping[str, str], _at: float) -> Headers:
    return {}


def _with_token(body: bytes, credentials: Mapping[str, str], content_type: str) -> bytes:
    """Put the token into a body, where it is one that can hold it."""
    token = credentials["webhook_token"]
    if "form" in content_type:
        return body + (b"&" if body else b"") + urlencode({"token": token}).encode()
    try:
        fields: object = json.loads(body)
    except (ValueError, RecursionError):
        return body
    return json.dumps({**fields, "token": token}).encode() if isinstance(fields, dict) else body


_DISCORD_KEY: Final = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"the application's own").digest())


def _discord(body: bytes, credentials: Mapping[str, str], at: float) -> Headers:
    """Sign as the application whose public key it is; for any other key, with some other private one."""
    public = credentials["public_key"]
    ours = public == _DISCORD_KEY.public_key().public_bytes_raw().hex()
    key = _DISCORD_KEY if ours else Ed25519PrivateKey.from_private_bytes(hashlib.sha256(public.encode()).digest())
    timestamp = str(int(at))
    signature = key.sign(timestamp.encode() + body).hex()
    return {"x-signature-timestamp": [timestamp], "x-signature-ed25519": [signature]}


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
    "discord": PlatformCase(
        credentials={
            "bot_token": "MTIz.test.token",
            "public_key": _DISCORD_KEY.public_key().public_bytes_raw().hex(),
        },
        secret_name="public_key",
        signature_header="x-signature-ed25519",
        sign=_discord,
        identity={"id": "900000000000000001", "username": "powernode", "application_id": "900000000000000001"},
        accepted={"id": "1456000000000000009", "channel_id": "5001", "content": "hi", "nonce": "x"},
        accepted_id="1456000000000000009",
        text_at=("content",),
        read_frame=discord_frames.read_frame,
    ),
    "mattermost": PlatformCase(
        credentials={
            "site_url": "https://chat.example.org",
            "bot_token": "bottoken",
            "webhook_token": "xr3j5x3p4pfk7kk6ck7b4e6ghh",
            "command_token": "gebxkz4gxtd9jx4ogh7w6hr7qy",
        },
        secret_name="webhook_token",
        signature_header=None,
        sign=_mattermost,
        identity={"id": "ourbotid000000000000000000", "username": "powernode"},
        accepted={"id": "postid00000000000000000001", "message": "hi"},
        accepted_id="postid00000000000000000001",
        text_at=("message",),
        signs_body=False,
        signs_time=False,
        seal=_with_token,
        read_frame=mattermost_frames.read_frame,
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
        if "frame" in self.data:
            return WebhookRequest("POST", {}, {}, json.dumps(self.data["frame"]).encode(), received_at=NOW)
        if "form" in self.data:
            return case.request(urlencode(self.data["form"]).encode(), "application/x-www-form-urlencoded")
        return case.request(json.dumps(self.data["body"]).encode())

    def read(self, adapter: PlatformAdapter) -> ParsedWebhook:
        """Return what comes of it, by whichever road it comes."""
        read_frame = CASES[self.platform].read_frame
        if "frame" not in self.data or read_frame is None:
            return adapter.parse(self.request(), self.channel())
        return ParsedWebhook(events=read_frame(self.request().body, self.channel(), NOW))

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
