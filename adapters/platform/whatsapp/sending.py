"""What the Cloud API is posted for each kind (developers.facebook.com, *WhatsApp Cloud API, Messages* and *Media*; v23.0).

Files are uploaded first (`/{phone_number_id}/media`), which may be repeated; the message then names them by id. Three reply
buttons or one that opens an address (`cta_url`), ten lines in a list, and a text of 1024 characters above either.
"""

from __future__ import annotations

import re
from typing import Final

from adapters.base import SendRequest
from domain.outbound import (
    ButtonLimits,
    Buttons,
    FileLimits,
    FilePart,
    Location,
    Menu,
    MenuLimits,
    OutboundLimits,
    Payload,
    Reaction,
    Template,
)

_USER_ID: Final = re.compile(r"[A-Z]{2}\.[\w.]+", re.ASCII)
_MB: Final = 1 << 20
OUTBOUND: Final = OutboundLimits(
    # *Media, Supported media types*: by type, size and MIME type. Animated stickers may be larger; we do not look inside.
    files={
        "image": FileLimits(5 * _MB, ("image/jpeg", "image/png")),
        "audio": FileLimits(16 * _MB, ("audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg")),
        "video": FileLimits(16 * _MB, ("video/mp4", "video/3gpp")),
        "sticker": FileLimits(100 << 10, ("image/webp",)),
        "document": FileLimits(100 * _MB),
    },
    caption=1024,
    uncaptioned=frozenset({"audio", "sticker"}),
    buttons=ButtonLimits(count=3, label=20, urls=1, mixed=False, text=1024),
    menu=MenuLimits(count=10, label=24, description=72, text=1024),
    location=True,
    templates=True,
    reactions=True,
)


def message_body(request: SendRequest, media_id: str | None = None) -> dict[str, object]:
    """Return the body. Who is meant is seen in the id: digits are a number, `US.…` a person's id, the rest a group."""
    chat, payload = request.address.chat, request.part.payload
    body: dict[str, object] = {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "biz_opaque_callback_data": request.nonce,
    }
    if _USER_ID.fullmatch(chat):
        body["recipient"] = chat
    else:
        body["to"] = chat
        if not (chat.isascii() and chat.isdigit()):
            body["recipient_type"] = "group"
    if request.address.message is not None and not isinstance(payload, Template | Reaction):
        body["context"] = {"message_id": request.address.message}
    kind, content = _content(request, payload, media_id)
    return body | {"type": kind, kind: content}


def _content(request: SendRequest, payload: Payload | None, media_id: str | None) -> tuple[str, dict[str, object]]:
    if isinstance(payload, FilePart):
        return payload.type, _file(payload, request.text, media_id)
    if isinstance(payload, Buttons | Menu):
        return "interactive", _interactive(payload, request.text)
    if isinstance(payload, Location):
        return "location", payload.model_dump(include={"latitude", "longitude", "name", "address"}, exclude_none=True)
    if isinstance(payload, Template):
        return "template", _template(payload)
    if isinstance(payload, Reaction):
        return "reaction", {"message_id": payload.message, "emoji": payload.emoji}
    return "text", {"body": request.text, "preview_url": False}


def _file(file: FilePart, caption: str, media_id: str | None) -> dict[str, object]:
    content: dict[str, object] = {"id": media_id}
    if caption and file.type not in OUTBOUND.uncaptioned:
        content["caption"] = caption
    return content | ({"filename": file.filename} if file.type == "document" else {})


def _interactive(payload: Buttons | Menu, text: str) -> dict[str, object]:
    if isinstance(payload, Menu):
        rows = [{"id": one.value, "title": one.label} | _description(one.description) for one in payload.choices]
        action: dict[str, object] = {"button": payload.label, "sections": [{"rows": rows}]}
        return {"type": "list", "body": {"text": text}, "action": action}
    first = payload.buttons[0]
    if first.url is not None:
        named = {"display_text": first.label, "url": first.url}
        return {"type": "cta_url", "body": {"text": text}, "action": {"name": "cta_url", "parameters": named}}
    buttons = [{"type": "reply", "reply": {"id": one.value, "title": one.label}} for one in payload.buttons]
    return {"type": "button", "body": {"text": text}, "action": {"buttons": buttons}}


def _description(text: str | None) -> dict[str, str]:
    return {} if text is None else {"description": text}


def _template(template: Template) -> dict[str, object]:
    content: dict[str, object] = {"name": template.name, "language": {"code": template.language}}
    if template.parameters:
        # Line breaks, tabs and runs of spaces are refused in a parameter (error 132018 in *Error codes*).
        told = [{"type": "text", "text": " ".join(one.split())} for one in template.parameters]
        content["components"] = [{"type": "body", "parameters": told}]
    return content
