"""Every channel of the registry, with real rows, over a real socket: what another account has is as unknown as what nobody
has, by whatever way one asks, and nothing of it arrives.

What there is to ask for is made by tests/realtime/examples_*.py; a channel without an example fails here.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from sqlalchemy import text

from api.services import Services
from db.session import Database
from domain.permissions import ROLE_PERMISSIONS, Role
from realtime.channel import discover
from realtime.hub import Hub
from realtime.identity import Identity
from realtime.publish import Publication
from realtime.standing import look
from tests.api.conftest import Login, Person
from tests.api.served import cable, serving
from tests.conftest import DatabaseUrls
from tests.realtime import examples
from tests.realtime.cable import Client, Json, identifier
from tests.realtime.examples import Params
from tests.realtime.stage import frames_until
from tests.realtime.support import until

CHANNELS = sorted(discover())
WRONG: tuple[object, ...] = (
    None, "", 0, -1, True, 1.5, [], {}, ["x"], {"id": "x"}, " ", "*", "%", "../x", "a" * 500, "\0", "' OR true --",
    "\u202e", "null",
)  # fmt: skip


def test_every_channel_has_an_example() -> None:
    assert set(examples.found()) >= set(CHANNELS), "write one in a module tests/realtime/examples_*.py"


@dataclass
class World:
    """Two accounts at one hub."""

    app: FastAPI
    hub: Hub
    port: int
    login: Login

    @property
    def services(self) -> Services:
        return self.app.state.services

    async def forms(self, channel: str, person: Person) -> list[Params]:
        """Make what a channel is about in a person's account; return each way of naming it."""
        whose = person.tenant
        return await examples.make(examples.found()[channel], self.services.db, whose.account_id, whose.user_id)

    def streams(self, person: Person, name: str) -> set[str]:
        """What a person's subscription led to."""
        account_id = person.tenant.account_id
        seen = look(self.hub.sockets(), self.hub._fanout, str(account_id))  # pyright: ignore[reportPrivateUsage]
        return {stream for one in seen for stream in one.hears.get(name, ())}

    async def streams_of(self, channel: str, person: Person, forms: list[Params]) -> set[str]:
        """Subscribe to all of them, see where they lead, and leave again."""
        async with cable(self.port, person) as (client, _):
            names = [identifier(channel, **params) for params in forms]
            for name in names:
                answer = await client.subscribe(name)
                assert answer["type"] == "confirm_subscription", (channel, name, answer)
                await client.settled()
            found = {stream for name in names for stream in self.streams(person, name)}
        assert found
        return found

    async def publish(self, streams: set[str], mark: str) -> None:
        items = [Publication(stream, uuid4().hex, json.dumps({"mark": mark}).encode()) for stream in sorted(streams)]
        await self.hub.publisher.publish_many(items)


@pytest.fixture
async def world(app: FastAPI, hub: Hub, login: Login) -> AsyncIterator[World]:
    async with serving(app) as port:
        yield World(app, hub, port, login)


def guessed(value: object) -> str:
    """Return something of the same shape that nobody has."""
    try:
        UUID(str(value))
    except ValueError:
        kept = str(value)
        return kept[:-8] + secrets.token_hex(4) if len(kept) > 8 else secrets.token_hex(4)
    return str(uuid4())


def foreign(own: Params, theirs: Params) -> Iterator[tuple[Params, Params]]:
    """Yield what names something of theirs, whole or in part, and the like that names nothing."""
    keys = [key for key in own if own[key] != theirs.get(key)]
    for taken in {tuple(keys), *((key,) for key in keys)}:
        if taken:
            yield own | {key: theirs[key] for key in taken}, own | {key: guessed(theirs[key]) for key in taken}


def misshapen(own: Params) -> Iterator[Params]:
    """Yield what lacks a param, has a wrong one, or one too many."""
    for key in own:
        yield {name: value for name, value in own.items() if name != key}
        for wrong in WRONG:
            yield own | {key: wrong}
    yield own | {"account_id_": str(uuid4())}
    yield own | {"extra": 1}


async def answer_to(client: Client, name: str) -> str:
    """Subscribe; return all that is said to it, as text, without the identifier that we chose."""
    await client.send(command="subscribe", identifier=name)
    said = json.dumps(await client.settled())
    return said.replace(json.dumps(json.dumps(name))[1:-1], "I").replace(json.dumps(name)[1:-1], "I")


REFUSED = '[{"type": "reject_subscription", "identifier": "I"}]'


