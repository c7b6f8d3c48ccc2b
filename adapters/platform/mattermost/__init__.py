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
from dataclasses import replace
from typing import Final, cast
from urllib.parse import quote

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
from adapters.http import Answer, Call, Form, Outcome, call
from adapters.markdown import render_parts
from adapters.markdown.commonmark import COMMONMARK
from adapters.platform.mattermost.actions import is_press, object_of, read_press, verify_press
from adapters.platform.mattermost.connector import MattermostSocket
from adapters.platform.mattermost.edits import RULES, deleted, edit_body, edited, preview_in
from adapters.platform.mattermost.errors import ROOT_REFUSED, result_of
from adapters.platform.mattermost.item import NONCE
from adapters.platform.mattermost.parsing import parse_body
from adapters.platform.mattermost.profiles import read_person
from adapters.platform.mattermost.proof import verify_token
from adapters.platform.mattermost.sending import OUTBOUND, emoji_name, post_body
from adapters.platform.mattermost.site import Site, bearer
from adapters.registry import Outside, register
from adapters.uploads import NO_BYTES, as_upload, upload_failed
from domain.channel import Platform
from domain.errors import InvalidInputError, UnavailableError
from domain.message import Attachment, ReplyAddress, Sender
from domain.outbound import Buttons, FilePart, Menu, Reaction

__all__ = ["Mattermost", "MattermostSocket"]

_PAGE: Final = 200
_PAGES: Final = 5
_LOOKUP_BACK_MS: Final = 60_000


