"""Orders that every process obeys, as they travel on one stream of Redis. Pure; realtime/hub.py carries them out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

import orjson

from realtime.identity import Identity

CONTROL_STREAM: Final = "realtime_control"
"""Passing messages: `{"command":"disconnect","user_id"|"account_id"|"token_id":…,"reconnect":…}`,
`{"command":"tell","account_id":…,"to":<key>}`."""
_WHOSE: Final = ("user_id", "account_id", "token_id")


@dataclass(frozen=True, slots=True)
class Disconnect:
    """End all sockets of whoever all of this is true of. Shape: name in `Identity` -> value as text, at least one."""

    wanted: Mapping[str, object]
    reconnect: bool

    def concerns(self, identity: Identity) -> bool:
        """Whether it is meant for this one."""
        return all(str(getattr(identity, key)) == value for key, value in self.wanted.items())

    def dump(self) -> bytes:
        """Return the order as it travels."""
        return orjson.dumps({"command": "disconnect", **self.wanted, "reconnect": self.reconnect})


@dataclass(frozen=True, slots=True)
class Tell:
    """Say into a list of Redis who of an account is connected."""

    account_id: str
    to: str

    def dump(self) -> bytes:
        """Return the order as it travels."""
        return orjson.dumps({"command": "tell", "account_id": self.account_id, "to": self.to})


def parse(payload: bytes) -> Disconnect | Tell | None:
    """Return the order, None for what is none."""
    try:
        message: object = orjson.loads(payload)
    except orjson.JSONDecodeError:
        message = None
    order = cast("dict[str, object]", message) if isinstance(message, dict) else {}
    if order.get("command") == "tell" and "account_id" in order and "to" in order:
        return Tell(str(order["account_id"]), str(order["to"]))
    wanted = {key: order[key] for key in _WHOSE if key in order}
    if order.get("command") != "disconnect" or not wanted:
        return None
    return Disconnect(wanted, order.get("reconnect") is True)
