"""Discord's gateway: HELLO, IDENTIFY or RESUME, heartbeats, dispatches (platforms.md §3.2; *Gateway* in Discord's docs).

Content is hidden from a bot without the privileged intent, except in direct chats and where it is mentioned. Orders of the
control API: `drop` closes, `reconnect` sends op 7, `invalidate` forgets the sessions and closes, `mute` answers heartbeats no
more, a number closes with that code. `drop 1` is for the connections of that shard alone.

A bot may split its servers over connections: `shard` = [which, of how many] in IDENTIFY (*Sharding*).
"""

from __future__ import annotations

import secrets
import time
from contextlib import suppress
from typing import cast
from urllib.parse import quote

from starlette.websockets import WebSocket, WebSocketDisconnect

from simulator.channel import Channel
from simulator.discord_wire import bot_user, shard_of
from simulator.records import Json
from simulator.sessions import Session, Sessions, attended
from simulator.state import World

_MESSAGE_CONTENT = 1 << 15


class DiscordGateway:
    """The gateway of every registered bot."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._sessions = Sessions()
        self._shards: dict[str, tuple[int, int]] = {}
        self._begun: dict[tuple[str, int], float] = {}

    async def endpoint(self, socket: WebSocket) -> None:
        """Serve one connection."""
        channel = self._world.channels.get(socket.path_params["channel"])
        await socket.accept()
        if channel is None:
            await socket.close(4004)
            return
        with suppress(WebSocketDisconnect, RuntimeError):
            await self._serve(socket, channel)

    async def _serve(self, socket: WebSocket, channel: Channel) -> None:
        interval_ms = int(channel.options.heartbeat_s * 1000)
        await socket.send_json({"op": 10, "d": {"heartbeat_interval": interval_ms}})
        begun = await self._begin(socket, channel)
        if begun is None:
            return
        session, intents = begun
        await attended(
            self._world, channel, self._tell(socket, channel, session, intents), self._listen(socket, channel)
        )

    async def _begin(self, socket: WebSocket, channel: Channel) -> tuple[Session, int] | None:
        """Return the session, new or resumed; None where the connection was closed."""
        while True:
            frame = cast("Json", await socket.receive_json())
            data = cast("Json", frame.get("d")) if isinstance(frame.get("d"), dict) else {}
            if frame.get("op") == 1:
                await socket.send_json({"op": 11})
                continue
            if data.get("token") != channel.credentials.bot_token:
                await socket.close(4004)
                return None
            if frame.get("op") == 6:
                session = self._sessions.find(str(data.get("session_id")))
                if session is None:
                    await socket.send_json({"op": 9, "d": False})
                    continue
                session.sockets += 1
                for number, told in session.after(int(str(data.get("seq") or 0))):
                    await socket.send_json(told | {"s": number})
                await self._dispatch(socket, session, "RESUMED", {})
                return session, _MESSAGE_CONTENT
            if frame.get("op") == 2:
                shard = _shard(data)
                intents = int(str(data.get("intents") or 0))
                if await self._refused(socket, channel, shard, intents):
                    return None
                return await self._identified(socket, channel, shard), intents
            await socket.close(4003)
            return None

    async def _refused(self, socket: WebSocket, channel: Channel, shard: tuple[int, int], intents: int) -> bool:
        """Close or refuse a session that may not begin: asking too much, of a wrong shard, of too few, or too soon after another."""
        options, key = channel.options, (channel.name, shard[0] % channel.options.max_concurrency)
        if intents & _MESSAGE_CONTENT and not options.message_content:
            await socket.close(4014)
            return True
        if not 0 <= shard[0] < shard[1]:
            await socket.close(4010)
            return True
        if shard[1] < options.shards:
            await socket.close(4011)
            return True
        soon = time.monotonic() - self._begun.get(key, float("-inf")) < options.identify_every_s
        if soon:
            await socket.send_json({"op": 9, "d": False})
            await socket.close(4000)
            return True
        self._begun[key] = time.monotonic()
        return False

    async def _identified(self, socket: WebSocket, channel: Channel, shard: tuple[int, int]) -> Session:
        session = self._sessions.new(secrets.token_hex(16), channel.name, len(channel.stream.events))
        self._shards[session.id] = shard
        host = socket.headers.get("host", "127.0.0.1")
        ready: Json = {
            "v": 10,
            "user": bot_user(channel),
            "session_id": session.id,
            "resume_gateway_url": f"ws://{host}/discord/gateway/{quote(channel.name)}",
            "guilds": [],
            "shard": list(shard),
        }
        await self._dispatch(socket, session, "READY", ready)
        return session

    async def _dispatch(self, socket: WebSocket, session: Session, name: str, data: Json) -> None:
        frame: Json = {"op": 0, "t": name, "d": data}
        await socket.send_json(frame | {"s": session.add(frame)})

    async def _tell(self, socket: WebSocket, channel: Channel, session: Session, intents: int) -> None:
        stream, generation, ours = channel.stream, channel.stream.generation, session.sockets
        shard, shards = self._shards[session.id]
        while True:
            if session.sockets != ours:
                # Resumed elsewhere: a session has one socket.
                await socket.close(4000)
                return
            if stream.generation != generation:
                generation = stream.generation
                order, _, wanted = stream.order.partition(" ")
                if wanted in {"", str(shard)} and await self._obey(socket, channel, order):
                    return
            while session.read < len(stream.events):
                told = stream.events[session.read]
                session.read += 1
                if shard_of(told.data.get("guild_id"), shards) == shard:
                    await self._dispatch(socket, session, told.name, _seen(channel, told.data, intents))
            await stream.changed()

    async def _obey(self, socket: WebSocket, channel: Channel, order: str) -> bool:
        if order == "reconnect":
            await socket.send_json({"op": 7, "d": None})
            return False
        if order == "mute":
            return False
        if order == "invalidate":
            self._sessions.forget(channel.name)
        await socket.close(int(order) if order.isdecimal() else 4000)
        return True

    async def _listen(self, socket: WebSocket, channel: Channel) -> None:
        while True:
            frame = cast("Json", await socket.receive_json())
            if frame.get("op") == 1 and channel.stream.order != "mute":
                await socket.send_json({"op": 11})


def _shard(data: Json) -> tuple[int, int]:
    given = data.get("shard")
    pair = cast("list[object]", given) if isinstance(given, list) else [0, 1]
    first, last = (int(str(one)) for one in pair)
    return first, last


def _seen(channel: Channel, data: Json, intents: int) -> Json:
    """Return a message as a bot with these intents sees it."""
    hidden = "content" in data and "guild_id" in data and not intents & _MESSAGE_CONTENT
    mentions = cast("list[Json]", data.get("mentions") or [])
    author = cast("Json", data.get("author") or {})
    ours = author.get("id") == channel.bot.user_id or any(one.get("id") == channel.bot.user_id for one in mentions)
    nothing: Json = {"content": "", "attachments": [], "embeds": []}
    return data | nothing if hidden and not ours else data
