"""Discord through its interactions endpoint and REST API v10 (https://docs.discord.com/developers).

A send carries a nonce that Discord itself enforces for "the past few minutes" (*Create message*, `enforce_nonce`; no figure is
named, we count on two): a repeat gets the first message. Ordinary messages
come by the gateway only (connector.py); by HTTP come commands, buttons and forms. Mentions in what we send ring nobody.
"""

from __future__ import annotations

import hashlib
import string
from collections.abc import Mapping
from typing import Final, cast
from urllib.parse import quote, urlsplit

from adapters.base import (
    Accepted,
    CannotTell,
    Capabilities,
    ChannelContext,
    CheckResult,
    CredentialField,
    ErrorClass,
    Indication,
    LookupRequest,
    LookupResult,
    Media,
    ParsedWebhook,
    Refused,
    RenderedPart,
    SendRequest,
    SendResult,
    Unknown,
    WebhookRequest,
)
from adapters.http import Answer, Call, Outcome, call
from adapters.markdown import render_parts
from adapters.markdown.commonmark import REFERENCED
from adapters.platform.discord.api import api_base, authorization
from adapters.platform.discord.connector import DiscordGateway
from adapters.platform.discord.errors import result_of
from adapters.platform.discord.interactions import parse_body
from adapters.platform.discord.proof import verify_signature
from adapters.registry import Outside, register
from domain.channel import Platform
from domain.errors import InvalidInputError, UnavailableError
from domain.message import Attachment, ReplyAddress

__all__ = ["Discord", "DiscordGateway", "short_nonce"]

_DIGITS: Final = string.digits + string.ascii_letters
_NO_PREVIEWS: Final = 4
_FILE_MAX_BYTES: Final = 100 << 20
_FILE_HOSTS: Final = ("cdn.discordapp.com", "media.discordapp.net")
_READS_CONTENT: Final = (1 << 18) | (1 << 19)


