"""Files that people send: their ids, and the bytes as each platform serves them. Bots' files: bot_files.py.

Telegram: `/file/bot{token}/{path}` (https://core.telegram.org/bots/api#getfile); WhatsApp, Slack and Mattermost want the
bot's token in a header, Slack sends who lacks it to its login page; Discord's addresses carry their proof themselves.
A download is a call named `file`: scripts can make it slow, hold it in the middle, cut it off, make it longer than said, or
refuse it. The phone reads them at `/_sim/files/{id}`, past all scripts. Called by people.py, server.py and control_reads.py.
"""

from __future__ import annotations

import asyncio
import base64
import mimetypes
import secrets
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from simulator import names
from simulator.api_call import new_call
from simulator.channel import Channel
from simulator.faults import Fault, Faults
from simulator.protocol import Dropped, drop_connection
from simulator.records import Call, File, Json
from simulator.state import World
from simulator.wish import FileInput

CHUNK: Final = 64 * 1024
MORE_BYTES: Final = 30 << 20
"""How much longer than said a file is that a script makes so."""
_KINDS: Final = {"image": "image", "audio": "audio", "video": "video"}


def new_file(channel: Channel, wanted: FileInput, origin: str) -> File:
    """Return the file of a wish, with an id of the platform's form."""
    head = base64.b64decode(wanted.content_base64)
    mime_type = wanted.mime_type or mimetypes.guess_type(wanted.name)[0] or "application/octet-stream"
    kind = wanted.kind or _KINDS.get(mime_type.partition("/")[0], "document")
    said = len(head) if wanted.size is None else wanted.size
    return File(_id(channel), kind, wanted.name, mime_type, said, wanted.content_base64, origin)


def _id(channel: Channel) -> str:
    made = secrets.token_hex(16)
    if channel.platform == "slack":
        return names.slack_id("F", made)
    if channel.platform == "mattermost":
        return names.mattermost_id("file", made)
    if channel.platform == "discord":
        return names.discord_id("file", made)
    if channel.platform == "whatsapp":
        return str(int(made, 16) % 10**16)
    return f"AgACAgI{made}"


def find_file(channel: Channel, file_id: str) -> File | None:
    """Return a file by its id, while its message exists."""
    for messages in channel.messages.values():
        for message in messages.values():
            for file in message.files:
                if file.id == file_id and not message.deleted:
                    return file
    return None


def phone_file(file: File) -> Json:
    """Return what a phone is told of a file, in the shape of a bot's (bot_files.py)."""
    return {
        "id": file.id,
        "name": file.name,
        "mime": file.mime_type,
        "size": file.size,
        "url": f"/_sim/files/{quote(file.id, safe='')}",
    }


def phone_kind(files: Sequence[File]) -> str:
    """Return as what a phone shows a message with these files; a voice message is audio there."""
    kind = files[0].kind if files else "text"
    return "audio" if kind == "voice" else kind


def content_of(file: File) -> Iterator[bytes]:
    """Return the bytes in chunks: how the file begins, then zeros up to its size."""
    head = base64.b64decode(file.head)
    for sent in range(0, file.size, CHUNK):
        chunk = head[sent : min(sent + CHUNK, file.size)]
        yield chunk + bytes(min(CHUNK, file.size - sent) - len(chunk))


def telegram_path(file: File) -> str:
    """Return what getFile answers; the name is not the person's."""
    ending = mimetypes.guess_extension(file.mime_type) or ""
    return f"{file.kind}s/file_{file.id[-8:]}{ending}"


def address(channel: Channel, file: File) -> str:
    """Return where a file is served, for the platforms that say it in full."""
    return f"{file.origin}/_files/{channel.platform}/{quote(channel.name, safe='')}/{file.id}/{quote(file.name)}"


class _Bytes(StreamingResponse):
    """A file that may break in the middle."""

    cut = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send, and drop the connection at the end where it is cut."""
        if not self.cut:
            await super().__call__(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async for chunk in self.body_iterator:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await drop_connection(scope)


class FileServer:
    """The files of every registered channel."""

    def __init__(self, world: World, faults: Faults) -> None:
        self._world = world
        self._faults = faults

    async def telegram(self, request: Request) -> Response:
        """Answer `/file/bot{token}/{path}`."""
        channel = self._world.by_token("telegram", request.path_params["token"])
        found = None
        if channel is not None:
            files = [file for chat in channel.messages.values() for message in chat.values() for file in message.files]
            found = next((file for file in files if telegram_path(file) == request.path_params["path"]), None)
        return await self._serve("telegram", channel, found)

    async def with_token(self, request: Request) -> Response:
        """Answer an address that wants the bot's token in a header, or carries its proof itself (Discord)."""
        platform = request.path_params["platform"]
        channel = self._world.channels.get(request.path_params["channel"])
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if channel is None or (platform != "discord" and channel.credentials.bot_token != token):
            if platform == "slack":
                return RedirectResponse("/login?redir=files", 302)
            return Response("", 401)
        if platform == "discord" and request.query_params.get("hm") != proof(request.path_params["file"]):
            return Response("This content is no longer available.", 404)
        return await self._serve(platform, channel, find_file(channel, request.path_params["file"]))

    async def mattermost(self, request: Request) -> Response:
        """Answer `/api/v4/files/{file}`."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        channel = self._world.by_token("mattermost", token)
        found = find_file(channel, request.path_params["file"]) if channel else None
        return await self._serve("mattermost", channel, found)

    async def _serve(self, platform: str, channel: Channel | None, file: File | None) -> Response:
        call = new_call(platform, channel, "file", {"file": file.id if file else None})
        fault = self._faults.take(call)
        kind = fault.script.kind if fault else ""
        refused = {"error": 404, "server_error": fault.script.status if fault else 500, "rate_limited": 429}
        if channel is None or file is None or kind in refused:
            return self._note(call, Response("", 404 if file is None else refused[kind]))
        if kind == "drop_before_accept":
            return self._note(call, Dropped())
        headers = {} if kind == "oversized" else {"Content-Length": str(file.size)}
        answer = _Bytes(self._chunks(file, fault), 200, headers, file.mime_type)
        answer.cut = kind == "truncate"
        return self._note(call, answer)

    def _note(self, call: Call, answer: Response) -> Response:
        call.status, call.accepted = answer.status_code, answer.status_code == 200
        self._world.note_call(call)
        return answer

    async def _chunks(self, file: File, fault: Fault | None) -> AsyncGenerator[bytes]:
        kind = fault.script.kind if fault else ""
        half = max(1, file.size // 2)
        sent, size = 0, file.size + MORE_BYTES if kind == "oversized" else file.size
        head = base64.b64decode(file.head)
        while sent < size:
            wanted = min(CHUNK, size - sent, half - sent if sent < half else size)
            if fault is not None and sent >= half and kind in {"hold", "slow", "truncate"}:
                if kind == "truncate":
                    return
                await (fault.pass_gate() if kind == "hold" else asyncio.sleep(fault.script.delay_s))
                kind = ""
            chunk = head[sent : sent + wanted]
            yield chunk + bytes(wanted - len(chunk))
            sent += wanted


def proof(file_id: str) -> str:
    """Return what a Discord address must carry; the real one signs the time as well."""
    return f"{int(file_id) * 2654435761 % 2**64:016x}"


def discord_url(channel: Channel, file: File) -> str:
    """Return the CDN's address, which expires (https://docs.discord.com/developers/reference#signed-attachment-cdn-urls)."""
    return f"{address(channel, file)}?ex={int(time.time()) + 86_400:x}&is={int(time.time()):x}&hm={proof(file.id)}"
