"""`powernode api`: the web server around api.app, one process. Used by the supervisor and in containers alike."""

from __future__ import annotations

import socket

import uvicorn
from fastapi import FastAPI

from api.app import create_app
from api.hub import DRAIN_S
from config import Settings
from realtime.protocol import MAX_FRAME_BYTES
from realtime.wire import CableProtocol


class Server(uvicorn.Server):
    """Tells sockets to come back before uvicorn closes them by itself, which it does before the app hears of its end."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Fail readiness, drain the hub, then shut down."""
        self._app.state.services.draining = True
        hub = getattr(self._app.state, "hub", None)
        if hub is not None:
            await hub.drain(DRAIN_S)
        await super().shutdown(sockets)


def serve_api(settings: Settings) -> int:
    """Serve until SIGTERM; return the exit status."""
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        # Below `info` uvicorn logs whole frames and the tokens in socket addresses.
        log_level="info" if settings.log_level == "debug" else settings.log_level,
        loop="uvloop",
        http="httptools",
        access_log=False,
        ws=CableProtocol,
        ws_per_message_deflate=False,
        ws_max_size=MAX_FRAME_BYTES,
        ws_ping_interval=None,
        proxy_headers=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=5,
    )
    Server(config, app).run()
    return 0
