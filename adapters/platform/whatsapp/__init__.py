"""WhatsApp through the Cloud API and its webhooks (developers.facebook.com, *WhatsApp Cloud API*, Graph v23.0).

A media id from a webhook is good for 7 days, one of an upload for 30 (*Media*, as of June 2026). A number may send 80 messages a second
(1,000 after an upgrade, 20 when shared with the phone app; *Throughput*), else 130429.

There is no idempotency key and no reading back. Each part carries its nonce as `biz_opaque_callback_data`, which comes
back in its receipts: that alone can tell what became of a send whose answer was lost. An accepted send may still fail
later; that is told by a receipt as well.
"""

from __future__ import annotations

import hashlib
import hmac
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
from adapters.http import Call, Form, Outcome, call
from adapters.markdown import render_parts
from adapters.markdown.signs import SIGNS
from adapters.platform.whatsapp.errors import result_of
from adapters.platform.whatsapp.limits import NO_CHANGES, RULES
from adapters.platform.whatsapp.parsing import parse_body
from adapters.platform.whatsapp.sending import OUTBOUND, message_body
from adapters.registry import Outside, register
from adapters.uploads import NO_BYTES, as_upload, upload_failed
from domain.channel import Platform
from domain.errors import InvalidInputError, SignatureError, UnavailableError
from domain.message import Attachment, ReplyAddress, Sender
from domain.outbound import FilePart

_VERSION: Final = "v23.0"
_FILE_HOSTS: Final = (".fbsbx.com", ".fbcdn.net", ".whatsapp.net", ".facebook.com")
_BAD_PARAMETER: Final = "100"
_NOT_ITS_APP: Final = (
    "The app secret is not that of the app which the access token belongs to; if webhooks come from that app too,"
    " none will be trusted: copy it from App settings, Basic"
)
_FIELDS: Final = "display_phone_number,verified_name,code_verification_status,quality_rating"


