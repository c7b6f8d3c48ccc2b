"""What a channel is, and which there are: every module in realtime/channels registers one; a mistake stops the start.

Deny by default: a class that does not say its params, its permission, its policy and its actions cannot register.
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Generic, Protocol, TypeVar, cast
from uuid import UUID

from pydantic import BaseModel

from domain.permissions import Permission
from realtime.commands import Commands
from realtime.identity import Identity

P = TypeVar("P", bound=BaseModel)
M = TypeVar("M", bound=BaseModel)
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class ConversationRef:
    """An AI conversation that exists in the caller's account."""

    id: UUID
    public_id: str


class Resources(Protocol):
    """What channels may look up; api/finders.py says how each kind is found."""

    async def find(self, kind: type[V], account_id: UUID, key: str) -> V | None:
        """Find a thing of this kind as it is now, by its id (or its public id, where it has one).

        None for what does not exist, is another account's, or has a key that is none. Raises UnavailableError.
        """
        ...


@dataclass(frozen=True, slots=True)
class Caller(Generic[P]):
    """One subscription as a channel sees it. `transmit` answers this socket; `broadcast` passes on to all others.

    `follow(stream, notice)` says the notice to this socket whenever the stream has a new stored event, until `unfollow`.
    The stream must be one that the caller may hear. Raises InvalidInputError for too many, UnavailableError.
    """

    identity: Identity
    params: P
    streams: Sequence[str]
    resources: Resources
    commands: Commands
    transmit: Callable[[bytes], None]
    broadcast: Callable[[str, bytes], Awaitable[None]]
    follow: Callable[[str, bytes], Awaitable[None]]
    unfollow: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Action(Generic[P, M]):
    """Something a subscriber can do: the shape of its data, the permission it needs, and what it does."""

    name: str
    data: type[M]
    permission: Permission
    run: Callable[[Caller[P], M], Awaitable[None]]

    async def __call__(self, caller: Caller[P], raw: Mapping[str, object]) -> None:
        """Check the data and run. Raises pydantic.ValidationError, domain errors."""
        await self.run(caller, self.data.model_validate(raw))


class Channel(ABC, Generic[P]):
    """Base of all channels; one instance serves all sockets, so it keeps no state."""

    name: ClassVar[str]
    permission: ClassVar[Permission]
    latest_only: ClassVar[bool] = False
    """Whether each event replaces the one before: under pressure only the newest is sent."""
    presence: ClassVar[bool] = False
    """Whether subscribers may say that they are here, on the first stream."""
    whispers: ClassVar[bool] = False
    """Whether subscribers may say what they like to each other, on the first stream. It looks like any event to those
    who get it, so an action with a shape is better wherever events are believed."""
    params: type[P]
    actions: Sequence[Action[P, Any]]

    @abstractmethod
    async def authorize(self, identity: Identity, params: P, resources: Resources) -> Sequence[str]:
        """Return the streams that this caller may hear, named from what was found, never from raw params.

        Raises RejectedError: unknown, foreign and malformed must look the same.
        """

    def may_be(self, identity: Identity, member_id: str) -> bool:
        """Whether this caller may be present under an id (as JSON text): only under their own, unless overridden."""
        return self.presence and member_id == f'"{identity.user_id}"'

    def action(self, name: str) -> Action[P, Any] | None:
        """Find an action by its wire name."""
        return next((action for action in self.actions if action.name == name), None)

    async def subscribed(self, caller: Caller[P]) -> None:
        """Say what a new subscriber should know; called once the streams are live, so that no event falls between."""


AnyChannel = Channel[BaseModel]
_channels: dict[str, AnyChannel] = {}


def register(cls: type[Channel[P]]) -> type[Channel[P]]:
    """Register a channel class under its wire name. Raises RuntimeError for an incomplete or doubled declaration."""
    for missing in ("name", "params", "permission", "actions", "authorize"):
        if missing not in vars(cls):
            raise RuntimeError(f"{cls.__module__}.{cls.__name__} does not declare `{missing}`")
    params = cast("object", vars(cls)["params"])
    if not (
        isinstance(params, type) and issubclass(params, BaseModel) and params.model_config.get("extra") == "forbid"
    ):
        raise RuntimeError(f"{cls.__module__}.{cls.__name__}: params must be a pydantic model with extra='forbid'")
    channel = cls()
    needed = {channel.permission, *(action.permission for action in channel.actions)}
    if not needed <= set(Permission):
        raise RuntimeError(f"{cls.__module__}.{cls.__name__}: permissions must be of the catalogue")
    taken = _channels.get(cls.name)
    if taken is not None:
        raise RuntimeError(f"channel {cls.name!r} is claimed by {type(taken).__module__} and {cls.__module__}")
    _channels[cls.name] = cast("AnyChannel", channel)
    return cls


@cache
def discover() -> Mapping[str, AnyChannel]:
    """Import every module of realtime/channels by name order. Raises RuntimeError for one that registers none.

    Shape: wire name -> channel.
    """
    package = importlib.import_module("realtime.channels")
    for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda found: found.name):
        loaded = importlib.import_module(f"{package.__name__}.{module.name}")
        if not any(type(channel).__module__ == loaded.__name__ for channel in _channels.values()):
            raise RuntimeError(f"{loaded.__file__} registers no channel")
    return _channels
