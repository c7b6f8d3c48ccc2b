"""Arguments of an API call, from a query, a form or JSON, read with the platforms' own leniency. No platform's rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request

from simulator.records import Json

_TRUE: Final = frozenset({"true", "1", "yes"})


class BadArgumentsError(ValueError):
    """The body cannot be read at all."""


class Args:
    """Values by name; every getter returns None where the value is absent or of another kind."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self.values = dict(values)

    def has(self, name: str) -> bool:
        """Return whether something was given."""
        return self.values.get(name) not in (None, "")

    def text(self, name: str) -> str | None:
        """Return text, or a number as text."""
        value = self.values.get(name)
        return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None

    def number(self, name: str) -> int | None:
        """Return an integer, also from digits."""
        value = self.values.get(name)
        if isinstance(value, int):
            return int(value)
        return int(value) if isinstance(value, str) and value.lstrip("-").isdecimal() else None

    def flag(self, name: str) -> bool:
        """Return whether it is on; absent is off."""
        value = self.values.get(name)
        return value is True or str(value).lower() in _TRUE

    def object(self, name: str) -> Json | None:
        """Return an object, also from its JSON."""
        value = self._parsed(name)
        return cast("Json", value) if isinstance(value, dict) else None

    def items(self, name: str) -> list[object] | None:
        """Return a list, also from its JSON."""
        value = self._parsed(name)
        return cast("list[object]", value) if isinstance(value, list) else None

    def _parsed(self, name: str) -> object:
        value = self.values.get(name)
        if not isinstance(value, str):
            return value
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return None


def parse_object(body: bytes) -> Json:
    """Return the JSON object. Raises BadArgumentsError for anything else."""
    try:
        value: object = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadArgumentsError(str(error)) from error
    if not isinstance(value, dict):
        raise BadArgumentsError("not an object")
    return cast("Json", value)


async def read_args(request: Request) -> Args:
    """Return query and body together; the body wins. Raises BadArgumentsError."""
    values: dict[str, object] = dict(request.query_params)
    body = await request.body()
    if body:
        kind = request.headers.get("content-type", "")
        if kind.startswith("application/json"):
            values |= parse_object(body)
        elif kind.startswith("application/x-www-form-urlencoded"):
            values |= dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        else:
            raise BadArgumentsError(f"unsupported content type {kind!r}")
    return Args(values)