@register("whatsapp")
class WhatsApp:
    """The adapter; see adapters/base.py for what each method promises."""

    platform = Platform("whatsapp")
    capabilities = Capabilities(
        label="WhatsApp",
        credentials=(
            CredentialField("access_token", "Access token", "Business settings, System users, Generate token"),
            CredentialField("app_secret", "App secret", "developers.facebook.com, your app, App settings, Basic"),
            CredentialField("phone_number_id", "Phone number id", "Your app, WhatsApp, API setup", secret=False),
            CredentialField(
                "verify_token", "Verify token", "Your own choice; Meta repeats it when it tests the address"
            ),
        ),
        text_limit=4096,
        text_unit="utf16",
        webhook_max_bytes=4 << 20,
        has_receipts=True,
        bot_credentials=("phone_number_id",),
        send_rules=RULES,
        registers_webhook=True,
        outbound=OUTBOUND,
        reply_window_s=24 * 3600,
        receipts_name_sends=True,
        typing_s=20.0,
        marks_read=True,
    )

    def __init__(self, outside: Outside) -> None:
        self._http = outside.http
        self._base = (outside.api_base or "https://graph.facebook.com").rstrip("/")
        self._foreign_base = outside.api_base is not None

    def verify(self, request: WebhookRequest, channel: ChannelContext, now: float) -> None:
        """Check the handshake's token, or the signature over the raw body; the scheme has no time."""
        if request.method == "GET":
            _verify_handshake(request, channel)
            return
        secret = channel.credentials.get("app_secret", "")
        signature = request.header("x-hub-signature-256")
        if not secret:
            raise SignatureError("the channel has no app secret, so nothing can be verified")
        if signature is None:
            raise SignatureError("the signature is missing or repeated")
        expected = "sha256=" + hmac.new(_encoded(secret), request.body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(_encoded(signature), expected.encode()):
            raise SignatureError("the signature does not match")

    def parse(self, request: WebhookRequest, channel: ChannelContext) -> ParsedWebhook:
        """Read the handshake, or everything in a body."""
        return parse_body(request, channel)

    def render(self, markdown: str, limit: int | None = None) -> list[RenderedPart]:
        """Render in WhatsApp's one-sign styles."""
        return render_parts(markdown, SIGNS, limit or self.capabilities.text_limit)

    async def send(self, channel: ChannelContext, request: SendRequest) -> SendResult:
        """Send one part, its file first. Accepted means taken, not delivered: receipts tell the rest."""
        media_id = await self._upload(channel, request) if isinstance(request.part.payload, FilePart) else None
        if media_id is not None and not isinstance(media_id, str):
            return media_id
        body = message_body(request, media_id)
        answer = result_of(await self._post(channel, f"{_phone(channel)}/messages", body, request))
        if not isinstance(answer, dict):
            return answer
        messages = answer.get("messages")
        first = cast("list[object]", messages)[0] if isinstance(messages, list) and messages else None
        found = cast("dict[str, object]", first).get("id") if isinstance(first, dict) else None
        return Accepted(found) if isinstance(found, str) and found else Unknown("WhatsApp's answer names no message")

    async def _upload(self, channel: ChannelContext, request: SendRequest) -> str | SendResult:
        """Return the id under which the number may send the file, for 30 days."""
        if request.file is None:
            return NO_BYTES
        fields = {"messaging_product": "whatsapp", "type": request.file.mime_type}
        url = f"{self._base}/{_VERSION}/{_phone(channel)}/media"
        form = Form(fields, as_upload("file", request.file))
        answer = result_of(
            await call(self._http, Call(url, form=form, headers=_bearer(channel), timeout_s=request.timeout_s))
        )
        if not isinstance(answer, dict):
            return upload_failed(answer)
        found = answer.get("id")
        return str(found) if found else upload_failed(Unknown("WhatsApp's answer names no file"))

    async def edit(self, channel: ChannelContext, request: EditRequest) -> SendResult:
        """Messages cannot be changed."""
        return NO_CHANGES

    async def delete(self, channel: ChannelContext, address: ReplyAddress, message_id: str) -> SendResult:
        """Messages cannot be deleted."""
        return NO_CHANGES

    async def lookup(self, channel: ChannelContext, request: LookupRequest) -> LookupResult:
        """Nothing can be read back; a receipt that carries the nonce may still come."""
        return CannotTell("WhatsApp offers no way to look up what was sent; only a receipt can tell")

    async def locate_media(self, channel: ChannelContext, attachment: Attachment) -> MediaSource:
        """Ask for the file's address, which is good for five minutes, on Meta's own hosts only: it takes the token."""
        params = {"phone_number_id": channel.credentials.get("phone_number_id", "")}
        url = f"{self._base}/{_VERSION}/{quote(attachment.remote_ref, safe='')}"
        answer = result_of(await call(self._http, Call(url, method="GET", params=params, headers=_bearer(channel))))
        if not isinstance(answer, dict):
            raise _media_error(answer)
        address = answer.get("url")
        if not isinstance(address, str) or not self._is_metas(address):
            raise InvalidInputError("WhatsApp does not hand this file out")
        return MediaSource(address, _bearer(channel), attachment.mime_type, attachment.filename)

    async def indicate(self, channel: ChannelContext, address: ReplyAddress, indication: Indication) -> None:
        """Mark the person's message as read; "typing" does that too, and shows for 25 seconds at most."""
        if address.message is None:
            return
        body: dict[str, object] = {"messaging_product": "whatsapp", "status": "read", "message_id": address.message}
        if indication is Indication.TYPING:
            body["typing_indicator"] = {"type": "text"}
        await self._post(channel, f"{_phone(channel)}/messages", body, timeout_s=5.0)

    async def profile(self, channel: ChannelContext, person: str) -> Sender | None:
        """Every message says its author's name, as far as anybody is told."""
        return None

    async def check(self, channel: ChannelContext, webhook_url: str | None) -> CheckResult:
        """Ask whose number it is and, with `webhook_url`, have this number's webhooks sent there."""
        url = f"{self._base}/{_VERSION}/{_phone(channel)}"
        call_ = Call(url, method="GET", params={"fields": _FIELDS}, headers=_bearer(channel))
        answer = result_of(await call(self._http, call_))
        if not isinstance(answer, dict):
            return CheckResult(ok=False, problems=(_words(answer),))
        names = ("id", "display_phone_number", "verified_name")
        identity = {name: str(answer[name]) for name in names if answer.get(name) is not None}
        missing = [
            f"The {label} is missing; without it no webhook can be trusted"
            for name, label in (("app_secret", "app secret"), ("verify_token", "verify token"))
            if not channel.credentials.get(name)
        ]
        if missing:
            return CheckResult(ok=False, identity=identity, problems=tuple(missing))
        problems: list[str] = []
        if answer.get("code_verification_status") not in {None, "VERIFIED"}:
            problems.append("The number is not verified; verify it in the WhatsApp manager")
        if await self._is_foreign_secret(channel, url):
            problems.append(_NOT_ITS_APP)
        if webhook_url is not None:
            problems += await self._register(channel, webhook_url)
        return CheckResult(ok=True, identity=identity, problems=tuple(problems))

    async def _is_foreign_secret(self, channel: ChannelContext, url: str) -> bool:
        """Whether Meta says that the app secret is not that of the token's app; it checks a proof that is given
        (`appsecret_proof`, https://developers.facebook.com/docs/graph-api/guides/secure-requests) and refuses with 100.
        """
        token, secret = (channel.credentials.get(name, "").encode() for name in ("access_token", "app_secret"))
        proof = hmac.new(secret, token, hashlib.sha256).hexdigest()
        asked = Call(url, method="GET", params={"fields": "id", "appsecret_proof": proof}, headers=_bearer(channel))
        answer = result_of(await call(self._http, asked))
        # The same question without a proof was answered, so it is the proof that is refused.
        return isinstance(answer, Refused) and answer.code.partition("/")[0] == _BAD_PARAMETER

    async def _register(self, channel: ChannelContext, url: str) -> list[str]:
        """Set this number's own address (*Webhook overrides*). A refusal leaves the app's address, set by hand."""
        override = {"override_callback_uri": url, "verify_token": channel.credentials.get("verify_token", "")}
        answer = result_of(await self._post(channel, _phone(channel), {"webhook_configuration": override}))
        if isinstance(answer, dict):
            return []
        return [f"The address was not registered, enter it by hand at your app's webhooks: {_words(answer)}"]

    def _is_metas(self, url: str) -> bool:
        try:
            parts, base = urlsplit(url), urlsplit(self._base)
        except ValueError:
            return False
        if self._foreign_base:
            return (parts.scheme, parts.netloc) == (base.scheme, base.netloc)
        return parts.scheme == "https" and (parts.hostname or "").endswith(_FILE_HOSTS)

    async def _post(
        self,
        channel: ChannelContext,
        path: str,
        payload: Mapping[str, object],
        request: SendRequest | None = None,
        timeout_s: float = 15.0,
    ) -> Outcome:
        return await call(
            self._http,
            Call(
                f"{self._base}/{_VERSION}/{path}",
                json_body=payload,
                headers=_bearer(channel),
                timeout_s=request.timeout_s if request else timeout_s,
                before_write=request.before_write if request else None,
            ),
        )


def _verify_handshake(request: WebhookRequest, channel: ChannelContext) -> None:
    expected, given = channel.credentials.get("verify_token", ""), request.query.get("hub.verify_token", "")
    if not expected:
        raise SignatureError("the channel has no verify token, so nothing can be verified")
    if request.query.get("hub.mode") != "subscribe" or "hub.challenge" not in request.query:
        raise SignatureError("the request is no handshake")
    if not hmac.compare_digest(_encoded(given), _encoded(expected)):
        raise SignatureError("the verify token is wrong")


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _bearer(channel: ChannelContext) -> dict[str, str]:
    # A token that could not stand in a header is sent as none at all, and refused by Meta in its own words.
    token = channel.credentials.get("access_token", "")
    return {"authorization": f"Bearer {token}"} if token.isascii() and token.isprintable() and token else {}


def _phone(channel: ChannelContext) -> str:
    return quote(channel.credentials.get("phone_number_id", ""), safe="")


def _words(result: SendResult) -> str:
    if isinstance(result, Refused):
        return f"{result.message} ({result.code})"
    return f"{result.reason}; try again in a few minutes" if isinstance(result, Unknown) else ""


def _media_error(result: SendResult) -> InvalidInputError | UnavailableError:
    if isinstance(result, Refused) and result.error_class not in {ErrorClass.TRANSIENT, ErrorClass.RATE_LIMITED}:
        return InvalidInputError(_words(result))
    return UnavailableError("WhatsApp's file could not be found just now")
