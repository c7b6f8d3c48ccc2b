"""What Discord is posted for each kind (https://docs.discord.com/developers/resources/message#create-message).

A file goes with the message itself, in one form (#uploading-files). Buttons stand in rows of five, a menu is a string select
(https://docs.discord.com/developers/components/reference). There are no places, templates or voice notes for bots: those need
a waveform that we do not have.
"""

from __future__ import annotations

import hashlib
import json
import string
from typing import Final
from urllib.parse import quote

from adapters.base import SendRequest
from adapters.http import Form
from adapters.uploads import as_upload
from domain.outbound import (
    Button,
    ButtonLimits,
    Buttons,
    FileLimits,
    FilePart,
    Menu,
    MenuLimits,
    OutboundLimits,
    Payload,
    Reaction,
)

_DIGITS: Final = string.digits + string.ascii_letters
_NO_PREVIEWS: Final = 4
_ROW, _BUTTON, _SELECT = 1, 2, 3
_GREY, _LINK = 2, 5
_IN_A_ROW: Final = 5
MENU_ID: Final = "powernode_menu"
_ANY: Final = FileLimits(10 << 20)
OUTBOUND: Final = OutboundLimits(
    files=dict.fromkeys(("image", "audio", "video", "document"), _ANY),
    caption=2000,
    buttons=ButtonLimits(count=25, label=80),
    menu=MenuLimits(count=25, label=100, description=100),
    reactions=True,
)


def short_nonce(nonce: str) -> str:
    """Return a nonce that fits Discord's 25 characters, always the same for the same part."""
    number = int.from_bytes(hashlib.sha256(nonce.encode()).digest()[:16])
    found = ""
    for _ in range(22):
        number, digit = divmod(number, 62)
        found += _DIGITS[digit]
    return found


def message_body(request: SendRequest) -> dict[str, object]:
    """Return a message under its nonce. One that vanished is no longer referred to, but answered."""
    payload = request.part.payload
    body: dict[str, object] = {
        "content": request.text,
        "nonce": short_nonce(request.nonce),
        "enforce_nonce": True,
        "allowed_mentions": {"parse": [], "replied_user": False},
        "flags": _NO_PREVIEWS,
    }
    if request.address.message is not None:
        body["message_reference"] = {"message_id": request.address.message, "fail_if_not_exists": False}
    if isinstance(payload, Buttons | Menu):
        body["components"] = _components(payload)
    if isinstance(payload, FilePart):
        body["attachments"] = [{"id": 0, "filename": payload.filename}]
    return body


def form_of(request: SendRequest, body: dict[str, object]) -> Form | None:
    """Return the form of a message with a file; None for one that is JSON."""
    if request.file is None or not isinstance(request.part.payload, FilePart):
        return None
    return Form({"payload_json": json.dumps(body)}, as_upload("files[0]", request.file))


def reaction_path(request: SendRequest, reaction: Reaction) -> str:
    """Return where a reaction is put (#create-reaction)."""
    chat, message, emoji = (quote(one, safe="") for one in (request.address.chat, reaction.message, reaction.emoji))
    return f"channels/{chat}/messages/{message}/reactions/{emoji}/@me"


def _components(payload: Payload) -> list[dict[str, object]]:
    if isinstance(payload, Menu):
        options = [
            {"label": one.label, "value": one.value} | ({"description": one.description} if one.description else {})
            for one in payload.choices
        ]
        select = {"type": _SELECT, "custom_id": MENU_ID, "placeholder": payload.label, "options": options}
        return [{"type": _ROW, "components": [select]}]
    assert isinstance(payload, Buttons)
    buttons = [_button(one) for one in payload.buttons]
    rows = [buttons[begin : begin + _IN_A_ROW] for begin in range(0, len(buttons), _IN_A_ROW)]
    return [{"type": _ROW, "components": row} for row in rows]


def _button(button: Button) -> dict[str, object]:
    if button.url is not None:
        return {"type": _BUTTON, "style": _LINK, "label": button.label, "url": button.url}
    return {"type": _BUTTON, "style": _GREY, "label": button.label, "custom_id": button.value}
