"""A webhook in a process that has seen the channel before: what it remembers is never trusted alone."""

from __future__ import annotations

from dataclasses import dataclass

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from db.session import Database
from tests.api.conftest import Login, Person, client_of


@dataclass
class Hook:
    """Sends messages to a channel's webhook with one secret."""

    client: httpx2.AsyncClient
    person: Person
    number: int = 0

    async def send(self, secret: str = "s3cret") -> int:
        """Send a message that was never sent before; return the status."""
        self.number += 1
        update = {
            "update_id": self.number,
            "message": {
                "message_id": self.number,
                "date": 1_764_000_000,
                "chat": {"id": 5, "type": "private"},
                "from": {"id": 5, "is_bot": False, "first_name": "Alice"},
                "text": f"message {self.number}",
            },
        }
        answer = await self.client.post(
            f"/api/v1/chat/webhooks/{self.person.tenant.webhook_token}",
            json=update,
            headers={"X-Telegram-Bot-Api-Secret-Token": secret},
        )
        return answer.status_code

    async def stored(self, database: Database) -> int:
        """Return how many messages there are."""
        async with database.account(self.person.tenant.account_id) as conn:
            return (await conn.execute(text("SELECT count(*) FROM chat_messages"))).scalar_one()


@pytest.fixture
async def hook(app: FastAPI, login: Login) -> Hook:
    known = Hook(client_of(app), await login())
    assert await known.send() == 200
    return known


def channel_path(person: Person) -> str:
    return f"/chat/channels/{person.tenant.channel_id}"


class TestRememberedChannel:
    async def test_takes_more_messages(self, hook: Hook, database: Database) -> None:
        assert [await hook.send() for _ in range(3)] == [200, 200, 200]
        assert await hook.stored(database) == 4

    async def test_a_rotated_secret_counts_at_once(self, hook: Hook, database: Database) -> None:
        path = f"/api/v1{channel_path(hook.person)}"
        changed = await hook.person.client.patch(path, json={"channel": {"credentials": {"webhook_secret": "another"}}})
        assert changed.status_code == 200
        # The old secret still fits what is remembered: the database says that it is old.
        assert await hook.send("s3cret") == 401
        assert await hook.send("another") == 200
        assert await hook.stored(database) == 2

    async def test_a_secret_that_is_newer_than_what_is_remembered_is_accepted(
        self, hook: Hook, database: Database
    ) -> None:
        path = f"/api/v1{channel_path(hook.person)}"
        await hook.person.client.patch(path, json={"channel": {"credentials": {"webhook_secret": "another"}}})
        assert await hook.send("another") == 200
        assert await hook.stored(database) == 2

    async def test_a_wrong_secret_is_refused(self, hook: Hook, database: Database) -> None:
        assert await hook.send("wrong") == 401
        assert await hook.stored(database) == 1

    async def test_a_rotated_address_is_gone_at_once(self, hook: Hook, database: Database) -> None:
        rotated = await hook.person.post(f"{channel_path(hook.person)}/regenerate_token")
        assert rotated.status_code == 200
        assert await hook.send() == 404
        assert await hook.stored(database) == 1
