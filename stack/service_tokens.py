"""`powernode token`: makes, lists and revokes service tokens of the running stack, as its administrator would over REST."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import httpx2

from stack.api_client import ApiClient, RefusedError
from stack.service import StartError
from stack.state import StackState

PATH: Final = "/api/v1/service_tokens"


def add(state: StackState, name: str, permissions: Sequence[str], prefixes: Sequence[str], *, as_json: bool) -> int:
    """Make a token and print it: it is shown now and never again. Returns the command's status."""
    fields = {"name": name, "permissions": list(permissions), "stream_prefixes": list(prefixes)}
    return _run(state, "POST", PATH, {"service_token": fields}, as_json=as_json)


def listing(state: StackState, *, as_json: bool) -> int:
    """Print the tokens, the valid ones first. Returns the command's status."""
    return _run(state, "GET", f"{PATH}?per_page=100", as_json=as_json)


def revoke(state: StackState, token_id: str, *, as_json: bool) -> int:
    """Make a token invalid. Returns the command's status."""
    return _run(state, "DELETE", f"{PATH}/{token_id}", as_json=as_json)


def _run(state: StackState, method: str, path: str, body: object = None, *, as_json: bool) -> int:
    try:
        data = asyncio.run(_call(state, method, path, body))
    except RefusedError as refused:
        sys.stderr.write(f"{refused.reason}\n")
        return 1
    except (StartError, httpx2.HTTPError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if as_json:
        sys.stdout.write(f"{json.dumps(data)}\n")
    elif "token" in data:
        sys.stdout.write(f"{data['token']}\n")
    else:
        one = [data["service_token"]] if "service_token" in data else data["items"]
        sys.stdout.writelines(_line(token) for token in cast("list[Mapping[str, Any]]", one))
    return 0


async def _call(state: StackState, method: str, path: str, body: object) -> Mapping[str, Any]:
    async with ApiClient(state) as api:
        return cast("Mapping[str, Any]", await api.call(method, path, body))


def _line(token: Mapping[str, Any]) -> str:
    standing = "revoked" if token["revoked_at"] else "valid"
    scope = " ".join([*token["permissions"], *(f"{prefix}*" for prefix in token["stream_prefixes"])])
    return f"{token['id']}  {standing:7}  {token['name']}  {scope}\n"
