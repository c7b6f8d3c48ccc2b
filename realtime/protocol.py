"""What clients say, as text: `actioncable-v1-json` and `actioncable-v1-ext-json`. Pure: no socket, no clock, no state.

What they hear is in realtime/frames.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

import orjson

from realtime.backlog import HistoryRequest, Position
from realtime.errors import FrameError

BASE: Final = "actioncable-v1-json"
EXTENDED: Final = "actioncable-v1-ext-json"
PROTOCOLS: Final = (EXTENDED, BASE)
"""What we speak, best first."""
UNSUPPORTED: Final = "actioncable-unsupported"
TOKEN_PREFIX: Final = "anycable-token."  # noqa: S105  # what stands before one, not one
MAX_FRAME_BYTES: Final = 64 * 1024
MAX_IDENTIFIER_CHARS: Final = 2048
MAX_MEMBER_CHARS: Final = 128
MAX_INFO_BYTES: Final = 2048


@dataclass(frozen=True, slots=True)
class Member:
    """Who a client says is present: `id` as JSON text, `info` any JSON as bytes."""

    id: str
    info: bytes = b"null"


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Wants to hear a channel; the identifier is an opaque string that holds JSON."""

    identifier: str
    history: HistoryRequest | None = None
    member: Member | None = None


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
class History:
    """Wants what it missed of a subscribed channel."""

    identifier: str
    history: HistoryRequest


@dataclass(frozen=True, slots=True)
class Whisper:
    """Says something to all other subscribers; `data` is JSON."""

    identifier: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Join:
    """Becomes present on a subscribed channel."""

    identifier: str
    member: Member


@dataclass(frozen=True, slots=True)
class Leave:
    """Is present no more."""

    identifier: str


@dataclass(frozen=True, slots=True)
class Presence:
    """Asks who is present, or only how many."""

    identifier: str
    records: bool


@dataclass(frozen=True, slots=True)
class Auth:
    """Brings a new token before the old one ends."""

    token: str


@dataclass(frozen=True, slots=True)
class Ping:
    """Asks whether we are there."""


@dataclass(frozen=True, slots=True)
class Pong:
    """Answers our ping."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A well-formed command that we do not have; stock servers stay silent on it."""


Addressed = Perform | History | Whisper | Join | Leave | Presence
"""What needs a live subscription."""
Command = Subscribe | Unsubscribe | Addressed | Auth | Ping | Pong | Unknown
_BARE: Final[dict[str, Command]] = {"ping": Ping(), "pong": Pong()}
_ADDRESSED: Final = frozenset(
    {"subscribe", "unsubscribe", "message", "history", "whisper", "join", "leave", "presence"}
)


def parse_command(text: str) -> Command:
    """Return what the client said. Raises FrameError for anything that is no command."""
    message = _object(text, "frame")
    name = message.get("command")
    if not isinstance(name, str):
        raise FrameError("no command")
    if name in _BARE:
        return _BARE[name]
    if name == "auth":
        return Auth(_text(message.get("token"), "token", MAX_FRAME_BYTES))
    if name not in _ADDRESSED:
        return Unknown()
    return _addressed(name, _text(message.get("identifier"), "identifier", MAX_IDENTIFIER_CHARS), message)


def _addressed(name: str, identifier: str, message: dict[str, object]) -> Command:
    match name:
        case "subscribe":
            return Subscribe(identifier, _history(message.get("history")), _member(message.get("presence")))
        case "unsubscribe":
            return Unsubscribe(identifier)
        case "message":
            return _perform(identifier, message.get("data"))
        case "history":
            return History(identifier, _history(message.get("history")) or HistoryRequest())
        case "whisper":
            return Whisper(identifier, _json(message.get("data")))
        case _:
            return _about_presence(name, identifier, message)


def _about_presence(name: str, identifier: str, message: dict[str, object]) -> Command:
    if name == "leave":
        return Leave(identifier)
    if name == "presence":
        asked = message.get("data")
        return Presence(identifier, asked is None or _fields(asked, "data").get("return_records") is not False)
    member = _member(message.get("presence"))
    if member is None:
        raise FrameError("nobody to join")
    return Join(identifier, member)


def _perform(identifier: str, raw: object) -> Perform:
    if not isinstance(raw, str):
        raise FrameError("data is no string")
    data = _object(raw, "data")
    action = data.pop("action", "receive")
    if not isinstance(action, str):
        raise FrameError("action is no string")
    return Perform(identifier, action, data)


def _history(raw: object) -> HistoryRequest | None:
    if raw is None:
        return None
    wanted = _fields(raw, "history")
    since = wanted.get("since")
    if since is not None and (
        isinstance(since, bool) or not isinstance(since, int | float) or not math.isfinite(since)
    ):
        raise FrameError("since is no time")
    streams = _fields(wanted.get("streams") or {}, "streams")
    return HistoryRequest(since, {name: _position(position) for name, position in streams.items()})


def _position(raw: object) -> Position:
    fields = _fields(raw, "a position")
    epoch, offset = fields.get("epoch"), fields.get("offset")
    if not isinstance(epoch, str) or isinstance(offset, bool) or not isinstance(offset, int) or offset < 0:
        raise FrameError("a position is not whole")
    return Position(epoch, offset)


def _member(raw: object) -> Member | None:
    if raw is None:
        return None
    fields = _fields(raw, "presence")
    who = fields.get("id")
    if isinstance(who, bool) or not isinstance(who, str | int) or len(str(who)) > MAX_MEMBER_CHARS:
        raise FrameError("presence has no id")
    info = _json(fields.get("info"))
    if len(info) > MAX_INFO_BYTES:
        raise FrameError("presence info is too big")
    return Member(orjson.dumps(who).decode(), info)


def parse_identifier(identifier: str) -> tuple[str, dict[str, object]]:
    """Return the channel's name and the other params. Raises FrameError when it names no channel."""
    params = _object(identifier, "identifier")
    channel = params.pop("channel", None)
    if not isinstance(channel, str):
        raise FrameError("identifier names no channel")
    return channel, params


def _text(found: object, what: str, max_chars: int) -> str:
    if not isinstance(found, str) or not 0 < len(found) <= max_chars:
        raise FrameError(f"no usable {what}")
    return found


def _json(found: object) -> bytes:
    try:
        return orjson.dumps(found)
    except orjson.JSONEncodeError as error:  # what may be read may still be nested too deep to be written
        raise FrameError("nested too deep") from error


def _object(text: str, what: str) -> dict[str, object]:
    try:
        found: object = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise FrameError(f"{what} is not JSON") from error
    return _fields(found, what)


def _fields(found: object, what: str) -> dict[str, object]:
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
