"""Which method of the Bot API sends each kind, with what (https://core.telegram.org/bots/api#available-methods).

Files go with the message itself, in one form; the fields beside them are text, and what is an object is JSON in it
(https://core.telegram.org/bots/api#sending-files). Buttons are an inline keyboard, one a row.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from adapters.base import SendRequest
from adapters.http import Form
from adapters.uploads import as_upload
from domain.outbound import ButtonLimits, Buttons, FileLimits, FilePart, Location, OutboundLimits, Payload, Reaction

_MB: Final = 1 << 20
OUTBOUND: Final = OutboundLimits(
    # A photo is 10 MB at most, any other file of a bot 50 MB (#sending-files). What a phone does not play goes as a document.
    files={
        "image": FileLimits(10 * _MB, ("image/jpeg", "image/png", "image/webp")),
        "audio": FileLimits(50 * _MB, ("audio/mpeg", "audio/mp4", "audio/x-m4a", "audio/ogg")),
        "video": FileLimits(50 * _MB, ("video/mp4",)),
        "sticker": FileLimits(512 << 10, ("image/webp", "application/x-tgsticker", "video/webm")),
        "document": FileLimits(50 * _MB),
    },
    caption=1024,
    uncaptioned=frozenset({"sticker"}),
    buttons=ButtonLimits(count=25, label=64),
    location=True,
    reactions=True,
)
_METHODS: Final = {
    "image": ("sendPhoto", "photo"),
    "audio": ("sendAudio", "audio"),
    "video": ("sendVideo", "video"),
    "document": ("sendDocument", "document"),
    "sticker": ("sendSticker", "sticker"),
}


@dataclass(frozen=True, slots=True)
class Sending:
    """A call to be made. `file_field`: the form's name for the part's file; None where the call is JSON."""

    method: str
    fields: dict[str, object]
    file_field: str | None = None


def number(text: str) -> int | str:
    """Return an id as the API wants it: a number, where it is one."""
    return int(text) if text.removeprefix("-").isdecimal() and text.isascii() else text


def sending_of(request: SendRequest) -> Sending:
    """Return the call for one part."""
    payload = request.part.payload
    if isinstance(payload, Reaction):
        where: dict[str, object] = {"chat_id": number(request.address.chat), "message_id": number(payload.message)}
        return Sending("setMessageReaction", where | {"reaction": [{"type": "emoji", "emoji": payload.emoji}]})
    sending = _content(request, payload)
    return Sending(sending.method, _address(request) | sending.fields, sending.file_field)


def form_of(sending: Sending, request: SendRequest, fields: Mapping[str, object]) -> Form | None:
    """Return the form of a call with a file; None for one that is JSON."""
    if sending.file_field is None or request.file is None:
        return None
    spelled = {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}
    return Form(spelled, as_upload(sending.file_field, request.file))


def _address(request: SendRequest) -> dict[str, object]:
    address = request.address
    fields: dict[str, object] = {"chat_id": number(address.chat)}
    if address.thread is not None:
        fields["message_thread_id"] = number(address.thread)
    if address.message is not None:
        fields["reply_parameters"] = {"message_id": number(address.message), "allow_sending_without_reply": True}
    return fields


def _content(request: SendRequest, payload: Payload | None) -> Sending:
    if isinstance(payload, FilePart):
        return _file(request, payload)
    if isinstance(payload, Location):
        return _place(payload)
    fields: dict[str, object] = {"text": request.text, "link_preview_options": {"is_disabled": True}} | _markup(request)
    if isinstance(payload, Buttons):
        fields["reply_markup"] = {
            "inline_keyboard": [[_button(one.label, one.value, one.url)] for one in payload.buttons]
        }
    return Sending("sendMessage", fields)


def _markup(request: SendRequest) -> dict[str, object]:
    return {} if request.as_plain else {"parse_mode": "HTML"}


def _button(label: str, value: str | None, url: str | None) -> dict[str, str]:
    return {"text": label, "url": url} if url is not None else {"text": label, "callback_data": value or ""}


def _file(request: SendRequest, file: FilePart) -> Sending:
    method, field = ("sendVoice", "voice") if file.type == "audio" and file.voice else _METHODS[file.type]
    if not request.text or file.type in OUTBOUND.uncaptioned:
        return Sending(method, {}, field)
    return Sending(method, {"caption": request.text} | _markup(request), field)


def _place(where: Location) -> Sending:
    """A named place is a venue, which needs an address too."""
    point: dict[str, object] = {"latitude": where.latitude, "longitude": where.longitude}
    title = where.name or where.address
    if title is None:
        return Sending("sendLocation", point)
    return Sending("sendVenue", point | {"title": title, "address": where.address or title})
