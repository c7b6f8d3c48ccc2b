"""The simulator as an ASGI application and as a running server on a real socket.

`create_app` wires the parts; `running_simulator` runs it in a thread of its own for tests and benches; `__main__.py` runs it as
a process. Binds loopback unless told otherwise. Access logs are off: `/_sim/calls` says more.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route, WebSocketRoute

from simulator.api_call import json_response
from simulator.bots import Bot
from simulator.client import SimulatorClient
from simulator.control import REFUSALS, Control, on_error
from simulator.control_reads import Reads
from simulator.discord import DiscordApi
from simulator.discord_gateway import DiscordGateway
from simulator.faults import Faults
from simulator.files import FileServer
from simulator.live import Live
from simulator.mattermost import MattermostApi
from simulator.mattermost_socket import MattermostSocket
from simulator.model import ModelApi
from simulator.protocol import AbortableProtocol
from simulator.slack import SlackApi
from simulator.slack_socket import SlackSocket
from simulator.state import World
from simulator.telegram import TelegramApi
from simulator.transcription import TranscriptionApi
from simulator.webhooks import Courier
from simulator.whatsapp import WhatsAppApi

_PAGE: Final = Path(__file__).with_name("page")
_PAGE_RULES: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self';"
    " media-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
"""What bots write is shown on a page that may change the simulated world: nothing but our own files runs there."""


def create_app(state_file: Path | None = None, bots: Sequence[Bot] = ()) -> Starlette:
    """Return the application; its world begins with its lifespan, on the server's loop. `bots`: who is there from the start."""
    app = Starlette(
        lifespan=lambda app: _lifespan(app, state_file, bots), exception_handlers=dict.fromkeys(REFUSALS, on_error)
    )
    return app


@contextlib.asynccontextmanager
async def _lifespan(app: Starlette, state_file: Path | None, bots: Sequence[Bot]) -> AsyncGenerator[None]:
    world = World(state_file)
    for bot in bots:
        bot.enter(world)
    faults = Faults(world.changes)
    telegram = TelegramApi(world, faults)
    courier = Courier(world, telegram.obey)
    model = ModelApi(world, faults)
    control = Control(world, faults, courier, model)
    app.state.world = world
    app.router.routes[:] = [
        *_platform_routes(telegram, SlackApi(world, faults, courier), model),
        *_whatsapp_routes(WhatsAppApi(world, faults, courier)),
        WebSocketRoute("/discord/gateway/{channel}/", DiscordGateway(world).endpoint),
        WebSocketRoute("/slack/socket/{channel}", SlackSocket(world).endpoint),
        WebSocketRoute("/api/v4/websocket", MattermostSocket(world).endpoint),
        *_discord_routes(DiscordApi(world, faults, courier)),
        Route("/v1/audio/transcriptions", TranscriptionApi(world, faults).endpoint, methods=["POST"]),
        *_file_routes(FileServer(world, faults)),
        *_mattermost_routes(MattermostApi(world, faults, courier)),
        *_control_routes(control, Reads(world, faults, control.batches)),
        Route("/", _page),
        Route("/page/{file}", _page),
        Route("/_sim/live", Live(world, faults).stream),
        Route("/_sim/health", _health),
    ]
    courier.resume()
    yield
    world.changes.close()
    await control.batches.forget()
    await courier.close()
    world.close()


async def _page(request: Request) -> Response:
    name = request.path_params.get("file", "index.html")
    if name not in {path.name for path in _PAGE.iterdir()}:
        return json_response({"error": "no such file"}, 404)
    return FileResponse(_PAGE / name, headers=_PAGE_RULES)


async def _health(request: Request) -> Response:
    return json_response({"ok": True})


def _platform_routes(telegram: TelegramApi, slack: SlackApi, model: ModelApi) -> list[Route]:
    both = ["GET", "POST"]
    return [
        Route("/bot{token}/{method}", telegram.endpoint, methods=both),
        Route("/api/{method}", slack.endpoint, methods=both),
        Route("/slack/api/{method}", slack.endpoint, methods=both),
        Route("/slack/upload/{file}", slack.upload, methods=["POST"]),
        Route("/slack/commands/{channel}/{chat}", slack.command_answer, methods=["POST"]),
        Route("/v1/chat/completions", model.completions, methods=["POST"]),
        Route("/v1/models", model.models),
    ]


def _file_routes(files: FileServer) -> list[Route]:
    return [
        Route("/file/bot{token}/{path:path}", files.telegram),
        Route("/_files/{platform}/{channel}/{file}/{name}", files.with_token),
        Route("/api/v4/files/{file}", files.mattermost),
    ]


def _whatsapp_routes(api: WhatsAppApi) -> list[Route]:
    return [
        Route("/v{major:int}.{minor:int}/{object}/messages", api.messages, methods=["POST"]),
        Route("/v{major:int}.{minor:int}/{object}/media", api.media, methods=["POST"]),
        Route("/v{major:int}.{minor:int}/{object}", api.number, methods=["GET", "POST"]),
    ]


