"""What is sent in the tests of outbound kinds: one of each, and what a file part is handed to an adapter with."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Final
from uuid import UUID

from adapters.base import OutgoingFile, RenderedPart, SendRequest
from domain.message import ReplyAddress
from domain.outbound import Button, Buttons, Choice, FilePart, FileType, Location, Menu, Payload, Template

BYTES: Final = b"RIFF\x00\xff-- not really a file, but these very bytes --\r\n--x\r\n" * 50
DIGEST: Final = hashlib.sha256(BYTES).hexdigest()
TYPES: Final[dict[FileType, tuple[str, str]]] = {
    "image": ("image/png", "plan.png"),
    "audio": ("audio/ogg", "note.ogg"),
    "video": ("video/mp4", "tour.mp4"),
    "document": ("application/pdf", 'Q3 "final".pdf'),
    "sticker": ("image/webp", "wave.webp"),
}
YES_NO: Final = Buttons(buttons=(Button(label="Yes, please", value="yes:1"), Button(label="No", value="no")))
LINK: Final = Button(label="Read more", url="https://example.org/more?a=1&b=2")
PLACE: Final = Location(latitude=52.5163, longitude=13.3777, name="Brandenburg Gate", address="Pariser Platz")
SIZES: Final = Menu(label="Sizes", choices=tuple(Choice(label=f"Size {n}", value=f"size-{n}") for n in range(1, 6)))
TEMPLATE: Final = Template(name="appointment", language="en_US", parameters=("Ada", "two\nlines"))


def a_file(kind: FileType, content: bytes = BYTES) -> FilePart:
    mime_type, filename = TYPES[kind]
    return FilePart(
        type=kind,
        upload_id=UUID(int=1),
        digest=hashlib.sha256(content).hexdigest(),
        mime_type=mime_type,
        filename=filename,
        size_bytes=len(content),
        voice=kind == "audio",
    )


def bytes_of(part: FilePart, content: bytes = BYTES) -> OutgoingFile:
    """Return a file as the file store hands it out: in chunks, anew with each call."""

    async def chunks() -> AsyncGenerator[bytes]:
        for begin in range(0, len(content), 100):
            yield content[begin : begin + 100]

    async def begin() -> AsyncIterator[bytes]:
        return chunks()

    return OutgoingFile(part.filename, part.mime_type, part.size_bytes, begin)


def request_for(
    part: RenderedPart,
    address: ReplyAddress,
    *,
    nonce: str = "n",
    before_write: Callable[[], None] = lambda: None,
    session_key: str = "",
    timeout_s: float = 5.0,
) -> SendRequest:
    """Return a send of one part, with its bytes where it is a file."""
    file = bytes_of(part.payload) if isinstance(part.payload, FilePart) else None
    return SendRequest(
        address, part, nonce, before_write, timeout_s=timeout_s, session_key=session_key or address.chat, file=file
    )


def part(payload: Payload, text: str = "hi") -> RenderedPart:
    return RenderedPart(text, text, payload)
