"""The one place that sends an HTTP request to the outside, and tells what became of it in three values.

Not here: retries, waits, redirects (never followed) and what an answer means. Every adapter calls it. The classes say
whether bytes have left, because that alone decides whether a send may be repeated (NO-LOSS-OUT, ONCE-OUT).
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, cast

import httpx2

from domain.errors import ForbiddenAddressError

MAX_ANSWER_BYTES: Final = 4 << 20

# The client logs each request's whole URL at INFO, and some platforms carry the bot's token in the path.
logging.getLogger("httpx2").setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the other side said. `headers`: lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json_object(self) -> dict[str, object]:
        """Return the body as a JSON object; empty where it is none."""
        try:
            found: object = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return cast("dict[str, object]", found) if isinstance(found, dict) else {}

    def retry_after_s(self) -> float | None:
        """Return the `Retry-After` header in seconds; None where it is missing or a date."""
        value = self.headers.get("retry-after", "").strip()
        return float(value) if value.isascii() and value.isdigit() else None


@dataclass(frozen=True, slots=True)
class NotSent:
    """The connection failed before any byte of the request left: repeating is safe.

    `forbidden`: the address is one to which we do not go, in words (adapters/guard.py); repeating is no use.
    """

    reason: str
    forbidden: str | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """The request left, at least in part, and no whole answer came: it may or may not have been carried out."""

    reason: str


Outcome = Answer | NotSent | Lost


@dataclass(frozen=True, slots=True)
class Upload:
    """A file in a form. `field`: the form's name for it; `open` starts its bytes anew, `size_bytes` of them."""

    field: str
    filename: str
    mime_type: str
    size_bytes: int
    open: Callable[[], Awaitable[AsyncIterator[bytes]]]


@dataclass(frozen=True, slots=True)
class Form:
    """A `multipart/form-data` body (RFC 7578): fields of text, then one file, streamed."""

    fields: Mapping[str, str]
    upload: Upload


@dataclass(frozen=True, slots=True)
class Call:
    """One request, with a body of JSON, of a form, or none. `before_write` runs right before its bytes leave; what it raises
    reaches the caller unchanged.
    """

    url: str
    method: str = "POST"
    json_body: Mapping[str, object] | None = None
    form: Form | None = None
    params: Mapping[str, str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    timeout_s: float = 15.0
    before_write: Callable[[], None] | None = None
    max_bytes: int = MAX_ANSWER_BYTES


class _Fence:
    """Watches one request through the client's trace events, and stops it where its claim has run out."""

    def __init__(self, before_write: Callable[[], None] | None) -> None:
        self._before_write = before_write
        self.written = False
        self.error: BaseException | None = None

    async def trace(self, name: str, info: Mapping[str, object]) -> None:
        if not name.endswith(".send_request_headers.started"):
            return
        if getattr(info.get("request"), "method", b"") == b"CONNECT":
            # A proxy's tunnel is opened the same way, but nothing of ours has left by then.
            return
        if self._before_write is not None and not self.written:
            try:
                self._before_write()
            except BaseException as error:
                # The client closes the connection on its way out, so no half-used one returns to the pool.
                self.error = error
                raise
        self.written = True


async def call(http: httpx2.AsyncClient, request: Call) -> Outcome:
    """Send once and classify the outcome. Raises only what `before_write` raises (and cancellation)."""
    fence = _Fence(request.before_write)
    try:
        async with asyncio.timeout(request.timeout_s):
            return await _exchange(http, request, fence)
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError, ValueError) as error:
        if fence.error is not None:
            raise fence.error from None
        # Only the class is told: some messages hold the URL, and with it a token.
        reason = type(error).__name__
        return Lost(reason) if fence.written else NotSent(reason)
    except ForbiddenAddressError as error:
        return NotSent("ForbiddenAddress", error.message)
    except AttributeError:
        # Reset in the moment between connecting and sending: under uvloop the client asks a socket that is gone for its
        # peer (httpcore2/_async/connection.py, get_extra_info of anyio's stream), and fails over that.
        if fence.written:
            raise
        return NotSent("ConnectionReset")


async def _exchange(http: httpx2.AsyncClient, request: Call, fence: _Fence) -> Outcome:
    headers = dict(request.headers)
    content: bytes | AsyncIterator[bytes] | None = None
    if request.form is not None:
        content = await _streamed(request.form, headers)
    elif request.json_body is not None:
        # ASCII escapes can carry even a lone surrogate; the client's own encoder would refuse it.
        content = json.dumps(request.json_body, separators=(",", ":")).encode("ascii")
        headers["content-type"] = "application/json; charset=utf-8"
    return await _sent(http, request, fence, headers, content)


async def _streamed(form: Form, headers: dict[str, str]) -> AsyncIterator[bytes]:
    """Return a form's bytes and put what names their kind and length into the headers. Raises what opening the file raises."""
    boundary, upload = secrets.token_hex(16), form.upload
    head = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in form.fields.items()
    )
    head += (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{upload.field}"; filename="{_quotable(upload.filename)}"\r\n'
        f"Content-Type: {_quotable(upload.mime_type)}\r\n\r\n"
    )
    before, after = head.encode("utf-8", "replace"), f"\r\n--{boundary}--\r\n".encode()
    headers["content-type"] = f"multipart/form-data; boundary={boundary}"
    headers["content-length"] = str(len(before) + upload.size_bytes + len(after))
    return _framed(before, await upload.open(), after)


async def _framed(before: bytes, chunks: AsyncIterator[bytes], after: bytes) -> AsyncGenerator[bytes]:
    yield before
    async for chunk in chunks:
        yield chunk
    yield after


def _quotable(text: str) -> str:
    """Return a name that stays within its quotes, as browsers spell it (https://html.spec.whatwg.org/#multipart-form-data)."""
    return text.replace("\r", " ").replace("\n", " ").replace('"', "%22")


async def _sent(
    http: httpx2.AsyncClient,
    request: Call,
    fence: _Fence,
    headers: Mapping[str, str],
    content: bytes | AsyncIterator[bytes] | None,
) -> Outcome:
    built = http.build_request(
        request.method,
        request.url,
        params=request.params,
        headers=headers,
        content=content,
        timeout=httpx2.Timeout(request.timeout_s, connect=min(5.0, request.timeout_s)),
        extensions={"trace": fence.trace},
    )
    response = await http.send(built, stream=True, follow_redirects=False)
    try:
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > request.max_bytes:
                return Lost("answer too large")
    finally:
        await response.aclose()
    return Answer(response.status_code, {name.lower(): value for name, value in response.headers.items()}, bytes(body))
