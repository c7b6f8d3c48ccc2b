"""The adapters against the simulator, which signs, limits and parses markup as strictly as the platforms do."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from adapters.base import (
    Absent,
    Accepted,
    ChannelContext,
    Found,
    LookupRequest,
    LookupResult,
    PlatformAdapter,
    RenderedPart,
    SendRequest,
    SendResult,
    Unknown,
    WebhookRequest,
)
from adapters.models import AgentModels
from adapters.registry import Platforms, platform_names
from domain.agent import ChatMessage, ModelRequest, Role, TextDelta
from domain.errors import UnavailableError
from domain.message import TURN_KINDS, EventKind, InboundEvent, ReplyAddress
from simulator.client import SimulatorClient
from simulator.server import running_simulator
from tests.simulator.support import Bot, Hook, Request, new_bot, running_hook

MARKDOWN = """# Plan for *you*

1. **bold _nested_** and ~~gone~~ `a < b` & [docs](https://x.test/?a=1&b="2")
   - point

> quoted **text**
> on two lines

```python
print("a < b && c")
```

| a | b |
|---|---|
| 1 | 2 |

@channel <!here> <b>raw</b> 👨‍👩‍👧‍👦
"""


@dataclass
class Line:
    """A channel at the simulator, and the adapter that speaks with it."""

    bot: Bot
    adapter: PlatformAdapter
    channel: ChannelContext
    hook: Hook

    async def send(self, address: ReplyAddress, part: RenderedPart, nonce: str = "n") -> SendResult:
        request = SendRequest(address, part, nonce, lambda: None, timeout_s=5)
        return await self.adapter.send(self.channel, request)

    async def look_up(self, address: ReplyAddress, nonce: str = "n") -> LookupResult:
        since = datetime.now(UTC) - timedelta(minutes=1)
        return await self.adapter.lookup(self.channel, LookupRequest(address, nonce, since))

    async def came(self, count: int = 1) -> list[InboundEvent]:
        requests = await self.hook.wait(count)
        return [event for request in requests[:count] for event in self.read(request)]

    def read(self, request: Request) -> tuple[InboundEvent, ...]:
        headers = {name: [value] for name, value in request.headers.items()}
        webhook = WebhookRequest("POST", headers, {}, request.body)
        self.adapter.verify(webhook, self.channel, datetime.now(UTC).timestamp())
        return self.adapter.parse(webhook, self.channel).events

    async def shown(self, person: str = "alice") -> list[dict[str, Any]]:
        chats = (await self.bot.sim.phone(self.bot.name, person))["chats"]
        return [message for chat in chats for message in chat["messages"]]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def sim() -> AsyncGenerator[SimulatorClient]:
    async with running_simulator() as client:
        yield client


OPTIONS: dict[str, dict[str, Any]] = {
    "slack": {"echo_own": False},
    "whatsapp": {"receipts": []},
    "mattermost": {"echo_own": False},
}
TOLD_BY_SOCKET = {"mattermost", "discord"}
"""Where edits come by the socket only."""


async def line_to(sim: SimulatorClient, http: httpx2.AsyncClient, hook: Hook, platform: str) -> Line:
    bot = await new_bot(sim, http, hook, platform, time_factor=6000, **OPTIONS.get(platform, {}))
    adapter = Platforms(http, {platform: sim.origin}).get(platform)
    credentials = bot.credentials
    found = await adapter.check(ChannelContext("c", credentials), hook.url)
    assert found.ok, found.problems
    return Line(bot, adapter, ChannelContext("c", credentials, identity=found.identity), hook)


@pytest_asyncio.fixture(params=platform_names(), loop_scope="session")
async def line(request: pytest.FixtureRequest, sim: SimulatorClient, http: httpx2.AsyncClient) -> AsyncGenerator[Line]:
    async with running_hook() as hook:
        yield await line_to(sim, http, hook, request.param)


@pytest_asyncio.fixture(loop_scope="session")
async def slack(sim: SimulatorClient, http: httpx2.AsyncClient) -> AsyncGenerator[Line]:
    async with running_hook() as hook:
        yield await line_to(sim, http, hook, "slack")


class TestProfile:
    async def test_says_a_name_where_messages_come_without(self, line: Line) -> None:
        said = await line.bot.sim.say(line.bot.name, "alice", "hello")
        found = await line.adapter.profile(line.channel, said["user_id"])
        if not line.adapter.capabilities.names_apart:
            assert found is None
            return
        assert found is not None
        assert (found.id, found.name or found.username) == (said["user_id"], "alice")
        assert await line.adapter.profile(line.channel, "nobody") is None

    async def test_who_does_not_answer_is_asked_later(self, line: Line) -> None:
        said = await line.bot.sim.say(line.bot.name, "alice", "hello")
        if not line.adapter.capabilities.names_apart:
            return
        for kind in ("drop_before_accept", "server_error", "rate_limited"):
            await line.bot.sim.fault(kind, channel=line.bot.name, times=1)
            with pytest.raises(UnavailableError):
                await line.adapter.profile(line.channel, said["user_id"])


class TestPath:
    async def test_a_persons_words_come_in_and_an_answer_goes_back(self, line: Line) -> None:
        await line.bot.sim.say(line.bot.name, "alice", "grüß <dich> & mich 👋")
        (event,) = await line.came()
        assert event.kind in TURN_KINDS
        assert (event.text, event.ignored) == ("grüß <dich> & mich 👋", None)
        (part,) = line.adapter.render(f"You said: {event.text.replace('<', '&lt;')}")
        assert isinstance(await line.send(event.reply_to, part), Accepted)
        assert (await line.shown())[-1]["text"] == "You said: grüß <dich> & mich 👋"

    async def test_markup_is_taken_and_long_text_arrives_whole(self, line: Line) -> None:
        await line.bot.sim.say(line.bot.name, "alice", "go")
        (event,) = await line.came()
        times = line.adapter.capabilities.text_limit // 130
        parts = line.adapter.render(MARKDOWN * times)
        assert len(parts) > 1
        for number, part in enumerate(parts):
            assert isinstance(await line.send(event.reply_to, part, f"part-{number}"), Accepted)
        text = "\n".join(message["text"] for message in await line.shown() if message["bot"])
        assert text.count('print("a < b && c")') == times
        assert text.count("👨‍👩‍👧‍👦") == times
        assert "<b>raw</b>" in text

    async def test_an_edit_finds_its_original(self, line: Line) -> None:
        if line.bot.platform in TOLD_BY_SOCKET:
            return
        await line.bot.sim.say(line.bot.name, "alice", "helo")
        (event,) = await line.came()
        await line.bot.sim.say(line.bot.name, "alice", "hello", kind="edit", target=event.message_id)
        edit = (await line.came(2))[1]
        assert (edit.kind, edit.text, edit.target_message_id) == (EventKind.EDIT, "hello", event.message_id)
        assert (edit.session_key, edit.ignored) == (event.session_key, None)
        assert edit.order_key >= event.order_key


class TestLostAnswers:
    async def test_a_send_whose_answer_was_lost(self, line: Line) -> None:
        await line.bot.sim.say(line.bot.name, "alice", "go")
        (event,) = await line.came()
        (part,) = line.adapter.render("hi")
        await line.bot.sim.fault("accept_then_drop", channel=line.bot.name)
        assert isinstance(await line.send(event.reply_to, part, "arrived"), Unknown)
        await line.bot.sim.fault("drop_before_accept", channel=line.bot.name)
        assert isinstance(await line.send(event.reply_to, part, "vanished"), Unknown)
        if line.adapter.capabilities.can_look_up:
            assert isinstance(await line.look_up(event.reply_to, "arrived"), Found)
            assert await line.look_up(event.reply_to, "vanished") == Absent()


class TestSlackChannel:
    async def test_a_mention_and_its_message_are_one_item(self, slack: Line) -> None:
        await slack.bot.sim.say(slack.bot.name, "alice", "status?", chat="general", mention=True)
        twins = await slack.came(2)
        assert {event.dedup_key for event in twins} == {twins[0].dedup_key}
        assert {(event.text, event.ignored, event.mentioned_us) for event in twins} == {("status?", None, True)}
        assert twins[0].session_key == twins[1].session_key

    async def test_the_answer_opens_a_thread_and_can_be_looked_up_there(self, slack: Line) -> None:
        await slack.bot.sim.say(slack.bot.name, "alice", "status?", chat="general", mention=True)
        event = (await slack.came(2))[0]
        (part,) = slack.adapter.render("fine")
        sent = await slack.send(event.reply_to, part, "in-thread")
        assert isinstance(sent, Accepted)
        assert await slack.look_up(event.reply_to, "in-thread") == Found(sent.platform_message_id)
        answer = next(message for message in await slack.shown() if message["bot"])
        assert answer["thread"] == event.message_id


class TestModel:
    async def test_the_simulators_model_answers(self, sim: SimulatorClient, http: httpx2.AsyncClient) -> None:
        model = AgentModels(http, f"{sim.origin}/v1", "key").get("openai_compatible")
        request = ModelRequest("any", (ChatMessage(Role.USER, "how are you?"),))
        events = [event async for event in model.stream(request)]
        assert "how are you?" in "".join(event.text for event in events if isinstance(event, TextDelta))
