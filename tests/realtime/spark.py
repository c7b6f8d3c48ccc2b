"""Channels for tests, of every kind that the product has or will have, and tokens that anybody can mint."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import orjson
from pydantic import BaseModel, ConfigDict, StringConstraints

from domain.errors import AuthenticationError
from domain.permissions import Permission
from realtime.channel import Action, AnyChannel, Caller, Channel, Resources
from realtime.errors import RejectedError
from realtime.identity import Identity, granted

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,40}$")]


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    name: Name = "main"
    second: Name | None = None
    key: int | str | None = None


class Anything(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


def stream_of(identity: Identity, name: str) -> str:
    return f"spark_{identity.account_id}_{name}"


async def _echo(caller: Caller[Params], data: Anything) -> None:
    caller.transmit(orjson.dumps({"echo": data.model_dump(), "name": caller.params.name}))


async def _shout(caller: Caller[Params], data: Anything) -> None:
    await caller.broadcast(caller.streams[0], orjson.dumps(data.model_dump()))


class SparkChannel(Channel[Params]):
    """One stream, or two; anybody of the account may listen, be there and whisper."""

    name = "SparkChannel"
    params = Params
    permission = Permission.SESSIONS_READ
    presence = True
    whispers = True
    actions = (
        Action("echo", Anything, Permission.SESSIONS_READ, _echo),
        Action("shout", Anything, Permission.SESSIONS_READ, _shout),
        Action("govern", Anything, Permission.CHANNELS_MANAGE, _echo),
    )

    async def authorize(self, identity: Identity, params: Params, resources: Resources) -> Sequence[str]:
        if params.name.startswith("forbidden"):
            raise RejectedError
        names = [params.name] if params.second is None else [params.name, params.second]
        return [stream_of(identity, name) for name in names]

    def may_be(self, identity: Identity, member_id: str) -> bool:
        return member_id != '"somebody else"'


class GreetingChannel(SparkChannel):
    """Says something to whoever subscribes; needs a permission that can be lost."""

    name = "GreetingChannel"
    permission = Permission.SESSIONS_REPLY
    presence = False
    whispers = False
    actions = ()

    async def subscribed(self, caller: Caller[Params]) -> None:
        caller.transmit(orjson.dumps({"welcome": caller.identity.name}))


class GaugeChannel(SparkChannel):
    """Each event replaces the one before."""

    name = "GaugeChannel"
    latest_only = True
    actions = ()


CHANNELS: Mapping[str, AnyChannel] = {
    channel.name: channel()  # pyright: ignore[reportAssignmentType]
    for channel in (SparkChannel, GreetingChannel, GaugeChannel)
}


def mint(identity: Identity) -> str:
    """Return a token that says all about an identity."""
    fields = {
        "user_id": str(identity.user_id),
        "account_id": str(identity.account_id),
        "name": identity.name,
        "permissions": sorted(identity.permissions),
        "expires_at": identity.expires_at.isoformat(),
        "token_id": identity.token_id,
    }
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")


async def authenticate(token: str) -> Identity:
    """Believe a token of `mint`. Raises AuthenticationError."""
    try:
        fields = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        identity = Identity(
            user_id=UUID(fields["user_id"]),
            account_id=UUID(fields["account_id"]),
            name=fields["name"],
            email="",
            permissions=granted(frozenset(fields["permissions"])),
            expires_at=datetime.fromisoformat(fields["expires_at"]),
            token_id=fields["token_id"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise AuthenticationError from error
    if identity.expires_at <= datetime.now(UTC):
        raise AuthenticationError("Token expired", expired=True)
    return identity
