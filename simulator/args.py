"""Arguments of an API call, from a query, a form (with files) or JSON, read with the platforms' own leniency. No platform's rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast
from urllib.parse import parse_qsl

import orjson
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request

from simulator.bot_files import GivenFile
from simulator.records import Json

_TRUE: Final = frozenset({"true", "1", "yes"})


class BadArgumentsError(ValueError):
    """The body cannot be read at all."""


class Args:
    """Values by name; every getter returns None where the value is absent or of another kind."""

    def __init__(self, values: Mapping[str, object], files: Mapping[str, GivenFile] | None = None) -> None:
        self.values = dict(values)
        self.files = dict(files or {})
        self.origin = ""
        """Where the request came to, for answers that name an address."""

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


async def _read_form(request: Request) -> Args:
    """Return the fields of a multipart form; a file stands among the values by its name. A `payload_json` is unpacked."""
    values, files = dict[str, object](request.query_params), dict[str, GivenFile]()
    try:
        async with request.form(max_part_size=4 << 20) as form:
            for name, value in form.multi_items():
                if isinstance(value, UploadFile):
                    given = GivenFile(value.filename or "", value.content_type or "", await value.read())
                    files[name] = given
                    values[name] = given.name
                else:
                    values[name] = value
    except (HTTPException, MultiPartException) as error:
        raise BadArgumentsError(str(error)) from error
    packed = values.pop("payload_json", None)
    return Args(values | (parse_object(str(packed).encode()) if packed is not None else {}), files)


async def read_args(request: Request) -> Args:
    """Return query and body together; the body wins. Raises BadArgumentsError."""
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        return await _read_form(request)
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
