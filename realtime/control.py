"""Orders that every process obeys, as they travel on one stream of Redis. Pure; realtime/hub.py carries them out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

import orjson

from realtime.identity import Identity

CONTROL_STREAM: Final = "realtime_control"
"""Passing messages: `{"command":"disconnect","user_id"|"account_id"|"token_id":…,"reconnect":…}`."""
_WHOSE: Final = ("user_id", "account_id", "token_id")


@dataclass(frozen=True, slots=True)
class Disconnect:
    """End all sockets of whoever all of this is true of. Shape: name in `Identity` -> value as text, at least one."""

    wanted: Mapping[str, object]
    reconnect: bool

    def concerns(self, identity: Identity) -> bool:
        """Whether it is meant for this one."""
        return all(str(getattr(identity, key)) == value for key, value in self.wanted.items())


def parse(payload: bytes) -> Disconnect | None:
    """Return the order, None for what is none."""
    try:
        message: object = orjson.loads(payload)
    except orjson.JSONDecodeError:
        message = None
    order = cast("dict[str, object]", message) if isinstance(message, dict) else {}
    wanted = {key: order[key] for key in _WHOSE if key in order}
    if order.get("command") != "disconnect" or not wanted:
        return None
    return Disconnect(wanted, order.get("reconnect") is True)
