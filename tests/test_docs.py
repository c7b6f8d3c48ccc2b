"""What docs/adding-a-channel.md tells one to write is a channel that works, written literally as it stands there."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any, cast
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from domain.agent_view import AgentView
from realtime import channel as registry
from realtime.client import ask, redis_client
from realtime.publish import Publication, Publisher
from stack.paths import ROOT
from tests.realtime.cable import identifier, running_cable
from tests.realtime.support import running_valkey

AGENT: dict[str, Any] = {
    "name": "Ada", "slug": "ada", "agent_type": "assistant", "status": "active", "provider": "local", "model": "local",
    "tools": [], "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
    "version": 1,
}  # fmt: skip
PAGE = ROOT / "docs" / "adding-a-channel.md"


@pytest.fixture
def written() -> Iterator[dict[str, Any]]:
    """The page's code, run in its order in one module; the channel is taken out of the registry again."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 2
    registry.discover()
    module = sys.modules["page"] = ModuleType("page")  # pydantic looks names up there
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), vars(module))
    yield vars(module)
    del sys.modules["page"]
    registry._channels.pop("AgentChannel")  # pyright: ignore[reportPrivateUsage]


class TestAddingAChannel:
    async def test_the_channel_of_the_page_works(self, written: dict[str, Any]) -> None:
        async with running_valkey() as valkey, contextlib.AsyncExitStack() as stack:
            redis: Redis = redis_client(valkey.url)
            stack.push_async_callback(redis.aclose)
            await ask(redis, "FLUSHALL")
            async with running_cable(redis) as cable:
                view = AgentView.model_validate({"id": uuid4(), **AGENT})
                cable.shelf.put(cable.account_id, str(view.id), view)
                async with cable.client() as client:
                    name = identifier("AgentChannel", agent_id=str(view.id))
                    assert (await client.subscribe(name))["type"] == "confirm_subscription"
                    first = cast("dict[str, Any]", await client.message())
                    assert (first["type"], first["is_initial_status"]) == ("agent_changed", True)
                    event = written["AgentChanged"](agent=view, timestamp=first["timestamp"])
                    [stream] = event.streams()
                    item = Publication(stream, uuid4().hex, event.model_dump_json().encode())
                    await Publisher(redis).publish_many([item])
                    heard = cast("dict[str, Any]", await client.message())
                    assert AgentView.model_validate(heard["agent"]) == view
                    await client.perform(name, "look")
                    assert cast("dict[str, Any]", await client.message())["is_initial_status"] is True
                    strange = await client.subscribe(identifier("AgentChannel", agent_id=str(uuid4())))
                    assert strange["type"] == "reject_subscription"

    def test_what_the_page_names_is_there(self) -> None:
        text = PAGE.read_text()
        for path in re.findall(r"`((?:api|tests|domain|docs)/[\w/]+\.(?:py|md))`", text):
            made = path == "domain/events/agents.py"
            assert made or (ROOT / path).is_file(), path
