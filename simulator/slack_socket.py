"""Slack's Socket Mode: an address for once, hello, envelopes to be acknowledged, disconnects announced.

https://docs.slack.dev/apis/events-api/using-socket-mode; frames as slack_sdk.socket_mode reads them. An envelope that is not
acknowledged comes again on the next connection. Orders of the control API: `drop` closes, `refresh` announces a disconnect and closes,
`disable` says that Socket Mode was turned off.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import cast
from urllib.parse import parse_qsl, quote

import orjson
from starlette.websockets import WebSocket, WebSocketDisconnect

from simulator.channel import Channel
from simulator.records import Json
from simulator.sessions import attended
from simulator.state import World

_REASONS = {"refresh": "refresh_requested", "disable": "link_disabled"}


def open_address(world: World, token: str, host: str) -> Json:
    """Answer `apps.connections.open`. `token`: an app-level one."""
    for channel in world.channels.values():
        if channel.platform == "slack" and token and channel.credentials.app_token == token:
            return {"ok": True, "url": f"ws://{host}/slack/socket/{quote(channel.name)}?ticket={secrets.token_hex(8)}"}
    return {"ok": False, "error": "invalid_auth" if token else "not_authed"}


def enveloped(content_type: str, body: bytes) -> tuple[str, Json]:
    """Return a webhook's body as an envelope's type and payload."""
    if content_type == "application/json":
        return "events_api", orjson.loads(body)
    fields: Json = dict(parse_qsl(body.decode(), keep_blank_values=True))
    if "payload" in fields:
        return "interactive", orjson.loads(str(fields["payload"]))
    return "slash_commands", fields


class SlackSocket:
    """The socket of every app in Socket Mode."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._acknowledged: dict[str, set[int]] = {}

    async def endpoint(self, socket: WebSocket) -> None:
        """Serve one connection."""
        await socket.accept()
        channel = self._world.channels.get(socket.path_params["channel"])
        if channel is None or "ticket" not in socket.query_params:
            await socket.close(4000)
            return
        with suppress(WebSocketDisconnect, RuntimeError):
            hello: Json = {"type": "hello", "num_connections": 1, "connection_info": {"app_id": channel.bot.app_id}}
            await socket.send_json(hello)
            await attended(self._world, channel, self._tell(socket, channel), self._listen(socket, channel))

    async def _tell(self, socket: WebSocket, channel: Channel) -> None:
        stream, generation, told = channel.stream, channel.stream.generation, 0
        while True:
            if stream.generation != generation:
                if stream.order in _REASONS:
                    await socket.send_json({"type": "disconnect", "reason": _REASONS[stream.order]})
                await socket.close()
                return
            for number in range(told, len(stream.events)):
                if number not in self._acknowledged.setdefault(channel.name, set()):
                    event = stream.events[number]
                    envelope: Json = {"envelope_id": f"{number}-{secrets.token_hex(8)}", "type": event.name}
                    await socket.send_json(envelope | {"payload": event.data, "accepts_response_payload": False})
            told = len(stream.events)
            await stream.changed()

    async def _listen(self, socket: WebSocket, channel: Channel) -> None:
        while True:
            answer = cast("Json", await socket.receive_json())
            number = str(answer.get("envelope_id", "")).partition("-")[0]
            if number.isdecimal():
                self._acknowledged.setdefault(channel.name, set()).add(int(number))
