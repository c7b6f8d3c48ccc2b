"""Discord through its interactions endpoint and REST API v10 (https://docs.discord.com/developers).

A send carries a nonce that Discord itself enforces for "the past few minutes" (*Create message*, `enforce_nonce`; no figure is
named, we count on two): a repeat gets the first message. Ordinary messages
come by the gateway only (connector.py); by HTTP come commands, buttons and forms. Mentions in what we send ring nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast
from urllib.parse import quote, urlsplit

from adapters.base import (
    Accepted,
    CannotTell,
    ChannelContext,
    CheckResult,
    EditRequest,
    ErrorClass,
    Indication,
    LookupRequest,
    LookupResult,
    MediaSource,
    ParsedWebhook,
    Refused,
    RenderedPart,
    SendRequest,
    SendResult,
    Unknown,
    WebhookRequest,
)
from adapters.capabilities import Capabilities, CredentialField
from adapters.http import Answer, Call, Form, Outcome, call
from adapters.markdown import render_parts
from adapters.markdown.commonmark import REFERENCED
from adapters.platform.discord.api import api_base, authorization
from adapters.platform.discord.connector import DiscordGateway
from adapters.platform.discord.edits import RULES, deleted, edit_body, edited, pause_s, preview_in
from adapters.platform.discord.errors import result_of
from adapters.platform.discord.interactions import parse_body
from adapters.platform.discord.proof import verify_signature
from adapters.platform.discord.sending import OUTBOUND, form_of, message_body, reaction_path, short_nonce
from adapters.registry import Outside, register
from adapters.uploads import NO_BYTES
from domain.channel import Platform
from domain.errors import InvalidInputError, UnavailableError
from domain.message import Attachment, ReplyAddress, Sender
from domain.outbound import FilePart, Reaction

__all__ = ["Discord", "DiscordGateway", "short_nonce"]

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
        send_rules=RULES,
        edits_apart=True,
        preview=preview_in,
        registers_webhook=True,
        outbound=OUTBOUND,
        typing_s=8.0,
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

    def render(self, markdown: str, limit: int | None = None) -> list[RenderedPart]:
        """Render in Discord's Markdown."""
        return render_parts(markdown, REFERENCED, limit or self.capabilities.text_limit)

    async def send(self, channel: ChannelContext, request: SendRequest) -> SendResult:
        """Post one part under its nonce, with its file in one form; a reaction is put, which is idempotent by itself."""
        payload = request.part.payload
        if isinstance(payload, Reaction):
            path = reaction_path(request, payload)
            outcome = await self._call(channel, "PUT", path, request=request)
            done = isinstance(outcome, Answer) and outcome.status == 204
            return Accepted(f"reaction:{payload.message}") if done else _refused(outcome)
        if isinstance(payload, FilePart) and request.file is None:
            return NO_BYTES
        body = message_body(request)
        path = f"channels/{quote(request.address.chat, safe='')}/messages"
        outcome = await self._call(channel, "POST", path, body, request, form=form_of(request, body))
        answer = result_of(outcome)
        if not isinstance(answer, dict):
            return answer
        found = answer.get("id")
        if not isinstance(found, str) or not found:
            return Unknown("Discord's answer names no message")
        return Accepted(found, pause_s(outcome))

    async def edit(self, channel: ChannelContext, request: EditRequest) -> SendResult:
        """Change a text."""
        path = _message_path(request.address, request.message_id)
        return edited(await self._call(channel, "PATCH", path, edit_body(request), request), request.message_id)

    async def delete(self, channel: ChannelContext, address: ReplyAddress, message_id: str) -> SendResult:
        """Delete a message."""
        return deleted(await self._call(channel, "DELETE", _message_path(address, message_id)), message_id)

    async def lookup(self, channel: ChannelContext, request: LookupRequest) -> LookupResult:
        """A channel's history holds no nonces; within its memory the nonce itself makes a repeat safe."""
        return CannotTell("Discord's history holds no nonces")

    async def locate_media(self, channel: ChannelContext, attachment: Attachment) -> MediaSource:
        """Ask for the message again, which gives the file a fresh address; it takes no token."""
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
        return MediaSource(url, {}, attachment.mime_type, attachment.filename)

    async def indicate(self, channel: ChannelContext, address: ReplyAddress, indication: Indication) -> None:
        """Show "typing" for ten seconds; a bot has no read marks."""
        if indication is Indication.TYPING:
            await self._call(channel, "POST", f"channels/{quote(address.chat, safe='')}/typing", {}, timeout_s=5.0)

    async def profile(self, channel: ChannelContext, person: str) -> Sender | None:
        """Every message says its author's name, as far as anybody is told."""
        return None

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
        if not (isinstance(flags, int) and flags & _READS_CONTENT):
            # The gateway is always listened to, and refuses a bot that asks for what it may not have (4014).
            problems.append(
                "The bot may not read messages; turn on Bot, Message content intent in the developer portal"
            )
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
        request: SendRequest | EditRequest | None = None,
        *,
        timeout_s: float = 15.0,
        form: Form | None = None,
    ) -> Outcome:
        return await call(
            self._http,
            Call(
                f"{self._base}/{path}",
                method=method,
                json_body=body,
                form=form,
                headers=authorization(channel),
                timeout_s=request.timeout_s if request else timeout_s,
                before_write=request.before_write if request else None,
            ),
        )


def _refused(outcome: Outcome) -> SendResult:
    answer = result_of(outcome)
    return Unknown("Discord's answer says nothing") if isinstance(answer, dict) else answer


def _message_path(address: ReplyAddress, message_id: str) -> str:
    return f"channels/{quote(address.chat, safe='')}/messages/{quote(message_id, safe='')}"


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
    return f"{result.reason}; try again in a few minutes" if isinstance(result, Unknown) else ""


def _media_error(result: SendResult) -> InvalidInputError | UnavailableError:
    if isinstance(result, Refused) and result.error_class not in {ErrorClass.TRANSIENT, ErrorClass.RATE_LIMITED}:
        return InvalidInputError(_words(result))
    return UnavailableError("Discord's file could not be found just now")
