"""Mattermost through its REST API, outgoing webhooks and slash commands (https://developers.mattermost.com).

A webhook or command of ours may take 30 s (`ServiceSettings.OutgoingIntegrationRequestsTimeout`, whose default is
`OutgoingIntegrationRequestsDefaultTimeout` in the server's public/model/config.go); nothing is sent again.

A send carries its nonce twice: as `pending_post_id`, by which the server itself drops a repeat for 30 seconds, and in
the post's `props`, by which it can be looked up in the channel later. Direct chats, private channels, edits and
deletions come by the socket only (connector.py).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final, cast
from urllib.parse import quote

from adapters.base import (
    Absent,
    Accepted,
    CannotTell,
    Capabilities,
    ChannelContext,
    CheckResult,
    CredentialField,
    ErrorClass,
    Found,
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
from adapters.markdown.commonmark import COMMONMARK
from adapters.platform.mattermost.connector import MattermostSocket
from adapters.platform.mattermost.errors import ROOT_REFUSED, result_of
from adapters.platform.mattermost.item import NONCE
from adapters.platform.mattermost.parsing import parse_body
from adapters.platform.mattermost.proof import verify_token
from adapters.platform.mattermost.site import api_base, bearer, unsafe
from adapters.registry import Outside, register
from domain.channel import Platform
from domain.errors import InvalidInputError, UnavailableError
from domain.message import Attachment, ReplyAddress

__all__ = ["Mattermost", "MattermostSocket"]

_PAGE: Final = 200
_PAGES: Final = 5
_LOOKUP_BACK_MS: Final = 60_000
_FILE_MAX_BYTES: Final = 100 << 20


@register("mattermost")
class Mattermost:
    """The adapter; see adapters/base.py for what each method promises."""

    platform = Platform("mattermost")
    capabilities = Capabilities(
        label="Mattermost",
        credentials=(
            CredentialField("site_url", "Server address", "As in the browser, https://…", secret=False),
            CredentialField("bot_token", "Bot token", "Integrations, Bot accounts, Create token"),
            CredentialField(
                "webhook_token", "Outgoing webhook's token", "Integrations, Outgoing webhooks", required=False
            ),
            CredentialField("command_token", "Slash command's token", "Integrations, Slash commands", required=False),
        ),
        text_limit=16_383,
        text_unit="characters",
        nonce_window_s=30,
        can_look_up=True,
        can_edit=True,
    )

    def __init__(self, outside: Outside) -> None:
        self._http = outside.http
        self._foreign_base = outside.api_base

    def verify(self, request: WebhookRequest, channel: ChannelContext, now: float) -> None:
        """Compare the body's token; the scheme has neither a signature nor a time."""
        names = ("webhook_token", "command_token")
        verify_token(request, [channel.credentials.get(name, "") for name in names])

    def parse(self, request: WebhookRequest, channel: ChannelContext) -> ParsedWebhook:
        """Read an outgoing webhook or a slash command."""
        return parse_body(request, channel)

    def render(self, markdown: str) -> list[RenderedPart]:
        """Render in Markdown."""
        return render_parts(markdown, COMMONMARK, self.capabilities.text_limit)

    async def send(self, channel: ChannelContext, request: SendRequest) -> SendResult:
        """Post one part. A thread named by one of its replies is corrected once, within the same claim."""
        wrong = unsafe(channel, self._foreign_base)
        if wrong is not None:
            return Refused(ErrorClass.CHANNEL_BROKEN, "site_url", wrong)
        deadline = time.monotonic() + request.timeout_s
        outcome = await self._post(channel, _post(request, request.address.thread), request, request.timeout_s)
        answer = result_of(outcome)
        if isinstance(answer, Refused) and answer.code == ROOT_REFUSED and request.address.thread is not None:
            # An outgoing webhook does not say whether its post is a reply: then the thread's root is another post.
            found = result_of(await self._get(channel, f"posts/{quote(request.address.thread, safe='')}"))
            root = found.get("root_id") if isinstance(found, dict) else None
            if isinstance(root, str) and root:
                left_s = max(deadline - time.monotonic(), 0.001)
                answer = result_of(await self._post(channel, _post(request, root), request, left_s))
        if not isinstance(answer, dict):
            return answer
        post_id = answer.get("id")
        return Accepted(post_id) if isinstance(post_id, str) and post_id else Unknown("The answer names no post")

    async def lookup(self, channel: ChannelContext, request: LookupRequest) -> LookupResult:
        """Read the channel back, newest first, and look for the nonce."""
        oldest_ms = int(request.sent_after.timestamp() * 1000) - _LOOKUP_BACK_MS
        for page in range(_PAGES):
            params = {"page": str(page), "per_page": str(_PAGE)}
            path = f"channels/{quote(request.address.chat, safe='')}/posts"
            answer = result_of(await self._get(channel, path, params))
            if not isinstance(answer, dict):
                return _cannot_tell(answer)
            order, posts = answer.get("order"), answer.get("posts")
            if not isinstance(order, list) or not isinstance(posts, dict):
                return CannotTell("Mattermost's answer holds no posts")
            by_id = cast("dict[str, object]", posts)
            listed = [_object(by_id.get(str(one))) for one in cast("list[object]", order)]
            for post in listed:
                if _object(post.get("props")).get(NONCE) == request.nonce:
                    return Found(str(post.get("id")))
            if len(listed) < _PAGE or _created_ms(listed[-1]) < oldest_ms:
                return Absent()
        return CannotTell("the channel is too busy to be searched")

    async def fetch_media(self, channel: ChannelContext, attachment: Attachment) -> Media:
        """Ask what the file is, then download it; both from the channel's own server."""
        path = f"files/{quote(attachment.remote_ref, safe='')}"
        info = result_of(await self._get(channel, f"{path}/info"))
        if not isinstance(info, dict):
            raise _media_error(info)
        url = f"{api_base(channel, self._foreign_base)}/{path}"
        outcome = await call(
            self._http, Call(url, method="GET", headers=bearer(channel), timeout_s=60.0, max_bytes=_FILE_MAX_BYTES)
        )
        if not isinstance(outcome, Answer) or outcome.status >= 500:
            raise UnavailableError("Mattermost's file could not be downloaded just now")
        if outcome.status != 200:
            raise InvalidInputError(f"Mattermost refused the file (HTTP {outcome.status})")
        mime, name = info.get("mime_type"), info.get("name")
        return Media(
            outcome.body,
            mime if isinstance(mime, str) else attachment.mime_type,
            name if isinstance(name, str) else attachment.filename,
        )

    async def indicate(self, channel: ChannelContext, address: ReplyAddress, indication: Indication) -> None:
        """Show "typing"; a bot has no read marks."""
        if indication is Indication.TYPING and unsafe(channel, self._foreign_base) is None:
            body = {"channel_id": address.chat, "parent_id": address.thread or ""}
            url = f"{api_base(channel, self._foreign_base)}/users/me/typing"
            await call(self._http, Call(url, json_body=body, headers=bearer(channel), timeout_s=5.0))

    async def check(self, channel: ChannelContext, webhook_url: str | None) -> CheckResult:
        """Ask who we are and in which teams. Webhooks and commands are made by hand on the server."""
        wrong = unsafe(channel, self._foreign_base)
        if wrong is not None:
            return CheckResult(ok=False, problems=(wrong,))
        me = result_of(await self._get(channel, "users/me"))
        if not isinstance(me, dict):
            return CheckResult(ok=False, problems=(_words(me),))
        if not isinstance(me.get("id"), str):
            return CheckResult(ok=False, problems=("There is no Mattermost server at this address; correct it",))
        identity = {name: str(me[name]) for name in ("id", "username") if me.get(name)}
        tokens = [channel.credentials.get(name) for name in ("webhook_token", "command_token")]
        if not any(tokens) and channel.configuration.get("transport") != "socket":
            problem = "Neither an outgoing webhook's token nor a command's is given; without one nothing can come in"
            return CheckResult(ok=False, identity=identity, problems=(problem,))
        problems: list[str] = []
        if me.get("is_bot") is not True:
            problems.append("The token belongs to a person, not to a bot; make a bot account")
        teams = await self._get(channel, "users/me/teams")
        if isinstance(teams, Answer) and teams.status == 200 and teams.body.strip() == b"[]":
            problems.append("The bot is in no team; invite it to one, and to the channels where it should answer")
        return CheckResult(ok=True, identity=identity, problems=tuple(problems))

    async def _post(
        self, channel: ChannelContext, body: Mapping[str, object], request: SendRequest, timeout_s: float
    ) -> Outcome:
        url = f"{api_base(channel, self._foreign_base)}/posts"
        return await call(
            self._http,
            Call(url, json_body=body, headers=bearer(channel), timeout_s=timeout_s, before_write=request.before_write),
        )

    async def _get(self, channel: ChannelContext, path: str, params: Mapping[str, str] | None = None) -> Outcome:
        url = f"{api_base(channel, self._foreign_base)}/{path}"
        return await call(self._http, Call(url, method="GET", params=params, headers=bearer(channel)))


def _post(request: SendRequest, root: str | None) -> dict[str, object]:
    body: dict[str, object] = {
        "channel_id": request.address.chat,
        "message": request.part.plain if request.as_plain else request.part.body,
        "pending_post_id": request.nonce,
        "props": {NONCE: request.nonce},
    }
    return body | {"root_id": root} if root else body


def _object(value: object) -> dict[str, object]:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def _created_ms(post: Mapping[str, object]) -> int:
    found = post.get("create_at")
    return found if isinstance(found, int) else 0


def _words(result: SendResult) -> str:
    if isinstance(result, Refused):
        return f"{result.message} ({result.code})"
    return result.reason if isinstance(result, Unknown) else ""


def _cannot_tell(result: SendResult) -> CannotTell:
    return CannotTell(_words(result), result.retry_after_s if isinstance(result, Refused) else None)


def _media_error(result: SendResult) -> InvalidInputError | UnavailableError:
    if isinstance(result, Refused) and result.error_class not in {ErrorClass.TRANSIENT, ErrorClass.RATE_LIMITED}:
        return InvalidInputError(_words(result))
    return UnavailableError("Mattermost's file could not be found just now")
