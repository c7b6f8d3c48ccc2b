"""Mattermost's socket: sequence, reliable resume, and reading back what was missed (https://api.mattermost.com, *WebSocket*).

A connection has an id and numbers its frames. Who comes back with both gets what was missed; where the server no longer has
it, it says hello under another id, and the channels are read back. Position: `connection`, `seq` = the next number,
`seen` = the newest post's time, and `at:{channel}` = the last post there.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Final, cast
from urllib.parse import quote, urlencode

from pydantic import ValidationError
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from adapters.base import ChannelContext
from adapters.connectors import Backoff, ConnectorStoppedError, Heard, aged, register_connector, remember
from adapters.foreign import decode_object
from adapters.http import Answer, Call, call
from adapters.platform.mattermost.frames import read_frame, read_post
from adapters.platform.mattermost.payloads import Post
from adapters.platform.mattermost.site import Site, bearer, forbidden
from adapters.registry import Outside
from domain.errors import ForbiddenAddressError, PayloadError
from domain.message import EventKind, InboundEvent

_REFUSED: Final = "The server does not accept the bot's token; make a new one in the System console, Bot accounts"
_PAGE, _PAGES = 200, 5
_MAX_BYTES: Final = 4 << 20
_TIMEOUT_S: Final = 30.0


class _GapError(Exception):
    """Frames are missing, or the connection must begin anew."""


@dataclass(slots=True)
class _Place:
    """Where we stand. `seen_ms`: the time of the newest post; 0 before the first."""

    connection: str = ""
    seq: int = 0
    seen_ms: int = 0
    posts: dict[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def of(cls, position: Mapping[str, str]) -> _Place:
        numbers = {name: int(value) if value.isdigit() else 0 for name, value in position.items()}
        posts = {name[3:]: post for name, post in position.items() if name.startswith("at:")}
        return cls(position.get("connection", ""), numbers.get("seq", 0), numbers.get("seen", 0), posts)

    def position(self) -> dict[str, str]:
        found = {"connection": self.connection, "seq": str(self.seq), "seen": str(self.seen_ms)}
        return found | {f"at:{chat}": post for chat, post in self.posts.items()}

    def saw(self, event: InboundEvent) -> None:
        """Note a post, so that reading back can begin after it."""
        if event.kind in {EventKind.MESSAGE, EventKind.SYSTEM} and event.reply_to.message:
            self.seen_ms = max(self.seen_ms, int(event.occurred_at.timestamp() * 1000))
            remember(self.posts, event.reply_to.chat, event.reply_to.message)


@register_connector("mattermost")
class MattermostSocket:
    """The connector; see adapters/connectors.py."""

    def __init__(self, outside: Outside, backoff: Backoff | None = None) -> None:
        self._site = Site(outside)
        self._backoff = backoff or Backoff()

    async def run(self, channel: ChannelContext, position: Mapping[str, str]) -> AsyncIterator[Heard]:
        """Listen for ever. Raises ConnectorStoppedError."""
        wrong = self._site.unsafe(channel)
        if wrong is not None:
            raise ConnectorStoppedError(wrong)
        place = _Place.of(position)
        while True:
            trouble = "Mattermost ended the connection"
            try:
                async for heard in self._connection(channel, place):
                    self._backoff.reset()
                    yield heard
            except _GapError:
                trouble = "Frames of Mattermost's were missing; what was said is read back"
                place.connection, place.seq = "", 0
            except InvalidStatus as refused:
                if refused.response.status_code in {401, 403}:
                    raise ConnectorStoppedError(_REFUSED) from refused
                trouble = f"Mattermost answers {refused.response.status_code}"
            except ForbiddenAddressError as error:
                raise ConnectorStoppedError(forbidden(error.message)) from error
            except (ConnectionClosed, OSError, WebSocketException, TimeoutError) as error:
                # The position stays: the server keeps what was missed for a while.
                trouble = f"Mattermost cannot be reached: {type(error).__name__}"
            yield Heard(b"", (), place.position(), trouble)
            await asyncio.sleep(self._backoff.wait_s())

    async def _connection(self, channel: ChannelContext, place: _Place) -> AsyncIterator[Heard]:
        base = "ws" + self._site.base(channel).removeprefix("http")
        query = urlencode({"connection_id": place.connection, "sequence_number": str(place.seq)})
        target, opened = f"{base}/websocket?{query}", await self._site.socket(channel)
        async with connect(target, max_size=_MAX_BYTES, open_timeout=_TIMEOUT_S, proxy=None, sock=opened) as socket:
            await self._prove(socket, channel)
            async for raw in socket:
                async for heard in self._frame(channel, place, raw):
                    yield heard

    async def _prove(self, socket: ClientConnection, channel: ChannelContext) -> None:
        token = channel.credentials.get("bot_token", "")
        await socket.send(json.dumps({"seq": 1, "action": "authentication_challenge", "data": {"token": token}}))

    async def _frame(self, channel: ChannelContext, place: _Place, raw: str | bytes) -> AsyncIterator[Heard]:
        try:
            frame = decode_object(raw)
        except PayloadError:
            return
        if _accepted(frame):
            # A connection that is resumed gets no hello: this is all that says that it stands.
            yield Heard(b"", (), place.position())
            return
        seq = frame.get("seq")
        if not isinstance(seq, int) or "event" not in frame:
            return
        if frame["event"] == "hello":
            async for heard in self._hello(channel, place, frame):
                yield heard
            return
        if seq < place.seq:
            return
        if seq > place.seq:
            raise _GapError
        place.seq = seq + 1
        events = _events(channel, raw)
        for event in events:
            place.saw(event)
        if events:
            yield Heard(raw.encode() if isinstance(raw, str) else raw, events, place.position())

    async def _hello(self, channel: ChannelContext, place: _Place, frame: Mapping[str, object]) -> AsyncIterator[Heard]:
        """Begin a connection. Under another id than ours the server has nothing left of what we missed."""
        data = frame.get("data")
        named = cast("dict[str, object]", data).get("connection_id") if isinstance(data, dict) else None
        if place.seen_ms > 0 and named != place.connection:
            async for heard in self._missed(channel, place):
                yield heard
        # Not before: should the reading fail, the next connection must find out that something is missing.
        place.connection, place.seq = str(named or ""), 1
        yield Heard(b"", (), place.position())

    async def _missed(self, channel: ChannelContext, place: _Place) -> AsyncIterator[Heard]:
        """Read what was posted since, in every channel of the bot, in the order of time."""
        now, since_ms = time.time(), place.seen_ms
        found: list[tuple[Post, InboundEvent]] = []
        for listed in await self._list(channel, "users/me/channels"):
            chat, last_ms = listed.get("id"), listed.get("last_post_at")
            if not isinstance(chat, str) or (isinstance(last_ms, int) and last_ms < since_ms):
                continue
            direct = listed.get("type") == "D"
            posts = await self._posts(channel, chat, place.posts.get(chat), since_ms)
            found += [(post, aged(read_post(post, channel, now, direct=direct), channel, now)) for post in posts]
        for post, event in sorted(found, key=lambda one: (one[0].create_at, one[0].id)):
            place.saw(event)
            yield Heard(post.model_dump_json().encode(), (event,), place.position())

    async def _posts(self, channel: ChannelContext, chat: str, after: str | None, since_ms: int) -> list[Post]:
        """Return the posts after one that we know (an id is surer than a time), else since a time."""
        found: list[Post] = []
        path = f"channels/{quote(chat, safe='')}/posts"
        for page in range(_PAGES if after else 1):
            params = {"after": after, "page": str(page), "per_page": str(_PAGE)} if after else {"since": str(since_ms)}
            answer = await self._get(channel, path, params)
            posts = cast("dict[str, object]", answer).get("posts") if isinstance(answer, dict) else None
            read = [_post(one) for one in cast("dict[str, object]", posts).values()] if isinstance(posts, dict) else []
            found += [post for post in read if post is not None and post.delete_at == 0 and post.create_at >= since_ms]
            if len(read) < _PAGE:
                break
        return found

    async def _list(self, channel: ChannelContext, path: str) -> list[dict[str, object]]:
        answer = await self._get(channel, path, {})
        listed = cast("list[object]", answer) if isinstance(answer, list) else []
        return [cast("dict[str, object]", one) for one in listed if isinstance(one, dict)]

    async def _get(self, channel: ChannelContext, path: str, params: Mapping[str, str]) -> object:
        url = f"{self._site.base(channel)}/{path}"
        outcome = await call(self._site.http, Call(url, method="GET", params=params, headers=bearer(channel)))
        if not isinstance(outcome, Answer) or outcome.status != 200:
            # Half a history would be taken for the whole: come back and try again.
            raise ConnectionResetError("what was missed could not be read")
        try:
            return json.loads(outcome.body)
        except ValueError:
            return None


def _accepted(frame: Mapping[str, object]) -> bool:
    """Whether this is the server's yes to our token. Raises ConnectorStoppedError when it is its no."""
    if frame.get("status") == "FAIL":
        raise ConnectorStoppedError(_REFUSED)
    return frame.get("status") == "OK"


def _events(channel: ChannelContext, raw: str | bytes) -> tuple[InboundEvent, ...]:
    try:
        return read_frame(raw, channel, time.time())
    except PayloadError:
        return ()


def _post(value: object) -> Post | None:
    try:
        return Post.model_validate(value)
    except ValidationError:
        return None
