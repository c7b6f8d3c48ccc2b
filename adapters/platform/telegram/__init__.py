"""Telegram through the Bot API and its webhooks, or by polling (https://core.telegram.org/bots/api; polling.py).

Telegram has no idempotency key and no way to read back: a send whose answer was lost stays unknown.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping
from typing import Final, cast
from urllib.parse import quote

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
from adapters.http import Answer, Call, Outcome, call
from adapters.markdown import render_parts
from adapters.markdown.html import HTML
from adapters.platform.telegram.edits import (
    RULES,
    delete_payload,
    deleted,
    draft_payload,
    drafted,
    edit_payload,
    edited,
    preview_in,
)
from adapters.platform.telegram.errors import parameter, result_of
from adapters.platform.telegram.methods import UPDATES, api_base, method_url, token_of
from adapters.platform.telegram.parsing import parse_update
from adapters.platform.telegram.polling import TelegramPolling
from adapters.platform.telegram.sending import OUTBOUND, Sending, form_of, number, sending_of
from adapters.registry import Outside, register
from adapters.uploads import NO_BYTES
from domain.channel import Platform
from domain.errors import InvalidInputError, SignatureError, UnavailableError
from domain.message import Attachment, ReplyAddress, Sender
from domain.outbound import Reaction

__all__ = ["Telegram", "TelegramPolling"]

_SECRET_HEADER: Final = "x-telegram-bot-api-secret-token"  # noqa: S105 - a header's name


@register("telegram")
class Telegram:
    """The adapter; see adapters/base.py for what each method promises."""

    platform = Platform("telegram")
    capabilities = Capabilities(
        label="Telegram",
        credentials=(
            CredentialField("bot_token", "Bot token", "@BotFather, /newbot or /token"),
            CredentialField(
                "webhook_secret",
                "Webhook secret",
                "Your own choice: 1 to 256 of A-Z a-z 0-9 _ -; made up if not given. Telegram repeats it with every update",
                made_up=True,
            ),
        ),
        text_limit=4096,
        text_unit="utf16",
        can_edit=True,
        send_rules=RULES,
        preview=preview_in,
        registers_webhook=True,
        outbound=OUTBOUND,
        typing_s=4.0,
    )

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        self._http = outside.http

    def verify(self, request: WebhookRequest, channel: ChannelContext, now: float) -> None:
        """Compare the secret header; the scheme has neither a signature nor a time."""
        expected = channel.credentials.get("webhook_secret", "")
        given = request.header(_SECRET_HEADER)
        if not expected:
            raise SignatureError("the channel has no webhook secret, so nothing can be verified")
        if given is None or not hmac.compare_digest(_encoded(given), _encoded(expected)):
            raise SignatureError("the secret token is missing, repeated or wrong")

    def parse(self, request: WebhookRequest, channel: ChannelContext) -> ParsedWebhook:
        """Read one update."""
        return parse_update(request, channel)

    def render(self, markdown: str, limit: int | None = None) -> list[RenderedPart]:
        """Render in Telegram's HTML subset."""
        return render_parts(markdown, HTML, limit or self.capabilities.text_limit)

    async def send(self, channel: ChannelContext, request: SendRequest) -> SendResult:
        """Send one part; a moved group and a vanished topic are corrected once, inside the same claim."""
        if request.as_draft:
            return drafted(
                await self._call(channel, "sendMessageDraft", draft_payload(request), request, request.timeout_s)
            )
        sending = sending_of(request)
        if sending.file_field is not None and request.file is None:
            return NO_BYTES
        deadline = time.monotonic() + request.timeout_s
        outcome = await self._call(channel, sending.method, sending.fields, request, request.timeout_s, sending=sending)
        corrected = _corrected(sending.fields, outcome)
        if corrected is not None:
            left_s = deadline - time.monotonic()
            outcome = await self._call(channel, sending.method, corrected, request, left_s, sending=sending)
        return _sent(outcome, request)

    async def edit(self, channel: ChannelContext, request: EditRequest) -> SendResult:
        """Change a text."""
        outcome = await self._call(channel, "editMessageText", edit_payload(request), request, request.timeout_s)
        return edited(outcome, request.message_id)

    async def delete(self, channel: ChannelContext, address: ReplyAddress, message_id: str) -> SendResult:
        """Delete a message of the last two days."""
        return deleted(await self._call(channel, "deleteMessage", delete_payload(address, message_id)), message_id)

    async def lookup(self, channel: ChannelContext, request: LookupRequest) -> LookupResult:
        """Bots cannot read a chat's history."""
        return CannotTell("Telegram offers bots no way to look up what they sent")

    async def locate_media(self, channel: ChannelContext, attachment: Attachment) -> MediaSource:
        """Ask for the file's path, which is good for an hour. The address holds the token."""
        found = _result(await self._call(channel, "getFile", {"file_id": attachment.remote_ref}))
        path = found.get("file_path")
        if not isinstance(path, str):
            raise InvalidInputError("Telegram does not hand this file out; it may be over 20 MB")
        url = f"{api_base(self._outside)}/file/bot{token_of(channel)}/{quote(path)}"
        return MediaSource(url, {}, attachment.mime_type, attachment.filename)

    async def indicate(self, channel: ChannelContext, address: ReplyAddress, indication: Indication) -> None:
        """Show "typing" for five seconds; there are no read marks for bots."""
        if indication is Indication.TYPING:
            payload: dict[str, object] = {"chat_id": number(address.chat), "action": "typing"}
            if address.thread is not None:
                payload["message_thread_id"] = number(address.thread)
            await self._call(channel, "sendChatAction", payload, timeout_s=5.0)

    async def profile(self, channel: ChannelContext, person: str) -> Sender | None:
        """Every message says its author's name, as far as anybody is told."""
        return None

    async def check(self, channel: ChannelContext, webhook_url: str | None) -> CheckResult:
        """Ask who we are and, with `webhook_url`, have updates sent there."""
        answer = result_of(await self._call(channel, "getMe", {}))
        if not isinstance(answer, dict):
            return CheckResult(ok=False, problems=(_words(answer),))
        me = _fields(answer)
        identity = {name: str(me[name]) for name in ("id", "username", "first_name") if me.get(name) is not None}
        warnings: list[str] = []
        if channel.configuration.get("groups") == "all" and me.get("can_read_all_group_messages") is False:
            warnings.append(
                "Privacy mode hides most group messages from the bot; turn it off with @BotFather, /setprivacy"
            )
        if webhook_url is None:
            return CheckResult(ok=True, identity=identity, problems=tuple(warnings))
        refusal, info = await self._register_webhook(channel, webhook_url)
        if refusal is not None:
            return CheckResult(ok=False, identity=identity, problems=(refusal, *warnings))
        if info.get("last_error_message"):
            waiting = info.get("pending_update_count", 0)
            warnings.append(f"Telegram's last delivery failed: {info['last_error_message']} ({waiting} updates wait)")
        return CheckResult(ok=True, identity=identity, problems=tuple(warnings))

    async def _register_webhook(self, channel: ChannelContext, url: str) -> tuple[str | None, dict[str, object]]:
        """Register and read back. Returns what went wrong, if anything, and the webhook's state."""
        secret = channel.credentials.get("webhook_secret", "")
        if not secret:
            return "The webhook secret is missing; without it no update can be trusted", {}
        payload = {"url": url, "secret_token": secret, "allowed_updates": list(UPDATES), "max_connections": 40}
        answer = result_of(await self._call(channel, "setWebhook", payload))
        if not isinstance(answer, dict):
            return f"The webhook was not registered: {_words(answer)}", {}
        answer = result_of(await self._call(channel, "getWebhookInfo", {}))
        if not isinstance(answer, dict):
            return f"The webhook's state is not known: {_words(answer)}", {}
        info = _fields(answer)
        if info.get("url") != url:
            return "Telegram sends updates to another address; another program registered one", info
        return None, info

    async def _call(
        self,
        channel: ChannelContext,
        method: str,
        payload: Mapping[str, object],
        request: SendRequest | EditRequest | None = None,
        timeout_s: float = 15.0,
        *,
        sending: Sending | None = None,
    ) -> Outcome:
        url = method_url(self._outside, channel, method)
        before_write = request.before_write if request else None
        form = form_of(sending, request, payload) if sending and isinstance(request, SendRequest) else None
        return await call(
            self._http,
            Call(url, json_body=payload, form=form, timeout_s=max(timeout_s, 0.001), before_write=before_write),
        )


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _corrected(payload: dict[str, object], outcome: Outcome) -> dict[str, object] | None:
    """Return what to send instead; None where the refusal is final or there was none. Nothing was posted yet."""
    if not isinstance(outcome, Answer) or outcome.status != 400:
        return None
    answer = outcome.json_object()
    moved_to = parameter(answer, "migrate_to_chat_id")
    description = str(answer.get("description", "")).lower()
    if moved_to is not None and payload["chat_id"] != moved_to:
        return payload | {"chat_id": moved_to}
    if "message thread not found" in description and "message_thread_id" in payload:
        return {name: value for name, value in payload.items() if name != "message_thread_id"}
    if "message to be replied not found" in description and "reply_parameters" in payload:
        return {name: value for name, value in payload.items() if name != "reply_parameters"}
    return None


def _sent(outcome: Outcome, request: SendRequest) -> SendResult:
    answer = result_of(outcome)
    if not isinstance(answer, dict):
        return answer
    if isinstance(request.part.payload, Reaction):
        return Accepted(f"reaction:{request.part.payload.message}")
    message_id = _fields(answer).get("message_id")
    return Accepted(str(message_id)) if isinstance(message_id, int) else Unknown("Telegram's answer names no message")


def _fields(answer: dict[str, object]) -> dict[str, object]:
    result = answer["result"]
    return cast("dict[str, object]", result) if isinstance(result, dict) else {}


def _result(outcome: Outcome) -> dict[str, object]:
    answer = result_of(outcome)
    if isinstance(answer, dict):
        return _fields(answer)
    if isinstance(answer, Refused) and answer.error_class not in {ErrorClass.TRANSIENT, ErrorClass.RATE_LIMITED}:
        raise InvalidInputError(f"{answer.message} ({answer.code})")
    raise UnavailableError(_words(answer))


def _words(result: SendResult) -> str:
    if isinstance(result, Refused):
        return f"{result.message} ({result.code})"
    return f"{result.reason}; try again in a few minutes" if isinstance(result, Unknown) else ""
