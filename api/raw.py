"""A request as it came, before anything reads it: all headers with all their values, and the bytes of the body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from domain.errors import PayloadTooLargeError


def all_headers(raw: Sequence[tuple[bytes, bytes]]) -> dict[str, list[str]]:
    """Return lower-case header names with all their values: a signature that was sent twice is refused."""
    headers: dict[str, list[str]] = {}
    for name, value in raw:
        headers.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
    return headers


async def read_body(headers: Mapping[str, Sequence[str]], receive: Receive, limit: int) -> bytes:
    """Read a body, giving up as soon as it is over `limit` bytes. Raises PayloadTooLargeError, ClientDisconnect."""
    announced = headers.get("content-length", ("0",))[0]
    if announced.isdigit() and int(announced) > limit:
        raise PayloadTooLargeError(f"The body is larger than {limit} bytes")
    chunks: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise PayloadTooLargeError(f"The body is larger than {limit} bytes")
        chunks.append(chunk)
        more = message.get("more_body", False)
    return b"".join(chunks)