@register("mattermost")
class Mattermost:
    """The adapter; see adapters/base.py for what each method promises."""

    platform = Platform("mattermost")
    capabilities = Capabilities(
        names_apart=True,
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
        bot_credentials=("site_url", "bot_token"),
        send_rules=RULES,
        uploads_counted=True,
        preview=preview_in,
        outbound=OUTBOUND,
        typing_s=4.0,
    )

    def __init__(self, outside: Outside) -> None:
        self._site = Site(outside)
        self._http = self._site.http

    def verify(self, request: WebhookRequest, channel: ChannelContext, now: float) -> None:
        """Compare the body's token, or check our own seal on a pressed button; neither scheme has a time."""
        if is_press(request):
            verify_press(request, channel)
            return
        names = ("webhook_token", "command_token")
        verify_token(request, [channel.credentials.get(name, "") for name in names])

    def parse(self, request: WebhookRequest, channel: ChannelContext) -> ParsedWebhook:
        """Read an outgoing webhook, a slash command or a pressed button."""
        return read_press(request, channel) if is_press(request) else parse_body(request, channel)

    def render(self, markdown: str, limit: int | None = None) -> list[RenderedPart]:
        """Render in Markdown."""
        return render_parts(markdown, COMMONMARK, limit or self.capabilities.text_limit)

    async def send(self, channel: ChannelContext, request: SendRequest) -> SendResult:
        """Post one part, its file first. A thread named by one of its replies is corrected once, within the same claim."""
        wrong = self._site.unsafe(channel)
        if wrong is not None:
            return Refused(ErrorClass.CHANNEL_BROKEN, "site_url", wrong)
        payload = request.part.payload
        if isinstance(payload, Reaction):
            return await self._react(channel, request, payload)
        if isinstance(payload, Buttons | Menu) and channel.webhook_url is None:
            return Refused(
                ErrorClass.PERMANENT, "no_address", "Nobody knows at which address of ours a button could be heard"
            )
        file_id = await self._upload(channel, request) if isinstance(payload, FilePart) else None
        if file_id is not None and not isinstance(file_id, str):
            return file_id
        answer = await self._posted(channel, request, file_id)
        if not isinstance(answer, dict):
            return answer
        post_id = answer.get("id")
        return Accepted(post_id) if isinstance(post_id, str) and post_id else Unknown("The answer names no post")

    async def _posted(
        self, channel: ChannelContext, request: SendRequest, file_id: str | None
    ) -> dict[str, object] | SendResult:
        thread, deadline = request.address.thread, time.monotonic() + request.timeout_s
        body = post_body(channel, request, thread, file_id)
        answer = result_of(await self._post(channel, "posts", body, request))
        if isinstance(answer, Refused) and answer.code == ROOT_REFUSED and thread is not None:
            # An outgoing webhook does not say whether its post is a reply: then the thread's root is another post.
            found = result_of(await self._get(channel, f"posts/{quote(thread, safe='')}"))
            root = found.get("root_id") if isinstance(found, dict) else None
            if isinstance(root, str) and root:
                body = post_body(channel, request, root, file_id)
                left = replace(request, timeout_s=max(deadline - time.monotonic(), 0.001))
                return result_of(await self._post(channel, "posts", body, left))
        return answer

    async def _upload(self, channel: ChannelContext, request: SendRequest) -> str | SendResult:
        """Return the id by which one post may name the file."""
        if request.file is None:
            return NO_BYTES
        form = Form({"channel_id": request.address.chat}, as_upload("files", request.file))
        url = f"{self._site.base(channel)}/files"
        given = Call(url, form=form, headers=bearer(channel), timeout_s=request.timeout_s)
        answer = result_of(await call(self._http, given))
        if not isinstance(answer, dict):
            return upload_failed(answer)
        infos = answer.get("file_infos")
        first = object_of(cast("list[object]", infos)[0]) if isinstance(infos, list) and infos else {}
        found = first.get("id")
        return found if isinstance(found, str) and found else upload_failed(Unknown("The answer names no file"))

    async def _react(self, channel: ChannelContext, request: SendRequest, reaction: Reaction) -> SendResult:
        """Put a reaction; the same one again changes nothing."""
        name = emoji_name(reaction.emoji)
        if name is None:
            words = "Mattermost names its emoji, and we do not know this one's; write it as :name:"
            return Refused(ErrorClass.PERMANENT, "unknown_emoji", words)
        body = {"user_id": channel.identity.get("id", ""), "post_id": reaction.message, "emoji_name": name}
        answer = result_of(await self._post(channel, "reactions", body, request))
        return Accepted(f"reaction:{reaction.message}") if isinstance(answer, dict) else answer

    async def edit(self, channel: ChannelContext, request: EditRequest) -> SendResult:
        """Change a post's text; its nonce stays in its props."""
        path = f"posts/{quote(request.message_id, safe='')}/patch"
        outcome = await self._post(channel, path, edit_body(request), request, "PUT")
        return edited(outcome, request.message_id)

    async def delete(self, channel: ChannelContext, address: ReplyAddress, message_id: str) -> SendResult:
        """Delete a post."""
        return deleted(await self._get(channel, f"posts/{quote(message_id, safe='')}", method="DELETE"), message_id)

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
            listed = [object_of(by_id.get(str(one))) for one in cast("list[object]", order)]
            for post in listed:
                if object_of(post.get("props")).get(NONCE) == request.nonce:
                    return Found(str(post.get("id")))
            if len(listed) < _PAGE or _created_ms(listed[-1]) < oldest_ms:
                return Absent()
        return CannotTell("the channel is too busy to be searched")

    async def locate_media(self, channel: ChannelContext, attachment: Attachment) -> MediaSource:
        """Ask what the file is; it lies on the channel's own server."""
        path = f"files/{quote(attachment.remote_ref, safe='')}"
        info = result_of(await self._get(channel, f"{path}/info"))
        if not isinstance(info, dict):
            raise _media_error(info)
        mime, name = info.get("mime_type"), info.get("name")
        return MediaSource(
            f"{self._site.base(channel)}/{path}",
            bearer(channel),
            mime if isinstance(mime, str) else attachment.mime_type,
            name if isinstance(name, str) else attachment.filename,
        )

    async def indicate(self, channel: ChannelContext, address: ReplyAddress, indication: Indication) -> None:
        """Show "typing"; a bot has no read marks."""
        if indication is Indication.TYPING and self._site.unsafe(channel) is None:
            body = {"channel_id": address.chat, "parent_id": address.thread or ""}
            url = f"{self._site.base(channel)}/users/me/typing"
            await call(self._http, Call(url, json_body=body, headers=bearer(channel), timeout_s=5.0))

    async def profile(self, channel: ChannelContext, person: str) -> Sender | None:
        """Ask for a user name."""
        return read_person(result_of(await self._get(channel, f"users/{quote(person, safe='')}")), person)

    async def check(self, channel: ChannelContext, webhook_url: str | None) -> CheckResult:
        """Ask who we are and in which teams. Webhooks and commands are made by hand on the server."""
        wrong = self._site.unsafe(channel)
        if wrong is not None:
            return CheckResult(ok=False, problems=(wrong,))
        me = result_of(await self._get(channel, "users/me"))
        if not isinstance(me, dict):
            return CheckResult(ok=False, problems=(_words(me),))
        if not isinstance(me.get("id"), str):
            return CheckResult(ok=False, problems=("There is no Mattermost server at this address; correct it",))
        identity = {name: str(me[name]) for name in ("id", "username") if me.get(name)}
        problems: list[str] = []
        if me.get("is_bot") is not True:
            problems.append("The token belongs to a person, not to a bot; make a bot account")
        teams = await self._get(channel, "users/me/teams")
        if isinstance(teams, Answer) and teams.status == 200 and teams.body.strip() == b"[]":
            problems.append("The bot is in no team; invite it to one, and to the channels where it should answer")
        return CheckResult(ok=True, identity=identity, problems=tuple(problems))

    async def _post(
        self,
        channel: ChannelContext,
        path: str,
        body: Mapping[str, object],
        request: SendRequest | EditRequest,
        method: str = "POST",
    ) -> Outcome:
        given = Call(
            f"{self._site.base(channel)}/{path}",
            method=method,
            json_body=body,
            headers=bearer(channel),
            timeout_s=request.timeout_s,
            before_write=request.before_write,
        )
        return await call(self._http, given)

    async def _get(
        self, channel: ChannelContext, path: str, params: Mapping[str, str] | None = None, method: str = "GET"
    ) -> Outcome:
        url = f"{self._site.base(channel)}/{path}"
        return await call(self._http, Call(url, method=method, params=params, headers=bearer(channel)))


def _created_ms(post: Mapping[str, object]) -> int:
    found = post.get("create_at")
    return found if isinstance(found, int) else 0


def _words(result: SendResult) -> str:
    if isinstance(result, Refused):
        return f"{result.message} ({result.code})"
    return f"{result.reason}; try again in a few minutes" if isinstance(result, Unknown) else ""


def _cannot_tell(result: SendResult) -> CannotTell:
    return CannotTell(_words(result), result.retry_after_s if isinstance(result, Refused) else None)


def _media_error(result: SendResult) -> InvalidInputError | UnavailableError:
    if isinstance(result, Refused) and result.error_class not in {ErrorClass.TRANSIENT, ErrorClass.RATE_LIMITED}:
        return InvalidInputError(_words(result))
    return UnavailableError("Mattermost's file could not be found just now")
