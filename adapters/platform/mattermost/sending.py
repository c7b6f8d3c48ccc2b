"""What Mattermost is posted for each kind (https://developers.mattermost.com/integrate/plugins/interactive-messages/).

Files are uploaded first and named by the post. Buttons and menus are actions of a message attachment; the server calls an
address of ours when one is pressed, and proves nothing about it: so each carries a seal of our own (actions.py). Buttons that
open an address do not exist; those go into the text.
"""

from __future__ import annotations

from typing import Final

from adapters.base import ChannelContext, SendRequest
from adapters.platform.mattermost.actions import Offer, sealed
from adapters.platform.mattermost.item import NONCE
from domain.outbound import ButtonLimits, Buttons, FileLimits, Menu, MenuLimits, OutboundLimits

_ANY: Final = FileLimits(100 << 20)
"""`FileSettings.MaxFileSize` of a server that nobody changed; another one refuses in its own words."""

OUTBOUND: Final = OutboundLimits(
    files=dict.fromkeys(("image", "audio", "video", "document"), _ANY),
    caption=16_383,
    buttons=ButtonLimits(count=25, label=75, urls=0, mixed=False),
    menu=MenuLimits(count=100, label=75),
    reactions=True,
)
_NAMES: Final = {
    "👍": "+1", "👎": "-1", "❤️": "heart", "❤": "heart", "😂": "joy", "🎉": "tada", "🙏": "pray", "👀": "eyes",
    "✅": "white_check_mark", "❌": "x", "🔥": "fire", "👏": "clap", "😊": "blush", "😢": "cry", "😮": "open_mouth", "🚀": "rocket",
    "👋": "wave", "💯": "100", "🤔": "thinking", "⏳": "hourglass_flowing_sand",
}  # fmt: skip


def emoji_name(emoji: str) -> str | None:
    """Return what Mattermost calls an emoji; None where we do not know."""
    if emoji.startswith(":") and emoji.endswith(":"):
        return emoji.strip(":") or None
    return _NAMES.get(emoji)


def post_body(
    channel: ChannelContext, request: SendRequest, root: str | None, file_id: str | None = None
) -> dict[str, object]:
    """Return a post under its nonce. `root`: the thread; `file_id`: what was uploaded for it."""
    props: dict[str, object] = {NONCE: request.nonce}
    payload = request.part.payload
    if isinstance(payload, Buttons | Menu):
        props["attachments"] = [{"actions": _actions(channel, request, payload)}]
    body: dict[str, object] = {
        "channel_id": request.address.chat,
        "message": request.text,
        "pending_post_id": request.nonce,
        "props": props,
    }
    if file_id is not None:
        body["file_ids"] = [file_id]
    return body | {"root_id": root} if root else body


def _actions(channel: ChannelContext, request: SendRequest, payload: Buttons | Menu) -> list[dict[str, object]]:
    if isinstance(payload, Menu):
        offered = [(one.value, one.label) for one in payload.choices]
        options = [{"text": label, "value": value} for value, label in offered]
        menu = {"id": "menu", "name": payload.label, "type": "select", "options": options}
        return [menu | _integration(channel, request, offered)]
    # Ids are letters and digits only, or the server answers that there is no such action.
    return [
        {"id": f"button{position}", "name": one.label, "type": "button"}
        | _integration(channel, request, [(one.value or "", one.label)])
        for position, one in enumerate(payload.buttons)
    ]


def _integration(channel: ChannelContext, request: SendRequest, offered: list[tuple[str, str]]) -> dict[str, object]:
    offer = Offer(request.address.chat, request.session_key, request.address.thread or "", tuple(offered))
    return {"integration": {"url": channel.webhook_url or "", "context": sealed(channel, offer)}}
