"""What Slack is sent for each kind (https://docs.slack.dev/reference/methods/chat.postMessage, /reference/block-kit).

Buttons and menus are blocks under a section; the plain text beside them is for notifications. Files take three steps
(https://docs.slack.dev/messaging/working-with-files): ask for an address, post the bytes there, complete the upload; only the
last shows it. Its answer names the file and no message, and metadata cannot go with it: `files.info` tells where it was shared.
"""

from __future__ import annotations

from typing import Final

from adapters.base import SendRequest
from domain.outbound import Button, ButtonLimits, Buttons, Choice, FileLimits, Menu, MenuLimits, OutboundLimits, Payload

EVENT_TYPE: Final = "powernode_part"
LINK_ACTION: Final = "powernode_link_"
"""Pressing a button that opens an address is told too, and means nothing."""

_ANY: Final = FileLimits(1 << 30)
OUTBOUND: Final = OutboundLimits(
    files=dict.fromkeys(("image", "audio", "video", "document"), _ANY),
    caption=3000,
    buttons=ButtonLimits(count=25, label=75, text=3000),
    menu=MenuLimits(count=100, label=75, description=75, text=3000),
    reactions=True,
)
_NAMES: Final = {
    "👍": "thumbsup", "👎": "thumbsdown", "❤️": "heart", "❤": "heart", "😂": "joy", "🎉": "tada", "🙏": "pray", "👀": "eyes",
    "✅": "white_check_mark", "❌": "x", "🔥": "fire", "👏": "clap", "😊": "blush", "😢": "cry", "😮": "open_mouth", "🚀": "rocket",
    "👋": "wave", "💯": "100", "🤔": "thinking_face", "⏳": "hourglass_flowing_sand",
}  # fmt: skip


def message_body(request: SendRequest) -> dict[str, object]:
    """Return the arguments of `chat.postMessage`, with the nonce as metadata."""
    body: dict[str, object] = {
        "channel": request.address.chat,
        "text": request.text,
        "mrkdwn": not request.as_plain,
        "unfurl_links": False,
        "unfurl_media": False,
        "metadata": metadata_of(request.nonce),
    }
    if request.address.thread is not None:
        body["thread_ts"] = request.address.thread
    if isinstance(request.part.payload, Buttons | Menu):
        body["blocks"] = _blocks(request, request.part.payload)
    return body


def metadata_of(nonce: str) -> dict[str, object]:
    """Return the nonce as metadata, by which a message is found again."""
    return {"event_type": EVENT_TYPE, "event_payload": {"nonce": nonce}}


def emoji_name(emoji: str) -> str | None:
    """Return what Slack calls an emoji; None where we do not know."""
    if emoji.startswith(":") and emoji.endswith(":"):
        return emoji.strip(":") or None
    return _NAMES.get(emoji)


def _blocks(request: SendRequest, payload: Payload) -> list[dict[str, object]]:
    kind = "plain_text" if request.as_plain else "mrkdwn"
    section: dict[str, object] = {"type": "section", "text": {"type": kind, "text": request.text}}
    if isinstance(payload, Menu):
        options = [_option(one) for one in payload.choices]
        select = {
            "type": "static_select",
            "action_id": "powernode_menu",
            "placeholder": _plain(payload.label),
            "options": options,
        }
        return [section, {"type": "actions", "elements": [select]}]
    assert isinstance(payload, Buttons)
    return [section, {"type": "actions", "elements": [_button(*one) for one in enumerate(payload.buttons)]}]


def _plain(text: str) -> dict[str, object]:
    return {"type": "plain_text", "text": text}


def _option(choice: Choice) -> dict[str, object]:
    option: dict[str, object] = {"text": _plain(choice.label), "value": choice.value}
    return option | ({"description": _plain(choice.description)} if choice.description else {})


def _button(position: int, button: Button) -> dict[str, object]:
    if button.url is not None:
        return {
            "type": "button",
            "action_id": f"{LINK_ACTION}{position}",
            "text": _plain(button.label),
            "url": button.url,
        }
    return {
        "type": "button",
        "action_id": f"powernode_button_{position}",
        "text": _plain(button.label),
        "value": button.value,
    }