@pytest.mark.parametrize("channel", CHANNELS)
class TestChannel:
    async def test_foreign_and_unknown_look_the_same(self, world: World, channel: str) -> None:
        mine, theirs = await world.login(), await world.login()
        own, other = await world.forms(channel, mine), await world.forms(channel, theirs)
        async with cable(world.port, mine) as (client, _):
            for params, like in zip(own, other, strict=True):
                for known, unknown in foreign(params, like):
                    answers = [await answer_to(client, identifier(channel, **asked)) for asked in (known, unknown)]
                    assert answers == [REFUSED, REFUSED], (known, answers)

    async def test_what_does_not_fit_is_refused_or_stays_at_home(self, world: World, channel: str) -> None:
        mine, theirs = await world.login(), await world.login()
        own, other = await world.forms(channel, mine), await world.forms(channel, theirs)
        elsewhere = await world.streams_of(channel, theirs, other)
        for params, like in zip(own, other, strict=True):
            ids = {key for key in params if params[key] != like.get(key)}
            attempts = list(misshapen(params))
            for start in range(0, len(attempts), 25):  # a socket of its own: who is rejected more often waits
                async with cable(world.port, mine) as (client, _):
                    for wrong in attempts[start : start + 25]:
                        name = identifier(channel, **wrong)
                        said = await answer_to(client, name)
                        assert not world.streams(mine, name) & elsewhere, wrong
                        # A param that is no id may have a default; one that names a thing must name it.
                        named = any(wrong.get(key) not in (None, params[key]) for key in ids)
                        if named or not wrong.keys() <= params.keys():
                            assert said == REFUSED, (wrong, said)

    async def test_nothing_of_the_other_account_arrives(self, world: World, channel: str) -> None:
        mine, theirs = await world.login(), await world.login()
        own, other = await world.forms(channel, mine), await world.forms(channel, theirs)
        first = await world.streams_of(channel, mine, own)
        second = await world.streams_of(channel, theirs, other)
        assert not first & second
        async with cable(world.port, mine) as (client, _), cable(world.port, theirs) as (stranger, _):
            for asking, forms in ((client, own + other), (stranger, other)):
                for params in forms:
                    await asking.send(command="subscribe", identifier=identifier(channel, **params))
                await asking.settled()
            await world.publish(second, "theirs")
            await world.publish(first, "mine")
            assert await marks(client, "mine") == {"mine"}
            assert await marks(stranger, "theirs") == {"theirs"}

    async def test_a_restored_socket_is_authorised_anew(self, world: World, channel: str) -> None:
        mine, theirs = await world.login(), await world.login()
        own, other = await world.forms(channel, mine), await world.forms(channel, theirs)
        kept = [identifier(channel, **params) for params in own]
        strange = [identifier(channel, **params) for params in other if params not in own]
        sid = secrets.token_urlsafe(16)
        world.hub.sessions.remember(sid, identity(mine), [*strange, *kept])
        async with cable(world.port, mine, sid=sid) as (_, welcome):
            assert (welcome["restored"], welcome["restored_ids"]) == (True, kept)

    async def test_somebody_elses_socket_is_not_restored(self, world: World, channel: str) -> None:
        mine, theirs = await world.login(), await world.login()
        names = [identifier(channel, **params) for params in await world.forms(channel, theirs)]
        async with cable(world.port, theirs) as (client, welcome):
            for name in names:
                await client.subscribe(name)
            sid = str(welcome["sid"])
        async with cable(world.port, mine, sid=sid) as (_, again):
            assert "restored" not in again
            assert not {stream for name in names for stream in world.streams(mine, name)}

    async def test_the_history_of_a_foreign_stream_is_not_told(self, world: World, channel: str) -> None:
        mine, theirs = await world.login(), await world.login()
        own, other = await world.forms(channel, mine), await world.forms(channel, theirs)
        first = await world.streams_of(channel, mine, own)
        second = await world.streams_of(channel, theirs, other)
        await world.publish(second, "theirs")
        await world.publish(first, "mine")
        async with cable(world.port, theirs) as (stranger, _):
            name = identifier(channel, **other[0])
            await stranger.send(command="subscribe", identifier=name, history={"since": 0})
            told = await frames_until(stranger, "confirm_history")
        places = {str(frame["stream_id"]): frame for frame in told if "stream_id" in frame}
        assert places.keys() <= second
        assert places
        wanted = {stream: {"epoch": frame["epoch"], "offset": 0} for stream, frame in places.items()}
        async with cable(world.port, mine) as (client, _):
            name = identifier(channel, **own[0])
            await client.send(command="subscribe", identifier=name, history={"since": 0, "streams": wanted})
            heard = await frames_until(client, "confirm_history")
            await client.send(command="history", identifier=name, history={"since": 0, "streams": wanted})
            heard += await frames_until(client, "confirm_history")
        assert {str(frame["stream_id"]) for frame in heard if "stream_id" in frame} <= first
        assert "theirs" not in json.dumps(heard)
        assert "mine" in json.dumps(heard)

    async def test_who_is_put_out_hears_no_more(self, world: World, channel: str, database_urls: DatabaseUrls) -> None:
        mine = await world.login()
        own = await world.forms(channel, mine)
        streams = await world.streams_of(channel, mine, own)
        async with cable(world.port, mine) as (client, _):
            await client.subscribe(identifier(channel, **own[0]))
            await client.settled()
            await as_owner(database_urls, "DELETE FROM memberships WHERE user_id = :id", id=mine.tenant.user_id)
            await world.app.state.revocation.look()
            await until(lambda: not world.streams(mine, identifier(channel, **own[0])), "the end of the subscription")
            await world.publish(streams, "secret")
            frames, _ = await client.until_closed()
        assert frames[-1] == {"type": "disconnect", "reason": "unauthorized", "reconnect": False}
        assert "secret" not in json.dumps(frames)

    async def test_who_lost_a_role_keeps_what_the_new_one_may(
        self, world: World, channel: str, database_urls: DatabaseUrls
    ) -> None:
        mine = await world.login()
        name = identifier(channel, **(await world.forms(channel, mine))[0])
        async with cable(world.port, mine) as (client, welcome):
            await client.subscribe(name)
            await client.settled()
            demote = "UPDATE memberships SET role = :role WHERE user_id = :id"
            await as_owner(database_urls, demote, role=Role.VIEWER.value, id=mine.tenant.user_id)
            await world.app.state.revocation.look()
            frames, _ = await client.until_closed()
            assert frames[-1] == {"type": "disconnect", "reason": "permissions_changed", "reconnect": True}
        stays = discover()[channel].permission in ROLE_PERMISSIONS[Role.VIEWER]
        async with cable(world.port, mine, sid=str(welcome["sid"])) as (client, again):
            assert again["restored_ids"] == ([name] if stays else [])


