"""Slack through the Events API, slash commands, interactivity and the Web API (https://docs.slack.dev).

Events that are not answered 2xx within 3 s come again nearly at once, after 1 and after 5 min; where fewer than 5 % are answered
in an hour, Slack may stop sending (https://docs.slack.dev/apis/events-api, but not to apps with fewer than 1,000 an hour). A text
over 40,000 characters is cut off without a word (changelog of April 2018, "truncating really long messages"); we stay below 4,000.

Slack has no idempotency key to rely on; each part carries its nonce as message metadata, by which a send whose answer
was lost is looked up in the conversation's history.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Final, NoReturn, cast
from urllib.parse import urlsplit

from adapters.base import (
    Absent,
    Accepted,
    CannotTell,
    ChannelContext,
    CheckResult,
    EditRequest,
    ErrorClass,
    Found,
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
from adapters.http import Call, Outcome, call
from adapters.markdown import render_parts
from adapters.markdown.mrkdwn import MRKDWN
from adapters.platform.slack.edits import RULES, deleted, edit_payload, edited, preview_in
from adapters.platform.slack.errors import result_of
from adapters.platform.slack.files import find_file, send_file
from adapters.platform.slack.parsing import parse_body
from adapters.platform.slack.profiles import read_person
from adapters.platform.slack.reading import missing_scopes, next_cursor, object_of, with_nonce
from adapters.platform.slack.sending import OUTBOUND, emoji_name, message_body
from adapters.platform.slack.socket_mode import SlackSocketMode
from adapters.registry import Outside, register
from domain.channel import Platform
from domain.errors import InvalidInputError, SignatureError, UnavailableError
from domain.message import Attachment, ReplyAddress, Sender
from domain.outbound import FilePart, Reaction

__all__ = ["Slack", "SlackSocketMode"]

_REPLAY_WINDOW_S: Final = 300
_TIMESTAMP: Final = re.compile(r"\d{1,12}", re.ASCII)
_LOOKUP_BACK_S: Final = 60
_LOOKUP_PAGES: Final = 5


@register("slack")
class Slack:
    """The adapter; see adapters/base.py for what each method promises."""

    platform = Platform("slack")
    capabilities = Capabilities(
        names_apart=True,
        label="Slack",
        credentials=(
            CredentialField("bot_token", "Bot token", "api.slack.com/apps, OAuth & Permissions; it starts with xoxb-"),
            CredentialField("signing_secret", "Signing secret", "api.slack.com/apps, Basic Information"),
            CredentialField(
                "app_token",
                "App-level token",
                "The same, App-Level Tokens, scope connections:write; for Socket Mode only; it starts with xapp-",
                required=False,
                transport="socket_mode",
            ),
            CredentialField("team_id", "Workspace id", "It starts with T", secret=False, required=False),
        ),
        text_limit=4000,
        text_unit="characters",
        can_look_up=True,
        can_edit=True,
        send_rules=RULES,
        edits_apart=True,
        preview=preview_in,
        preview_every_s=1.3,
        outbound=OUTBOUND,
    )

    def __init__(self, outside: Outside) -> None:
        self._http = outside.http
        self._base = (outside.api_base or "https://slack.com").rstrip("/")
        self._foreign_base = outside.api_base is not None

    def verify(self, request: WebhookRequest, channel: ChannelContext, now: float) -> None:
        """Check the v0 signature over the raw body, and that it is at most five minutes old or early."""
        secret = channel.credentials.get("signing_secret", "")
        timestamp, signature = request.header("x-slack-request-timestamp"), request.header("x-slack-signature")
        if not secret:
            raise SignatureError("the channel has no signing secret, so nothing can be verified")
        if timestamp is None or signature is None:
            raise SignatureError("the signature or its time is missing or repeated")
        if not _TIMESTAMP.fullmatch(timestamp) or abs(now - int(timestamp)) > _REPLAY_WINDOW_S:
            raise SignatureError("the signature's time is not within five minutes of ours")
        base = b"v0:" + timestamp.encode() + b":" + request.body
        expected = "v0=" + hmac.new(secret.encode("utf-8", "surrogatepass"), base, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(signature.encode("utf-8", "surrogatepass"), expected.encode()):
            raise SignatureError("the signature does not match")

    def parse(self, request: WebhookRequest, channel: ChannelContext) -> ParsedWebhook:
        """Read a body of any of Slack's kinds."""
        return parse_body(request, channel)

    def render(self, markdown: str, limit: int | None = None) -> list[RenderedPart]:
        """Render in mrkdwn."""
        return render_parts(markdown, MRKDWN, limit or self.capabilities.text_limit)

    async def send(self, channel: ChannelContext, request: SendRequest) -> SendResult:
        """Post one part, with its nonce as metadata; a file by an upload, a reaction by its name."""
        payload = request.part.payload
        if isinstance(payload, FilePart):
            return await send_file(
                self._http,
                request,
                lambda method, params: self._read(channel, method, params),
                lambda method, body: self._call(channel, method, body, request),
                self._is_ours,
            )
        if isinstance(payload, Reaction):
            return await self._react(channel, request, payload)
        answer = result_of(await self._call(channel, "chat.postMessage", message_body(request), request))
        if not isinstance(answer, dict):
            return answer
        ts = answer.get("ts")
        return Accepted(ts) if isinstance(ts, str) else Unknown("Slack's answer names no message")

    async def _react(self, channel: ChannelContext, request: SendRequest, reaction: Reaction) -> SendResult:
        name, accepted = emoji_name(reaction.emoji), Accepted(f"reaction:{reaction.message}")
        if name is None:
            words = "Slack names its emoji, and we do not know this one's; write it as :name:"
            return Refused(ErrorClass.PERMANENT, "unknown_emoji", words)
        body = {"channel": request.address.chat, "timestamp": reaction.message, "name": name}
        answer = result_of(await self._call(channel, "reactions.add", body, request))
        repeated = isinstance(answer, Refused) and answer.code == "already_reacted"
        return accepted if repeated or isinstance(answer, dict) else answer

    async def edit(self, channel: ChannelContext, request: EditRequest) -> SendResult:
        """Change a text; its nonce stays with it."""
        return edited(await self._call(channel, "chat.update", edit_payload(request), request), request.message_id)

    async def delete(self, channel: ChannelContext, address: ReplyAddress, message_id: str) -> SendResult:
        """Delete a message."""
        payload = {"channel": address.chat, "ts": message_id}
        return deleted(await self._call(channel, "chat.delete", payload), message_id)

    async def lookup(self, channel: ChannelContext, request: LookupRequest) -> LookupResult:
        """Read the conversation back and look for the nonce; of a file, ask where it was shared."""
        if request.upload_ref is not None:
            return await find_file(
                lambda method, params: self._read(channel, method, params), request.upload_ref, request.address.chat
            )
        method = "conversations.replies" if request.address.thread else "conversations.history"
        params = {
            "channel": request.address.chat,
            "oldest": f"{request.sent_after.timestamp() - _LOOKUP_BACK_S:.6f}",
            "include_all_metadata": "true",
            "inclusive": "true",
            "limit": "200",
        }
        if request.address.thread:
            params["ts"] = request.address.thread
        for _ in range(_LOOKUP_PAGES):
            answer = result_of(await self._read(channel, method, params))
            if not isinstance(answer, dict):
                return _cannot_tell(answer)
            messages = answer.get("messages")
            if not isinstance(messages, list):
                return CannotTell("Slack's answer holds no messages")
            found = with_nonce(cast("list[object]", messages), request.nonce)
            if found is not None:
                return Found(found)
            cursor = next_cursor(answer)
            if not cursor:
                return CannotTell("Slack holds back a page") if answer.get("has_more") is True else Absent()
            params = params | {"cursor": cursor}
        return CannotTell("the conversation is too long to be searched")

    async def locate_media(self, channel: ChannelContext, attachment: Attachment) -> MediaSource:
        """Ask for the file's address, on Slack's own hosts only: it takes the bot's token, with the scope files:read."""
        answer = result_of(await self._read(channel, "files.info", {"file": attachment.remote_ref}))
        if not isinstance(answer, dict):
            _raise_for(answer)
        file = object_of(answer.get("file"))
        url = file.get("url_private_download") or file.get("url_private")
        if not isinstance(url, str) or not self._is_ours(url):
            raise InvalidInputError("Slack does not hand this file out")
        login = "Slack sends to its login page instead of the file; the app may lack the scope files:read"
        return MediaSource(url, _bearer(channel), attachment.mime_type, attachment.filename, moved_means=login)

    async def indicate(self, channel: ChannelContext, address: ReplyAddress, indication: Indication) -> None:
        """Bots can show neither typing nor reading in ordinary conversations."""

    async def profile(self, channel: ChannelContext, person: str) -> Sender | None:
        """Ask for a name; it takes the scope users:read."""
        return read_person(result_of(await self._read(channel, "users.info", {"user": person})), person)

    async def check(self, channel: ChannelContext, webhook_url: str | None) -> CheckResult:
        """Ask who we are. The webhook's address is entered by hand: Slack has no call for it."""
        outcome = await self._call(channel, "auth.test", {})
        answer = result_of(outcome)
        if not isinstance(answer, dict):
            unclear = f"{_reason(answer)}; try again in a few minutes"
            words = f"{answer.message} ({answer.code})" if isinstance(answer, Refused) else unclear
            return CheckResult(ok=False, problems=(words,))
        identity = {name: str(answer[name]) for name in ("user_id", "bot_id", "team_id", "team") if answer.get(name)}
        problems = missing_scopes(outcome)
        expected_team = channel.credentials.get("team_id")
        ok = True
        if expected_team and identity.get("team_id") != expected_team:
            ok, problems = False, [f"The token belongs to workspace {identity.get('team_id')}", *problems]
        if not channel.credentials.get("signing_secret"):
            ok, problems = False, ["The signing secret is missing; without it no event can be trusted", *problems]
        return CheckResult(ok=ok, identity=identity, problems=tuple(problems))

    def _is_ours(self, url: str) -> bool:
        try:
            parts, base = urlsplit(url), urlsplit(self._base)
        except ValueError:
            return False
        if self._foreign_base:
            return (parts.scheme, parts.netloc) == (base.scheme, base.netloc)
        return parts.scheme == "https" and (parts.hostname or "").endswith((".slack.com", ".slack-edge.com"))

    async def _call(
        self,
        channel: ChannelContext,
        method: str,
        payload: Mapping[str, object],
        request: SendRequest | EditRequest | None = None,
    ) -> Outcome:
        return await call(
            self._http,
            Call(
                f"{self._base}/api/{method}",
                json_body=payload,
                headers=_bearer(channel),
                timeout_s=request.timeout_s if request else 15.0,
                before_write=request.before_write if request else None,
            ),
        )

    async def _read(self, channel: ChannelContext, method: str, params: Mapping[str, str]) -> Outcome:
        url = f"{self._base}/api/{method}"
        return await call(self._http, Call(url, method="GET", params=params, headers=_bearer(channel)))


def _bearer(channel: ChannelContext) -> dict[str, str]:
    # A token that could not stand in a header is sent as none at all, and refused by Slack in its own words.
    token = channel.credentials.get("bot_token", "")
    return {"authorization": f"Bearer {token}"} if token.isascii() and token.isprintable() and token else {}


def _reason(result: SendResult) -> str:
    return result.reason if isinstance(result, Unknown) else ""


def _cannot_tell(result: SendResult) -> CannotTell:
    if isinstance(result, Refused):
        return CannotTell(f"{result.message} ({result.code})", result.retry_after_s)
    return CannotTell(_reason(result))


def _raise_for(result: SendResult) -> NoReturn:
    if isinstance(result, Refused) and result.error_class not in {ErrorClass.TRANSIENT, ErrorClass.RATE_LIMITED}:
        raise InvalidInputError(f"{result.message} ({result.code})")
    raise UnavailableError("Slack's file could not be found just now")