def _mattermost_routes(api: MattermostApi) -> list[Route]:
    calls = {
        "me": ("GET", "/users/me"),
        "teams": ("GET", "/users/me/teams"),
        "user": ("GET", "/users/{user}"),
        "channels": ("GET", "/users/me/channels"),
        "typing": ("POST", "/users/me/typing"),
        "create_post": ("POST", "/posts"),
        "upload": ("POST", "/files"),
        "react": ("POST", "/reactions"),
        "read_post": ("GET", "/posts/{post}"),
        "delete_post": ("DELETE", "/posts/{post}"),
        "patch_post": ("PUT", "/posts/{post}/patch"),
        "channel_posts": ("GET", "/channels/{channel}/posts"),
        "file_info": ("GET", "/files/{file}/info"),
    }
    return [
        Route(f"/api/v4{path}", api.endpoint(name), methods=[method], name=name)
        for name, (method, path) in calls.items()
    ]


def _discord_routes(api: DiscordApi) -> list[Route]:
    messages = "/channels/{channel}/messages"
    calls = {
        "me": ("GET", "/users/@me"),
        "application": ("GET", "/applications/@me"),
        "set_application": ("PATCH", "/applications/@me"),
        "set_command": ("POST", "/applications/{application}/commands"),
        "gateway": ("GET", "/gateway/bot"),
        "create_message": ("POST", messages),
        "list_messages": ("GET", messages),
        "read_message": ("GET", f"{messages}/{{message}}"),
        "edit_message": ("PATCH", f"{messages}/{{message}}"),
        "delete_message": ("DELETE", f"{messages}/{{message}}"),
        "typing": ("POST", "/channels/{channel}/typing"),
        "react": ("PUT", f"{messages}/{{message}}/reactions/{{emoji}}/@me"),
    }
    return [
        Route(f"/api/v10{path}", api.endpoint(name), methods=[method], name=name)
        for name, (method, path) in calls.items()
    ]


def _control_routes(control: Control, reads: Reads) -> list[Route]:
    post = ["POST"]
    return [
        Route("/_sim/say", control.say, methods=post),
        Route("/_sim/received", reads.received),
        Route("/_sim/wait", reads.received),
        Route("/_sim/phone", reads.phone),
        Route("/_sim/files/{file}", reads.file),
        Route("/_sim/calls", reads.calls),
        Route("/_sim/deliveries", reads.deliveries),
        Route("/_sim/pending", reads.pending),
        Route("/_sim/channels", control.register, methods=post),
        Route("/_sim/channels", reads.channels),
        Route("/_sim/people", control.people, methods=post),
        Route("/_sim/chats", control.chats, methods=post),
        Route("/_sim/deliver", control.deliver, methods=post),
        Route("/_sim/batch", control.batch, methods=post),
        Route("/_sim/batch/{batch}", reads.batch),
        Route("/_sim/faults", control.add_fault, methods=post),
        Route("/_sim/faults", reads.faults),
        Route("/_sim/faults/{fault}", control.remove_fault, methods=["DELETE"]),
        Route("/_sim/faults/{fault}", reads.fault),
        Route("/_sim/sockets", control.sockets, methods=post),
        Route("/_sim/sockets", reads.listeners),
        Route("/_sim/release", control.release, methods=post),
        Route("/_sim/reset", control.reset, methods=post),
        Route("/_sim/model/script", control.script, methods=post),
    ]


class Server(uvicorn.Server):
    """A server that ends at once: who waits for something is answered first."""

    def __init__(self, app: Starlette) -> None:
        self.app = app
        config = uvicorn.Config(
            app,
            http=AbortableProtocol,
            ws="websockets-sansio",
            loop="uvloop",
            lifespan="on",
            access_log=False,
            log_level="warning",
            timeout_keep_alive=75,
            timeout_graceful_shutdown=2,
            backlog=2048,
        )
        super().__init__(config)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Wake the long polls, then shut down."""
        world: World = self.app.state.world
        world.changes.close()
        await super().shutdown(sockets)


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; requests wait in its backlog until a server accepts. Raises OSError for a taken port."""
    found = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    found.bind((host, port))
    found.listen(2048)
    return found


@contextlib.asynccontextmanager
async def running_simulator(
    *, host: str = "127.0.0.1", port: int = 0, state_file: Path | None = None
) -> AsyncGenerator[SimulatorClient]:
    """Run a simulator in a thread of its own on a real socket; yield the client of its control API."""
    listener = listen(host, port)
    origin = f"http://{host}:{listener.getsockname()[1]}"
    server = Server(create_app(state_file))
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def serve() -> None:
        try:
            server.run(sockets=[listener])
        finally:
            loop.call_soon_threadsafe(ended.set)

    thread = threading.Thread(target=serve, name="simulator", daemon=True)
    thread.start()
    async with SimulatorClient(origin) as client:
        await client.health()
        try:
            yield client
        finally:
            server.should_exit = True
            await ended.wait()
            thread.join()