class TestRoles:
    @pytest.mark.parametrize("role", list(Role))
    async def test_each_channel_admits_those_with_its_permission(self, world: World, role: Role) -> None:
        person = await world.login(role)
        async with cable(world.port, person) as (client, _):
            for channel in CHANNELS:
                name = identifier(channel, **(await world.forms(channel, person))[0])
                allowed = discover()[channel].permission in ROLE_PERMISSIONS[role]
                said = await answer_to(client, name)
                assert (said != REFUSED) is allowed, (role, channel, said)

    async def test_each_action_needs_its_own(self, world: World) -> None:
        async with AsyncExitStack() as ending:
            viewer = await world.login(Role.VIEWER)
            client, _ = await ending.enter_async_context(cable(world.port, viewer))
            for channel in CHANNELS:
                if discover()[channel].permission not in ROLE_PERMISSIONS[Role.VIEWER]:
                    continue
                name = identifier(channel, **(await world.forms(channel, viewer))[0])
                await client.subscribe(name)
                for action in discover()[channel].actions:
                    if action.permission not in ROLE_PERMISSIONS[Role.VIEWER]:
                        await client.settled()
                        await client.perform(name, action.name)
                        [refusal] = [frame["message"] for frame in await client.settled()]
                        assert f"needs the permission {action.permission}" in str(refusal), (channel, action.name)


def identity(person: Person) -> Identity:
    """Whose record of a socket it would be."""
    return Identity(person.tenant.user_id, person.tenant.account_id, "", "", frozenset(), datetime.now(UTC), "")


async def marks(client: Client, last: str) -> set[Any]:
    """Return the marks of all events that have come; `last` is one that must be among them."""
    frames: list[Json] = [await client.next()]
    while mark_of(frames[-1]) != last:
        frames.append(await client.next())
    return {mark for frame in frames + await client.settled() if (mark := mark_of(frame)) is not None}


def mark_of(frame: Json) -> object:
    message = frame.get("message")
    return cast("Json", message).get("mark") if isinstance(message, dict) else None


async def as_owner(urls: DatabaseUrls, statement: str, **values: object) -> None:
    """Change what no route changes."""
    owner = Database(urls.owner, pool_size=1)
    async with owner.open() as conn:
        await conn.execute(text(statement), values)
    await owner.close()
