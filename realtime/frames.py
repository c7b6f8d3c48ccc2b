"""What clients hear, as ready frames: each is built once and shared by all sockets that get it. Pure.

Data frames of stored events carry stream, epoch and offset, which clients of the base protocol ignore and those of the
extended one need, so that one frame serves both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import orjson


class Frame:
    """One frame to send. `passing`: no log holds it, it may be dropped; `latest`: a newer one of this name replaces it."""

    __slots__ = ("_text", "_wire", "data", "latest", "passing", "size_bytes")

    def __init__(self, data: bytes, *, passing: bool = False, latest: str = "") -> None:
        self.data = data
        self.size_bytes = len(data)
        self.passing = passing
        self.latest = latest
        self._text: str | None = None
        self._wire: bytes | None = None

    @property
    def text(self) -> str:
        """The frame as ASGI wants it; decoded once."""
        if self._text is None:
            self._text = self.data.decode()
        return self._text

    @property
    def wire(self) -> bytes:
        """The frame as it travels: an unmasked, whole WebSocket text frame; built once."""
        if self._wire is None:
            size = self.size_bytes
            if size < 126:
                head = bytes((0x81, size))
            elif size < 65536:
                head = b"\x81\x7e" + size.to_bytes(2, "big")
            else:
                head = b"\x81\x7f" + size.to_bytes(8, "big")
            self._wire = head + self.data
        return self._wire


def welcome(sid: str, restored_ids: Sequence[str] | None = None) -> Frame:
    """Say that the connection stands, and which subscriptions of an earlier one it took over."""
    message: dict[str, object] = {"type": "welcome", "sid": sid}
    if restored_ids is not None:
        message |= {"restored": True, "restored_ids": restored_ids}
    return Frame(orjson.dumps(message))


def ping(stamp: int) -> Frame:
    """Say that we are still there; `stamp` is Unix time, higher each time."""
    return Frame(orjson.dumps({"type": "ping", "message": stamp}))


PONG: Final = Frame(b'{"type":"pong"}')


def confirm(identifier: str) -> Frame:
    """Say that a subscription is live. A second one makes the extended protocol's client unsubscribe."""
    return Frame(orjson.dumps({"type": "confirm_subscription", "identifier": identifier}))


def reject(identifier: str) -> Frame:
    """Refuse a subscription, without a reason."""
    return Frame(orjson.dumps({"type": "reject_subscription", "identifier": identifier}))


def confirm_history(identifier: str) -> Frame:
    """Say that all that was missed has been sent."""
    return Frame(orjson.dumps({"type": "confirm_history", "identifier": identifier}))


def reject_history(identifier: str) -> Frame:
    """Say that what was missed cannot be had; the client should fetch the state anew."""
    return Frame(orjson.dumps({"type": "reject_history", "identifier": identifier}))


def confirm_auth(expires_at: int) -> Frame:
    """Say that a new token counts from now on, until `expires_at` in Unix seconds."""
    return Frame(orjson.dumps({"type": "confirm_auth", "expires_at": expires_at}))


def reject_auth(reason: str) -> Frame:
    """Say that a new token is not good; the one before counts still."""
    return Frame(orjson.dumps({"type": "reject_auth", "reason": reason}))


def disconnect(reason: str, *, reconnect: bool) -> Frame:
    """Say why the connection ends and whether to come back."""
    return Frame(orjson.dumps({"type": "disconnect", "reason": reason, "reconnect": reconnect}))


def presence(identifier: str, payload: bytes) -> Frame:
    """Splice what happened to who is present, or who is, into a frame."""
    parts = (b'{"type":"presence","identifier":', orjson.dumps(identifier), b',"message":', payload, b"}")
    return Frame(b"".join(parts))


PRESENCE_ERROR: Final = b'{"type":"error"}'


def data(
    identifier: str, payload: bytes, *, stream: str = "", epoch: str = "", offset: int = 0, latest: bool = False
) -> Frame:
    """Splice a payload's bytes, unread, into a frame; with its place in the log if it is stored (`offset` > 0)."""
    parts = [b'{"identifier":', orjson.dumps(identifier), b',"message":', payload]
    if offset:
        parts += [b',"stream_id":', orjson.dumps(stream), b',"epoch":', orjson.dumps(epoch), b',"offset":%d' % offset]
    parts.append(b"}")
    return Frame(
        b"".join(parts), passing=bool(stream) and not offset, latest=f"{stream} {identifier}" if latest else ""
    )
