"""`powernode say`: a person writes on a simulated platform, and the answer is watched live, from webhook to receipt.

Everything is real but the platform: a signed webhook over HTTP, or the platform's own socket, the running api and worker,
`/cable`, the receipt.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from rich.console import Console
from rich.table import Table
from websockets.asyncio.client import ClientConnection, connect

from simulator.client import SimulatorClient
from stack.api_client import ApiClient
from stack.service import StartError
from stack.state import StackState

Json = dict[str, Any]
_VOICE: Final = frozenset({".ogg", ".oga", ".opus"})


@dataclass(frozen=True, slots=True)
class Wish:
    """What to say, as whom, where; and a file to send along."""

    platform: str
    person: str
    text: str
    timeout_s: float = 60.0
    file: Path | None = None

    def files(self) -> list[Json]:
        """Return the file as the simulator takes it; an Ogg file is a voice message. Raises StartError."""
        if self.file is None:
            return []
        try:
            content = base64.b64encode(self.file.read_bytes()).decode()
        except OSError as error:
            raise StartError(f"{self.file} cannot be read: {error.strerror}") from error
        voice = {"kind": "voice", "mime_type": "audio/ogg"} if self.file.suffix in _VOICE else {}
        return [{"name": self.file.name, "content_base64": content} | voice]


@dataclass
class Story:
    """What was seen, with the seconds since the person wrote."""

    session_id: str = ""
    trace_id: str = ""
    answer: str = ""
    receipt: Json = field(default_factory=dict[str, Any])
    hops: dict[str, float] = field(default_factory=dict[str, float])
    link: str | None = None


class Cable:
    """A socket on `/cable` with subscriptions to come."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def subscribe(self, channel: str, **params: str) -> None:
        """Subscribe; events follow on `events`."""
        identifier = json.dumps({"channel": channel, **params})
        await self._socket.send(json.dumps({"command": "subscribe", "identifier": identifier}))

    async def confirmed(self) -> None:
        """Wait until a subscription is live. Raises StartError when it is refused."""
        async for frame in self._socket:
            kind = json.loads(frame).get("type")
            if kind == "confirm_subscription":
                return
            if kind in {"reject_subscription", "disconnect"}:
                raise StartError("The socket was refused")

    async def events(self) -> AsyncGenerator[Json]:
        """Yield what the channels say."""
        async for frame in self._socket:
            message = json.loads(frame).get("message")
            if isinstance(message, dict):
                yield cast("Json", message)


@asynccontextmanager
async def open_cable(state: StackState, token: str) -> AsyncGenerator[Cable]:
    """Connect with the token in the sub-protocol list, where no log sees it."""
    protocols = ["actioncable-v1-json", f"anycable-token.{token}"]
    async with connect(state.cable_url, subprotocols=protocols, proxy=None) as socket:  # pyright: ignore[reportArgumentType]
        yield Cable(socket)


class Watch:
    """Follows one message: from the session's first word of it to the platform's receipt."""

    def __init__(self, console: Console | None, wish: Wish, started: float) -> None:
        self.story = Story()
        self._console = console
        self._wish = wish
        self._started = started
        self._attempt = 0
        self._reply_id = ""

    def mark(self, hop: str) -> None:
        """Note when a hop was first seen."""
        self.story.hops.setdefault(hop, round(time.perf_counter() - self._started, 3))

    def take(self, event: Json) -> bool:
        """Take an event; True when the story has ended."""
        handler = {
            "ai_response_streaming": self._delta,
            "ai_response_complete": self._complete,
            "message_created": self._created,
            "message_status": self._status,
        }.get(str(event.get("type")))
        return bool(handler and handler(event))

    def _delta(self, event: Json) -> bool:
        self.mark("first words")
        if event["attempt"] != self._attempt and self._attempt and self._console:
            self._console.print("\n[dim](started over)[/dim]")
        self._attempt = event["attempt"]
        if self._console:
            self._console.print(event["delta"], end="", highlight=False, markup=False)
        return False

    def _complete(self, event: Json) -> bool:
        self.story.answer = event["message"]["content"]
        self.mark("answer recorded")
        if self._console and "first words" not in self.story.hops:
            self._console.print(self.story.answer, end="", highlight=False, markup=False)
        return False

    def _created(self, event: Json) -> bool:
        message = event["message"]
        ours = not self._wish.text or message.get("content") == self._wish.text
        if message.get("direction") == "inbound" and ours:
            self.story.trace_id = message["trace_id"]
        if message.get("direction") == "outbound":
            self._reply_id = message["id"]
        return False

    def _status(self, event: Json) -> bool:
        if event["message_id"] != self._reply_id or event["delivery_status"] == "pending":
            return False
        self.mark(f"platform: {event['delivery_status']}")
        self.story.receipt = event["message"]
        return True


