"""Speech to text over the protocol that many services speak, against a scripted one."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import httpx2
import pytest

from adapters.transcription import OpenAITranscriber, Recording
from domain.errors import InvalidInputError, UnavailableError
from tests.adapters.support import Drop, FakeServer, Reply


async def pieces() -> AsyncGenerator[bytes]:
    yield b"Ogg"
    yield b"S\x00\r\n--x"


def recording(mime_type: str = "audio/ogg") -> Recording:
    return Recording(pieces(), 10, mime_type, 'a"\r\n.exe')


def transcriber(http: httpx2.AsyncClient, server: FakeServer, key: str | None = "key-1") -> OpenAITranscriber:
    return OpenAITranscriber(http, f"{server.origin}/v1/", key, "whisper-1")


class TestTranscribe:
    async def test_sends_the_file_as_a_form(self, http: httpx2.AsyncClient, server: FakeServer) -> None:
        server.will(Reply(200, {"text": "Good morning"}))
        assert await transcriber(http, server).transcribe(recording()) == "Good morning"
        (received,) = server.received
        assert (received.method, received.target) == ("POST", "/v1/audio/transcriptions")
        assert received.headers["authorization"] == "Bearer key-1"
        boundary = received.headers["content-type"].removeprefix("multipart/form-data; boundary=").encode()
        parts = received.body.split(b"--" + boundary)
        assert parts[1].endswith(b'name="model"\r\n\r\nwhisper-1\r\n')
        assert parts[3].endswith(b"\r\n\r\nOggS\x00\r\n--x\r\n")
        assert b'filename="file.ogg"\r\nContent-Type: audio/ogg' in parts[3]
        assert parts[4] == b"--\r\n"

    async def test_a_local_service_wants_no_key(self, http: httpx2.AsyncClient, server: FakeServer) -> None:
        server.will(Reply(200, {"text": ""}))
        assert await transcriber(http, server, None).transcribe(recording("audio/mp4")) == ""
        assert "authorization" not in server.received[0].headers
        assert b'filename="file.m4a"' in server.received[0].body

    @pytest.mark.parametrize("line", [Drop(), Reply(500, {}), Reply(429, {}), Reply(401, {}), Reply(200, b"<p>")])
    async def test_what_may_pass(self, http: httpx2.AsyncClient, server: FakeServer, line: Reply | Drop) -> None:
        server.will(line)
        with pytest.raises(UnavailableError):
            await transcriber(http, server).transcribe(recording())

    @pytest.mark.parametrize("body", [{"text": 5}, [], {}])
    async def test_what_is_no_text(self, http: httpx2.AsyncClient, server: FakeServer, body: object) -> None:
        server.will(Reply(200, body))
        with pytest.raises(UnavailableError):
            await transcriber(http, server).transcribe(recording())

    async def test_what_is_refused_for_good(self, http: httpx2.AsyncClient, server: FakeServer) -> None:
        server.will(Reply(400, {"error": {"message": "secret words"}}))
        with pytest.raises(InvalidInputError, match=r"HTTP 400\)$"):
            await transcriber(http, server).transcribe(recording())
