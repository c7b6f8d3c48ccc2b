"""Downloads of files from where a platform says they are: as a stream, under limits of size, time and pace.

Redirects are taken one by one, each hop checked like the first one, and headers (they hold the bot's token) are sent
to the first host only. Called by activities; adapters only say where a file is (`locate_media`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import httpx2

from adapters.base import MediaSource
from adapters.guard import Guard, check_url, guarded_client
from domain.errors import FileGoneError, FileTooLargeError, ForbiddenAddressError, UnavailableError
from domain.files import formatted_size

MAX_REDIRECTS: Final = 3
_GONE: Final = frozenset({400, 401, 403, 404, 410})
_MOVED: Final = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Limits:
    """What a download may cost. `least_bytes_per_s`: the pace below which, over `pace_window_s`, it is given up."""

    max_bytes: int
    total_s: float = 120.0
    connect_s: float = 10.0
    least_bytes_per_s: int = 1_024
    pace_window_s: float = 15.0


@dataclass(frozen=True, slots=True)
class Download:
    """A file on its way. `mime_type`: what the server says; `chunks` raises as `Downloads.open` does."""

    chunks: AsyncIterator[bytes]
    mime_type: str | None


def too_large(size_bytes: int | None, max_bytes: int) -> FileTooLargeError:
    """Return the refusal, in words for people."""
    size = "" if size_bytes is None else f" ({formatted_size(size_bytes)})"
    return FileTooLargeError(f"too large{size}; at most {formatted_size(max_bytes)} are taken")


class Downloads:
    """One per process."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._http = guarded_client(guard)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    @asynccontextmanager
    async def open(self, source: MediaSource, limits: Limits) -> AsyncGenerator[Download]:
        """Open a file.

        Raises FileTooLargeError and ForbiddenAddressError, which are final, FileGoneError, and UnavailableError.
        """
        try:
            async with asyncio.timeout(limits.total_s):
                response = await self._follow(source, limits)
                try:
                    _check(response, limits)
                    yield Download(_paced(response, limits), response.headers.get("content-type"))
                finally:
                    await response.aclose()
        except TimeoutError as error:
            raise UnavailableError(f"The download took longer than {limits.total_s:.0f} s") from error
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            # Only the class is told: some messages hold the address, and with it a token.
            raise UnavailableError(f"The download broke off ({type(error).__name__})") from error

    async def _follow(self, source: MediaSource, limits: Limits) -> httpx2.Response:
        url, headers = check_url(source.url, self._guard.allowed), dict(source.headers)
        timeout = httpx2.Timeout(limits.pace_window_s, connect=limits.connect_s)
        for _ in range(MAX_REDIRECTS + 1):
            asked = self._http.build_request(
                "GET", url, headers={**headers, "accept-encoding": "identity"}, timeout=timeout
            )
            response = await self._http.send(asked, stream=True, follow_redirects=False)
            if response.status_code not in _MOVED:
                return response
            await response.aclose()
            if source.moved_means is not None:
                raise FileGoneError(source.moved_means)
            target = next_hop(url, response.headers.get("location", ""), self._guard.allowed)
            if (target.scheme, target.host, target.port) != (url.scheme, url.host, url.port):
                headers = {}
            url = target
        raise ForbiddenAddressError("the file's address leads in circles")


def next_hop(url: httpx2.URL, location: str, allowed: frozenset[str]) -> httpx2.URL:
    """Return where a redirect leads. Raises ForbiddenAddressError."""
    try:
        joined = str(url.join(location))
    except (httpx2.InvalidURL, ValueError) as error:
        raise ForbiddenAddressError("the address cannot be read") from error
    target = check_url(joined, allowed)
    if url.scheme == "https" and target.scheme != "https":
        raise ForbiddenAddressError("the file's address leads from a secure connection to an open one")
    return target


def _check(response: httpx2.Response, limits: Limits) -> None:
    status = response.status_code
    if status in _GONE:
        raise FileGoneError(f"The platform does not hand the file out (HTTP {status})")
    if status != 200:
        raise UnavailableError(f"The file cannot be downloaded just now (HTTP {status})")
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        # A small answer could unpack to any size, and nobody asked for it.
        raise UnavailableError("The server sent the file compressed, unasked")
    length = response.headers.get("content-length", "")
    if length.isdigit() and int(length) > limits.max_bytes:
        raise too_large(int(length), limits.max_bytes)


async def _paced(response: httpx2.Response, limits: Limits) -> AsyncGenerator[bytes]:
    taken, in_window, since = 0, 0, time.monotonic()
    async for chunk in response.aiter_raw():
        taken, in_window = taken + len(chunk), in_window + len(chunk)
        if taken > limits.max_bytes:
            raise too_large(None, limits.max_bytes)
        elapsed = time.monotonic() - since
        if elapsed >= limits.pace_window_s:
            if in_window < limits.least_bytes_per_s * elapsed:
                raise UnavailableError(f"The file came slower than {limits.least_bytes_per_s} bytes a second")
            in_window, since = 0, time.monotonic()
        yield chunk
