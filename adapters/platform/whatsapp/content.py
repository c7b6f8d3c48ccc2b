"""What a WhatsApp message says: its text or a placeholder, its type and its files. Called by parsing.py.

Nothing is dropped: what has no text of its own becomes words in brackets, so that an agent and an operator see that
something came.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from adapters.platform.whatsapp.payloads import Card, Content, File, Order, Place
from domain.filenames import clean_filename
from domain.message import Attachment, MessageType

_FILES: Final = (
    ("image", MessageType.IMAGE, "photo"),
    ("video", MessageType.VIDEO, "video"),
    ("audio", MessageType.AUDIO, "audio"),
    ("document", MessageType.DOCUMENT, "document"),
    ("sticker", MessageType.STICKER, "sticker"),
)
_LABEL_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Said:
    """A message's text, type and files. `data`: what a chosen button or row stands for; None where nothing was chosen."""

    text: str
    message_type: MessageType = MessageType.TEXT
    attachments: tuple[Attachment, ...] = ()
    data: str | None = None


def read_content(message: Content) -> Said:
    """Return what the message says."""
    if message.text is not None and message.text.body:
        return Said(message.text.body)
    for name, kind, label in _FILES:
        file: File | None = getattr(message, name)
        if file is not None:
            return Said(file.caption or _file_label(label, file), kind, (_attachment(file, kind),))
    if message.location is not None:
        return Said(_place(message.location), MessageType.LOCATION)
    if message.contacts:
        return Said("\n".join(map(_card, message.contacts)))
    return _chosen(message) or Said(_other(message))


def _attachment(file: File, kind: MessageType) -> Attachment:
    return Attachment(kind, file.id, file.mime_type, file.filename)


def _file_label(label: str, file: File) -> str:
    if file.voice:
        return "[voice message]"
    name = clean_filename(file.filename)
    return f"[{label}: {name}]" if name else f"[{label}]"


def _place(where: Place) -> str:
    named = ", ".join(filter(None, (where.name, where.address)))
    point = f"{where.latitude}, {where.longitude}"
    return f"[location: {named} ({point})]" if named else f"[location: {point}]"


def _card(card: Card) -> str:
    name = card.name.formatted_name if card.name else None
    phones = [phone.phone for phone in card.phones if phone.phone]
    return f"[contact: {', '.join(filter(None, (name, *phones))) or 'without a name'}]"


def _chosen(message: Content) -> Said | None:
    if message.button is not None:
        text = message.button.text or message.button.payload or "[button]"
        return Said(text, data=message.button.payload or "")
    answer = message.interactive
    if answer is None:
        return None
    chosen = answer.button_reply or answer.list_reply
    if chosen is not None:
        return Said(chosen.title or chosen.id or "[button]", data=chosen.id)
    if answer.nfm_reply is not None:
        return Said(answer.nfm_reply.body or "[form answered]", data=answer.nfm_reply.response_json or "")
    return Said(f"[{answer.type or 'interactive'}]"[:_LABEL_MAX])


def _other(message: Content) -> str:
    if message.order is not None:
        return _order(message.order)
    if message.type in {"unsupported", "unknown"}:
        kind = message.unsupported.type if message.unsupported else None
        return f"[unsupported message: {kind}]"[:_LABEL_MAX] if kind else "[unsupported message]"
    return f"[{message.type or 'empty message'}]"[:_LABEL_MAX]


def _order(order: Order) -> str:
    items = [f"{item.quantity or 1} × {item.product_retailer_id or '?'}" for item in order.product_items]
    listed = f"[order: {', '.join(items) or 'nothing'}]"
    return f"{order.text}\n{listed}" if order.text else listed
