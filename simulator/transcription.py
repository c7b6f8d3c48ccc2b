"""A transcription service over a real socket: `POST /v1/audio/transcriptions`, as OpenAI-compatible ones answer.

A recording says what stands in its Vorbis comment `TRANSCRIPT=…`, up to a NUL byte; one without it says how long it is.
Scripts treat it as a call of the model named `transcription`.
"""

from __future__ import annotations

import re
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from simulator.api_call import Answer, answer_call, json_response, new_call
from simulator.faults import Faults
from simulator.model import model_error, refuse_model
from simulator.records import Json
from simulator.state import World

_PART: Final = re.compile(rb'Content-Disposition: form-data; name="([^"]+)"(?:; filename="([^"]*)")?', re.IGNORECASE)
_SAID: Final = re.compile(rb"TRANSCRIPT=([^\x00]+)\x00")
_FORMATS: Final = frozenset({"flac", "m4a", "mp3", "mp4", "mpeg", "mpga", "oga", "ogg", "wav", "webm"})


class TranscriptionApi:
    """Whoever has a key may ask."""

    def __init__(self, world: World, faults: Faults) -> None:
        self._world = world
        self._faults = faults

    async def endpoint(self, request: Request) -> Response:
        """Answer one recording."""
        body = await request.body()
        parts = {name.decode(): filename.decode() for name, filename in _PART.findall(body)}
        fields: Json = {"fields": sorted(parts), "bytes": len(body), "filename": parts.get("file")}
        call = new_call("model", None, "transcription", fields)
        call.channel = request.headers.get("authorization", "").removeprefix("Bearer ") or None
        wrong = self._wrong(request, parts, call.channel)
        if wrong is not None:
            call.status, call.error = wrong[0], wrong[1]
            self._world.note_call(call)
            return json_response(model_error(wrong[1], "invalid_request_error"), wrong[0])
        said = _SAID.search(body)
        text = said.group(1).decode("utf-8", "replace") if said else f"A recording of {len(body)} bytes."
        return await answer_call(
            self._world, self._faults, call, lambda: Answer({"text": text}, accepted=True), refuse_model
        )

    def _wrong(self, request: Request, parts: dict[str, str], key: str | None) -> tuple[int, str] | None:
        if key is None:
            return 401, "You didn't provide an API key."
        if not request.headers.get("content-type", "").startswith("multipart/form-data; boundary="):
            return 400, "Expected multipart/form-data."
        if "model" not in parts or "file" not in parts:
            return 400, "Missing required parameter."
        if parts["file"].rpartition(".")[2] not in _FORMATS:
            return 400, "Unrecognized file format."
        return None
