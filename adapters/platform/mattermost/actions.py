"""Pressed buttons and menus: what we offered comes back under our own seal, since Mattermost signs nothing.

`model.PostActionIntegrationRequest` of github.com/mattermost/mattermost: `user_id, user_name, channel_id, channel_name, team_id,
post_id, trigger_id, context`, where `context` is what we gave, with `selected_option` for a menu; clients never see it. The seal
is an HMAC with the bot's token, over our channel, theirs, the conversation and all that may be chosen: a press that was forged,
changed, or offered by another channel is refused. The `post_id` is not in it, for a post gets its id after it was sealed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, replace
from typing import Final, cast

from adapters.base import ChannelContext, ParsedWebhook, WebhookReply, WebhookRequest
from adapters.foreign import decode_object, digest
from adapters.platform.mattermost.item import Ourselves, Place, new_item
from domain.errors import PayloadError, SignatureError
from domain.message import EventKind, InboundEvent, ReplyAddress, Sender

_SEAL: Final = "powernode"
_HEARD: Final = WebhookReply(b"{}", "application/json")


@dataclass(frozen=True, slots=True)
class Offer:
    """What was offered where: Mattermost's channel, our session and its thread, and pairs of (value, label)."""

    chat: str
    session: str
    thread: str
    choices: tuple[tuple[str, str], ...]


def sealed(channel: ChannelContext, offer: Offer) -> dict[str, object]:
    """Return an offer as an action's context."""
    said = {"session": offer.session, "thread": offer.thread, "choices": [list(one) for one in offer.choices]}
    return {_SEAL: said | {"seal": _seal(channel, offer)}}


def is_press(request: WebhookRequest) -> bool:
    """Return whether a body is of a pressed button, ours or not."""
    return _context(request) is not None


def verify_press(request: WebhookRequest, channel: ChannelContext) -> None:
    """Check our seal. Raises SignatureError."""
    if not channel.credentials.get("bot_token"):
        raise SignatureError("the channel has no bot token, so nothing can be verified")
    body = decode_object(request.body)
    given = object_of((_context(request) or {}).get(_SEAL)).get("seal")
    offer = _offer(body)
    if offer is None or not isinstance(given, str):
        raise SignatureError("the pressed button carries no seal of ours")
    if not hmac.compare_digest(given.encode("utf-8", "surrogatepass"), _seal(channel, offer).encode()):
        raise SignatureError("the seal of the pressed button does not match")


def read_press(request: WebhookRequest, channel: ChannelContext) -> ParsedWebhook:
    """Read a verified press. Raises PayloadError when it chooses what was not offered."""
    body = decode_object(request.body)
    offer = _offer(body)
    if offer is None:
        raise PayloadError("the body is of no action that we offered")
    return ParsedWebhook(events=(_pressed(request, body, offer, Ourselves.of(channel)),), reply=_HEARD)


def _pressed(request: WebhookRequest, body: dict[str, object], offer: Offer, us: Ourselves) -> InboundEvent:
    selected, labels = object_of(body.get("context")).get("selected_option"), dict(offer.choices)
    value = str(selected) if selected is not None else offer.choices[0][0]
    if value not in labels:
        raise PayloadError("what was chosen was not offered")
    post, user, trigger = _text(body, "post_id"), _text(body, "user_id"), _text(body, "trigger_id")
    direct = "__" in _text(body, "channel_name") or offer.session == offer.chat
    place = Place(offer.chat, offer.thread or None, post, direct=direct)
    item = new_item(
        EventKind.ACTION, f"a:{trigger}" if trigger else digest(request.body), place, 0, request.received_at
    )
    return replace(
        item,
        session_key=offer.session or item.session_key,
        reply_to=ReplyAddress(chat=offer.chat, thread=offer.thread or None, message=post or None),
        sender=Sender(user, username=_text(body, "user_name") or None, is_self=user == us.id),
        message_id=item.dedup_key,
        text=labels[value],
        target_message_id=post or None,
        mentioned_us=not direct,
        ignored="our own message" if us.id is not None and user == us.id else None,
        metadata={"value": value},
    )


def _seal(channel: ChannelContext, offer: Offer) -> str:
    said = json.dumps([channel.channel_id, offer.chat, offer.session, offer.thread, offer.choices])
    secret = channel.credentials.get("bot_token", "").encode("utf-8", "surrogatepass")
    return hmac.new(secret, b"powernode action:" + said.encode(), hashlib.sha256).hexdigest()


def _context(request: WebhookRequest) -> dict[str, object] | None:
    """Return an action's context; None for every other body."""
    if request.method != "POST" or "application/json" not in (request.header("content-type") or ""):
        return None
    try:
        body = decode_object(request.body)
    except PayloadError:
        return None
    pressed = isinstance(body.get("context"), dict) and "post_id" in body and "token" not in body
    return object_of(body["context"]) if pressed else None


def _offer(body: dict[str, object]) -> Offer | None:
    said = object_of(object_of(body.get("context")).get(_SEAL))
    choices = said.get("choices")
    if not isinstance(choices, list):
        return None
    pairs: list[tuple[str, str]] = []
    for one in cast("list[object]", choices):
        pair = cast("list[object]", one) if isinstance(one, list) else []
        if len(pair) != 2 or not all(isinstance(half, str) for half in pair):
            return None
        pairs.append((str(pair[0]), str(pair[1])))
    if not pairs:
        return None
    return Offer(_text(body, "channel_id"), _text(said, "session"), _text(said, "thread"), tuple(pairs))


def _text(fields: dict[str, object], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def object_of(value: object) -> dict[str, object]:
    """Return a JSON object; empty where it is none."""
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}
