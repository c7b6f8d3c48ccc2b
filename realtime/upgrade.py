"""What a request to the hub offers, read off its ASGI scope: tokens, headers, the peer; and taking its secrets out again.

The apps of the hub call it. It judges nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from math import isfinite
from typing import Any, Final, cast
from urllib.parse import parse_qsl, urlencode

from realtime import protocol

Scope = MutableMapping[str, Any]

_TOKEN_PARAMS: Final = ("token", "jid")
_SECRET_PARAMS: Final = (*_TOKEN_PARAMS, "sid")


def seconds(text: str) -> float | None:
    """Return the finite number that a query parameter gives, or None."""
    try:
        asked = float(text)
    except ValueError:
        return None
    return asked if isfinite(asked) else None


def peer(scope: Scope) -> str:
    """Return the address at the other end of the socket, "" where the server does not know it."""
    client = cast("tuple[str, int] | None", scope.get("client"))
    return client[0] if client else ""


def headers(scope: Scope) -> dict[str, str]:
    """Return the headers by lower-case name."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def tokens(scope: Scope, given: Mapping[str, str], query: Mapping[str, str]) -> list[str]:
    """Return the tokens offered, the best kept way first: sub-protocol, headers, query (which lands in access logs)."""
    offered = cast("list[str]", scope.get("subprotocols", []))
    found = [name.removeprefix(protocol.TOKEN_PREFIX) for name in offered if name.startswith(protocol.TOKEN_PREFIX)]
    found.append(given.get("x-jid", ""))
    scheme, _, credentials = given.get("authorization", "").partition(" ")
    found.append(credentials.strip() if scheme.lower() == "bearer" else "")
    found += [query.get(name, "") for name in _TOKEN_PARAMS]
    return [token for token in found if token]


def redact(scope: Scope) -> None:
    """Take the token out of the scope: the server logs the URL from it when the socket is accepted."""
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    kept = [(name, "redacted" if name in _SECRET_PARAMS else value) for name, value in pairs]
    scope["query_string"] = urlencode(kept).encode()
