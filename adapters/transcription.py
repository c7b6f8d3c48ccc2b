"""Speech to text: a small protocol, and the one way to it that many services speak, `POST /audio/transcriptions`.

Shape: https://platform.openai.com/docs/api-reference/audio/createTranscription; whisper.cpp, faster-whisper-server, vLLM
and LocalAI answer it too. Called by activities/media.py; nothing is configured by default.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Final, Protocol

import httpx2

from domain.errors import InvalidInputError, UnavailableError
from domain.filenames import download_name

TIMEOUT_S: Final = 150.0
_FINAL: Final = range(400, 500)
_PASSING: Final = frozenset({401, 403, 408, 409, 425, 429})
"""Refusals that a person or time mends."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A sound file as a stream."""

    chunks: AsyncIterator[bytes]
    size_bytes: int
    mime_type: str
    filename: str | None


class Transcriber(Protocol):
    """Somebody who writes down what a recording says."""

    async def transcribe(self, recording: Recording) -> str:
        """Return the text; empty where nobody speaks. Raises UnavailableError, and InvalidInputError for good."""
        ...


class OpenAITranscriber:
    """An OpenAI-compatible endpoint. The file goes out as it comes in: never whole in memory."""

    def __init__(self, http: httpx2.AsyncClient, base_url: str, api_key: str | None, model: str) -> None:
        self._http = http
        self._url = f"{base_url.rstrip('/')}/audio/transcriptions"
        self._api_key = api_key
        self._model = model

    async def transcribe(self, recording: Recording) -> str:
        """Return the text. Raises UnavailableError, and InvalidInputError for good."""
        boundary = secrets.token_hex(16)
        before, after = self._frame(recording, boundary)
        headers = {
            "content-type": f"multipart/form-data; boundary={boundary}",
            "content-length": str(len(before) + recording.size_bytes + len(after)),
        }
        if self._api_key:
            headers["authorization"] = f"Bearer {self._api_key}"

        async def body() -> AsyncGenerator[bytes]:
            yield before
            async for chunk in recording.chunks:
                yield chunk
            yield after

        try:
            answer = await self._http.post(self._url, headers=headers, content=body(), timeout=TIMEOUT_S)
        except httpx2.HTTPError as error:
            raise UnavailableError(f"The transcription service does not answer ({type(error).__name__})") from error
        return _text(answer)

    def _frame(self, recording: Recording, boundary: str) -> tuple[bytes, bytes]:
        """Return what stands before and after the file. Services tell the format by the name's ending."""
        name = download_name(None, recording.mime_type)
        fields = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
            for key, value in (("model", self._model), ("response_format", "json"))
        )
        head = (
            f'{fields}--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
            f"Content-Type: {recording.mime_type}\r\n\r\n"
        )
        return head.encode(), f"\r\n--{boundary}--\r\n".encode()


def _text(answer: httpx2.Response) -> str:
    if answer.status_code != 200:
        words = f"The transcription service refused the recording (HTTP {answer.status_code})"
        if answer.status_code in _FINAL and answer.status_code not in _PASSING:
            raise InvalidInputError(words)
        raise UnavailableError(words)
    try:
        found: object = answer.json().get("text")
    except (ValueError, AttributeError) as error:
        raise UnavailableError("The transcription service's answer cannot be read") from error
    if not isinstance(found, str):
        raise UnavailableError("The transcription service's answer holds no text")
    return found