async def _session_of(api: ApiClient, channel_id: str, person_id: str) -> Json | None:
    path = f"/api/v1/chat/sessions?channel_id={channel_id}&platform_user_id={person_id}"
    items = cast("list[Json]", (await api.call("GET", path))["items"])
    return items[0] if items else None


async def say(state: StackState, wish: Wish, console: Console | None) -> Story:
    """Say it and follow the answer. Raises StartError, TimeoutError."""
    channel = state.demo_channels.get(wish.platform)
    if channel is None or state.simulator_url is None:
        raise StartError(f"no demo channel for {wish.platform!r}; one of: {', '.join(state.demo_channels)}")
    async with SimulatorClient(state.simulator_url) as simulator, ApiClient(state) as api:
        name = str(cast("Json", (await api.call("GET", f"/api/v1/chat/channels/{channel.id}"))["channel"])["name"])
        person = await simulator.post("people", {"channel": name, "name": wish.person})
        async with open_cable(state, await api.token()) as cable, asyncio.timeout(wish.timeout_s):
            await cable.subscribe("ChatChannelChannel", channel_id=channel.id)
            await cable.confirmed()
            known = await _session_of(api, channel.id, str(person["user_id"]))
            if known is not None:
                await _follow(cable, known)
            watch = Watch(console, wish, time.perf_counter())
            sent = await simulator.say(name, wish.person, wish.text, wait=True, files=wish.files())
            if sent["statuses"]:
                watch.mark("webhook answered")
            if set(sent["statuses"]) - {200}:
                raise StartError(f"the webhook was answered {sent['statuses']}")
            return await _until_delivered(state, cable, watch, known)


async def _follow(cable: Cable, session: Json) -> None:
    await cable.subscribe("ChatSessionChannel", session_id=session["id"])
    await cable.confirmed()
    await cable.subscribe("AiConversationChannel", conversation_id=session["ai_conversation_id"])
    await cable.confirmed()


async def _until_delivered(state: StackState, cable: Cable, watch: Watch, known: Json | None) -> Story:
    session = known
    async for event in cable.events():
        if session is None and event.get("type") == "session_updated":
            # A first message makes its session: from here on its own channels tell the rest.
            found: Json = event["session"]
            session = found
            await cable.subscribe("ChatSessionChannel", session_id=found["id"])
            await cable.subscribe("AiConversationChannel", conversation_id=found["ai_conversation_id"])
        if session is not None:
            watch.story.session_id = session["id"]
        if watch.take(event):
            break
        fresh = known is None and session is not None and event.get("type") == "subscription.confirmed"
        if fresh and session is not None and await _catch_up(state, watch, session["id"]):
            break
    story = watch.story
    if state.temporal_ui_url:
        story.link = (
            f"{state.temporal_ui_url}/namespaces/{state.temporal_namespace}/workflows/session:{story.session_id}"
        )
    return story


async def _catch_up(state: StackState, watch: Watch, session_id: str) -> bool:
    """Read what happened before the first subscription was live; True when all of it had."""
    async with ApiClient(state) as api:
        data = await api.call("GET", f"/api/v1/chat/sessions/{session_id}/messages")
    done = False
    for message in reversed(cast("list[Json]", data["items"])):
        watch.take({"type": "message_created", "message": message})
        if message["direction"] == "outbound":
            watch.take({"type": "ai_response_complete", "message": message})
            status = {"message_id": message["id"], "delivery_status": message["delivery_status"], "message": message}
            done = watch.take({"type": "message_status", **status})
    return done


def _print(console: Console, story: Story) -> None:
    table = Table.grid(padding=(0, 2))
    for hop, seconds in story.hops.items():
        table.add_row(f"[dim]{hop}[/dim]", f"{seconds * 1000:.0f} ms")
    for part in story.receipt.get("delivery_detail", []):
        table.add_row("[dim]receipt[/dim]", f"{part['status']}, the platform's id {part['platform_message_id']}")
    table.add_row("[dim]trace[/dim]", story.trace_id)
    console.print()
    console.print(table)
    if story.link:
        console.print(story.link, soft_wrap=True, highlight=False)


def run(state: StackState, wish: Wish, *, as_json: bool, console: Console | None = None) -> int:
    """Run the command; returns the exit status."""
    shown = console or Console()
    try:
        story = asyncio.run(say(state, wish, None if as_json else shown))
    except TimeoutError:
        Console(stderr=True).print(f"no answer within {wish.timeout_s:.0f} s; look at `powernode status`")
        return 1
    except StartError as error:
        Console(stderr=True).print(str(error))
        return 1
    if as_json:
        shown.print_json(json.dumps(story.__dict__))
    else:
        _print(shown, story)
    return 0 if story.receipt.get("delivery_status") in {"sent", "delivered", "read"} else 1
