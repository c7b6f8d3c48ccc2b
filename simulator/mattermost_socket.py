"""Mattermost's socket: a challenge first, then hello and numbered events; resumed by connection id and number.

After `server/channels/app/platform/web_conn.go` of github.com/mattermost/mattermost (platforms.md §5.3): a resumed
connection is told what it missed and no hello; one that is not known any more, or that is open still, is greeted under a new
id. Orders of the control API: `drop` closes, `invalidate` forgets the connections and closes, `skip` leaves a number out.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import cast

from starlette.websockets import WebSocket, WebSocketDisconnect

from simulator.channel import Channel
from simulator.records import Json
from simulator.sessions import Session, Sessions, attended
from simulator.state import World


class MattermostSocket:
    """The socket of every registered bot."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._sessions = Sessions()

    async def endpoint(self, socket: WebSocket) -> None:
        """Serve one connection."""
        await socket.accept()
        with suppress(WebSocketDisconnect, RuntimeError):
            challenge = cast("Json", await socket.receive_json())
            data = cast("Json", challenge.get("data") or {})
            channel = self._world.by_token("mattermost", str(data.get("token")))
            if challenge.get("action") != "authentication_challenge" or channel is None:
                error = {"id": "api.web_socket_router.not_authenticated.app_error", "status_code": 401}
                await socket.send_json({"status": "FAIL", "seq_reply": 1, "error": error})
                await socket.close()
                return
            await socket.send_json({"status": "OK", "seq_reply": challenge.get("seq")})
            await self._serve(socket, channel)

    async def _serve(self, socket: WebSocket, channel: Channel) -> None:
        session = await self._begin(socket, channel)
        session.open = True
        try:
            await attended(self._world, channel, self._tell(socket, channel, session), _listen(socket))
        finally:
            session.open = False

    async def _begin(self, socket: WebSocket, channel: Channel) -> Session:
        known = self._sessions.find(socket.query_params.get("connection_id", ""))
        if known is not None and not known.open:
            for number, frame in known.after(int(socket.query_params.get("sequence_number", "0")) - 1):
                await socket.send_json(frame | {"seq": number})
            return known
        session = self._sessions.new(secrets.token_hex(13), channel.name, len(channel.stream.events))
        hello: Json = {"server_version": "11.0.0", "connection_id": session.id}
        where: Json = {"user_id": channel.bot.user_id}
        await socket.send_json({"event": "hello", "data": hello, "broadcast": where, "seq": 0})
        return session

    async def _tell(self, socket: WebSocket, channel: Channel, session: Session) -> None:
        stream, generation = channel.stream, channel.stream.generation
        while True:
            if stream.generation != generation:
                generation = stream.generation
                if await self._obey(socket, channel, session):
                    return
            while session.read < len(stream.events):
                told = stream.events[session.read]
                session.read += 1
                where: Json = {"channel_id": told.chat, "user_id": "", "team_id": "", "omit_users": None}
                frame: Json = {"event": told.name, "data": told.data, "broadcast": where}
                await socket.send_json(frame | {"seq": session.add(frame)})
            await stream.changed()

    async def _obey(self, socket: WebSocket, channel: Channel, session: Session) -> bool:
        order = channel.stream.order
        if order == "skip":
            session.read, session.number = len(channel.stream.events), session.number + 1
            return False
        if order == "invalidate":
            self._sessions.forget(channel.name)
        await socket.close(1012)
        return True


async def _listen(socket: WebSocket) -> None:
    while True:
        await socket.receive_json()