@register("discord")
class Discord:
    """The adapter; see adapters/base.py for what each method promises."""

    platform = Platform("discord")
    capabilities = Capabilities(
        label="Discord",
        credentials=(
            CredentialField("bot_token", "Bot token", "discord.com/developers/applications, Bot, Reset token"),
            CredentialField("public_key", "Public key", "The same, General information", secret=False),
        ),
        text_limit=2000,
        text_unit="utf16",
        nonce_window_s=120,
        can_edit=True,
        registers_webhook=True,
    )

    def __init__(self, outside: Outside) -> None:
        self._http = outside.http
        self._base = api_base(outside)
        self._foreign_base = outside.api_base

    def verify(self, request: WebhookRequest, channel: ChannelContext, now: float) -> None:
        """Check the Ed25519 signature over time and raw body, at most five minutes old or early."""
        verify_signature(request, channel.credentials.get("public_key", ""), now)

    def parse(self, request: WebhookRequest, channel: ChannelContext) -> ParsedWebhook:
        """Read an interaction or a webhook event, with the answer that it wants at once."""
        return parse_body(request, channel)

    def render(self, markdown: str) -> list[RenderedPart]:
        """Render in Discord's Markdown."""
        return render_parts(markdown, REFERENCED, self.capabilities.text_limit)

    async def send(self, channel: ChannelContext, request: SendRequest) -> SendResult:
        """Post one part under its nonce. A message that vanished is no longer referred to, but answered."""
        body: dict[str, object] = {
            "content": request.part.plain if request.as_plain else request.part.body,
            "nonce": short_nonce(request.nonce),
            "enforce_nonce": True,
            "allowed_mentions": {"parse": [], "replied_user": False},
            "flags": _NO_PREVIEWS,
        }
        if request.address.message is not None:
            body["message_reference"] = {"message_id": request.address.message, "fail_if_not_exists": False}
        path = f"channels/{quote(request.address.chat, safe='')}/messages"
        answer = result_of(await self._call(channel, "POST", path, body, request))
        if not isinstance(answer, dict):
            return answer
        found = answer.get("id")
        return Accepted(found) if isinstance(found, str) and found else Unknown("Discord's answer names no message")

    async def lookup(self, channel: ChannelContext, request: LookupRequest) -> LookupResult:
        """A channel's history holds no nonces; within its memory the nonce itself makes a repeat safe."""
        return CannotTell("Discord's history holds no nonces")

    async def fetch_media(self, channel: ChannelContext, attachment: Attachment) -> Media:
        """Ask for the message again, which gives the file a fresh address, and download it without the token."""
        chat, _, rest = attachment.remote_ref.partition("/")
        message, _, file_id = rest.partition("/")
        path = f"channels/{quote(chat, safe='')}/messages/{quote(message, safe='')}"
        answer = result_of(await self._call(channel, "GET", path))
        if not isinstance(answer, dict):
            raise _media_error(answer)
        files = answer.get("attachments")
        listed = [_object(one) for one in cast("list[object]", files)] if isinstance(files, list) else []
        url = next((one.get("url") for one in listed if one.get("id") == file_id), None)
        if not isinstance(url, str) or not self._is_discords(url):
            raise InvalidInputError("Discord does not hand this file out; it may have been deleted")
        outcome = await call(self._http, Call(url, method="GET", timeout_s=60.0, max_bytes=_FILE_MAX_BYTES))
        if not isinstance(outcome, Answer) or outcome.status >= 500:
            raise UnavailableError("Discord's file could not be downloaded just now")
        if outcome.status != 200:
            raise InvalidInputError(f"Discord refused the file (HTTP {outcome.status})")
        return Media(outcome.body, attachment.mime_type or outcome.headers.get("content-type"), attachment.filename)

    async def indicate(self, channel: ChannelContext, address: ReplyAddress, indication: Indication) -> None:
        """Show "typing" for ten seconds; a bot has no read marks."""
        if indication is Indication.TYPING:
            await self._call(channel, "POST", f"channels/{quote(address.chat, safe='')}/typing", {}, timeout_s=5.0)

    async def check(self, channel: ChannelContext, webhook_url: str | None) -> CheckResult:
        """Ask who we are; with `webhook_url`, have interactions sent there (Discord tests it) and offer the command."""
        me = result_of(await self._call(channel, "GET", "users/@me"))
        app = result_of(await self._call(channel, "GET", "applications/@me")) if isinstance(me, dict) else me
        if not isinstance(me, dict) or not isinstance(app, dict):
            return CheckResult(ok=False, problems=(_words(app),))
        identity = {name: str(me[name]) for name in ("id", "username") if me.get(name)}
        identity["application_id"] = str(app.get("id", ""))
        wrong = _wrong_key(channel, app)
        if wrong is not None:
            return CheckResult(ok=False, identity=identity, problems=(wrong,))
        problems: list[str] = []
        flags = app.get("flags")
        if channel.configuration.get("transport") == "socket" and not (
            isinstance(flags, int) and flags & _READS_CONTENT
        ):
            problems.append("The bot cannot read messages in servers; turn on Bot, Message content intent")
        if webhook_url is not None:
            problems += await self._register(channel, identity["application_id"], webhook_url)
        return CheckResult(ok=True, identity=identity, problems=tuple(problems))

    async def _register(self, channel: ChannelContext, application: str, url: str) -> list[str]:
        """Set the address and offer one command. Both are idempotent: the same name overwrites itself."""
        answer = result_of(await self._call(channel, "PATCH", "applications/@me", {"interactions_endpoint_url": url}))
        if not isinstance(answer, dict):
            return [f"Discord did not take the interactions address: {_words(answer)}"]
        name = str(channel.configuration.get("command") or "ask")
        question = {"name": "question", "description": "What would you like to know?", "type": 3, "required": True}
        command = {"name": name, "description": "Ask us", "type": 1, "options": [question]}
        path = f"applications/{quote(application, safe='')}/commands"
        answer = result_of(await self._call(channel, "POST", path, command))
        return [] if isinstance(answer, dict) else [f"The command /{name} was not offered: {_words(answer)}"]

    def _is_discords(self, url: str) -> bool:
        try:
            parts = urlsplit(url)
        except ValueError:
            return False
        if self._foreign_base is not None:
            return url.startswith(f"{self._foreign_base.rstrip('/')}/")
        return parts.scheme == "https" and parts.netloc in _FILE_HOSTS

    async def _call(
        self,
        channel: ChannelContext,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        request: SendRequest | None = None,
        *,
        timeout_s: float = 15.0,
    ) -> Outcome:
        return await call(
            self._http,
            Call(
                f"{self._base}/{path}",
                method=method,
                json_body=body,
                headers=authorization(channel),
                timeout_s=request.timeout_s if request else timeout_s,
                before_write=request.before_write if request else None,
            ),
        )


def short_nonce(nonce: str) -> str:
    """Return a nonce that fits Discord's 25 characters, always the same for the same part."""
    number = int.from_bytes(hashlib.sha256(nonce.encode()).digest()[:16])
    found = ""
    for _ in range(22):
        number, digit = divmod(number, 62)
        found += _DIGITS[digit]
    return found


def _wrong_key(channel: ChannelContext, app: Mapping[str, object]) -> str | None:
    given = channel.credentials.get("public_key", "")
    if not given:
        return "The public key is missing; without it no interaction can be trusted"
    if app.get("verify_key") != given:
        return "The public key is not this application's; copy it from General information, 64 small digits"
    return None


def _object(value: object) -> dict[str, object]:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def _words(result: object) -> str:
    if isinstance(result, Refused):
        return f"{result.message} ({result.code})"
    return result.reason if isinstance(result, Unknown) else ""


def _media_error(result: SendResult) -> InvalidInputError | UnavailableError:
    if isinstance(result, Refused) and result.error_class not in {ErrorClass.TRANSIENT, ErrorClass.RATE_LIMITED}:
        return InvalidInputError(_words(result))
    return UnavailableError("Discord's file could not be found just now")
