"""Channels of missions, teams and people on real rows: what is another account's looks like what is nowhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI

from domain.permissions import Role
from realtime.hub import Hub
from tests.api.cable import Live, entered, served
from tests.api.conftest import Login, Person
from tests.realtime.cable import Client, identifier
from tests.realtime.examples_teams import Params, examples


@pytest.fixture
async def live(app: FastAPI, hub: Hub) -> AsyncIterator[Live]:
    async with served(app) as running:
        yield running


async def params_of(app: FastAPI, channel: str, person: Person) -> Params:
    return await examples()[channel](app.state.services.db, person.tenant.account_id, person.tenant.user_id)


def is_id(value: object) -> bool:
    try:
        UUID(str(value))
    except ValueError:
        return False
    return True


async def rejected(client: Client, name: str) -> None:
    await client.send(command="subscribe", identifier=name)
    assert await client.settled() == [{"type": "reject_subscription", "identifier": name}]


class TestEveryChannel:
    @pytest.mark.parametrize("channel", examples())
    async def test_opens_to_its_own_account_alone(self, app: FastAPI, live: Live, login: Login, channel: str) -> None:
        mine, theirs = await login(), await login()
        own, foreign = await params_of(app, channel, mine), await params_of(app, channel, theirs)
        guessed = {key: str(uuid4()) if is_id(value) else value for key, value in own.items()}
        wrong = {key: 7 if is_id(value) else value for key, value in own.items()}
        missing = {key: value for key, value in own.items() if not is_id(value)}
        async with live.client(mine) as client:
            await entered(client, identifier(channel, **own))
            for params in (foreign, guessed, wrong, missing, own | {"more": 1}):
                await rejected(client, identifier(channel, **params))

    async def test_an_accounts_missions_too(self, live: Live, login: Login) -> None:
        mine, theirs = await login(Role.VIEWER), await login()
        async with live.client(mine) as client:
            await entered(client, identifier("MissionChannel", type="account", id=str(mine.tenant.account_id)))
            await rejected(client, identifier("MissionChannel", type="account", id=str(theirs.tenant.account_id)))
            await rejected(client, identifier("MissionChannel", type="mission", id=str(mine.tenant.account_id)))
