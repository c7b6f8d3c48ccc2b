"""The wire: what clients say and what they hear, as text. Pure: no socket, no clock, no state.

`actioncable-v1-json` as its stock client speaks it. Data frames of stored events carry stream, epoch and offset, which
that client ignores and the extended protocol's client needs, so that one frame serves both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

import orjson

from realtime.errors import FrameError

PROTOCOLS: Final = ("actioncable-v1-json",)
"""What we speak, best first."""
UNSUPPORTED: Final = "actioncable-unsupported"
TOKEN_PREFIX: Final = "anycable-token."  # noqa: S105  # what stands before one, not one
MAX_FRAME_BYTES: Final = 64 * 1024
MAX_IDENTIFIER_CHARS: Final = 2048


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Wants to hear a channel; the identifier is an opaque string that holds JSON."""

    identifier: str


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Wants to hear it no more; never answered."""

    identifier: str


@dataclass(frozen=True, slots=True)
class Perform:
    """Calls an action of a subscribed channel with `data`."""

    identifier: str
    action: str
    data: dict[str, object]


@dataclass(frozen=True, slots=True)
class Ping:
    """Asks whether we are there."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A well-formed command that we do not have; stock servers stay silent on it."""


Command = Subscribe | Unsubscribe | Perform | Ping | Unknown


class Frame:
    """One frame to send, built once and shared by all sockets that get it."""

    __slots__ = ("_text", "data", "size_bytes")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size_bytes = len(data)
        self._text: str | None = None

    @property
    def text(self) -> str:
        """The frame as ASGI wants it; decoded once."""
        if self._text is None:
            self._text = self.data.decode()
        return self._text


def parse_command(text: str) -> Command:
    """Return what the client said. Raises FrameError for anything that is no command."""
    message = _object(text, "frame")
    name = message.get("command")
    if not isinstance(name, str):
        raise FrameError("no command")
    if name == "ping":
        return Ping()
    if name not in {"subscribe", "unsubscribe", "message"}:
        return Unknown()
    identifier = message.get("identifier")
    if not isinstance(identifier, str) or not 0 < len(identifier) <= MAX_IDENTIFIER_CHARS:
        raise FrameError("no usable identifier")
    if name == "subscribe":
        return Subscribe(identifier)
    if name == "unsubscribe":
        return Unsubscribe(identifier)
    return _perform(identifier, message.get("data"))


def _perform(identifier: str, raw: object) -> Perform:
    if not isinstance(raw, str):
        raise FrameError("data is no string")
    data = _object(raw, "data")
    action = data.pop("action", "receive")
    if not isinstance(action, str):
        raise FrameError("action is no string")
    return Perform(identifier, action, data)


def parse_identifier(identifier: str) -> tuple[str, dict[str, object]]:
    """Return the channel's name and the other params. Raises FrameError when it names no channel."""
    params = _object(identifier, "identifier")
    channel = params.pop("channel", None)
    if not isinstance(channel, str):
        raise FrameError("identifier names no channel")
    return channel, params


def _object(text: str, what: str) -> dict[str, object]:
    try:
        found: object = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise FrameError(f"{what} is not JSON") from error
    if not isinstance(found, dict):
        raise FrameError(f"{what} is no object")
    return cast("dict[str, object]", found)


def choose_protocol(offered: Sequence[str]) -> str | None:
    """Return the sub-protocol to answer with; None when none was offered (bare tools). Raises FrameError if none fits.

    The token that may travel among them is never an answer.
    """
    real = [name for name in offered if name and not name.startswith(TOKEN_PREFIX)]
    for ours in PROTOCOLS:
        if ours in real:
            return ours
    if UNSUPPORTED in real:
        return UNSUPPORTED
    if real:
        raise FrameError("no common sub-protocol")
    return None


def welcome(sid: str) -> Frame:
    """Say that the connection stands."""
    return Frame(orjson.dumps({"type": "welcome", "sid": sid}))


def ping(stamp: int) -> Frame:
    """Say that we are still there; `stamp` in Unix seconds, higher each time."""
    return Frame(orjson.dumps({"type": "ping", "message": stamp}))


PONG: Final = Frame(b'{"type":"pong"}')


def confirm(identifier: str) -> Frame:
    """Say that a subscription is live. A second one makes the extended protocol's client unsubscribe."""
    return Frame(orjson.dumps({"type": "confirm_subscription", "identifier": identifier}))


def reject(identifier: str) -> Frame:
    """Refuse a subscription, without a reason."""
    return Frame(orjson.dumps({"type": "reject_subscription", "identifier": identifier}))


def disconnect(reason: str, *, reconnect: bool) -> Frame:
    """Say why the connection ends and whether to come back."""
    return Frame(orjson.dumps({"type": "disconnect", "reason": reason, "reconnect": reconnect}))


def data_frame(identifier: str, payload: bytes, *, stream: str = "", epoch: str = "", offset: int = 0) -> Frame:
    """Splice a payload's bytes, unread, into a frame; with its place in the log if it is stored (`offset` > 0)."""
    parts = [b'{"identifier":', orjson.dumps(identifier), b',"message":', payload]
    if offset:
        parts += [b',"stream_id":', orjson.dumps(stream), b',"epoch":', orjson.dumps(epoch), b',"offset":%d' % offset]
    parts.append(b"}")
    return Frame(b"".join(parts))
