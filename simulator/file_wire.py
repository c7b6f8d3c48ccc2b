"""Files as the platforms' messages show them. Pure reading; called by the `*_wire.py` and `*_play.py` files.

Telegram: https://core.telegram.org/bots/api#message; WhatsApp: *Webhooks, messages object*; Slack:
https://docs.slack.dev/reference/objects/file-object; Discord: *Attachment object*; Mattermost: `model.FileInfo`.
"""

from __future__ import annotations

import hashlib
import struct
from base64 import b64decode

from simulator.channel import Channel
from simulator.files import address, discord_url
from simulator.records import File, Json, Message


def telegram_content(message: Message) -> Json:
    """Return what stands in a message instead of its text."""
    if not message.files:
        text: Json = {"text": message.text}
        return text | ({"entities": message.entities} if message.entities else {})
    file = message.files[0]
    ids: Json = {"file_id": file.id, "file_unique_id": file.id[-12:], "file_size": file.size}
    named: Json = ids | {"file_name": file.name, "mime_type": file.mime_type}
    kinds: dict[str, Json] = {
        "image": {"photo": [ids | {"file_id": f"{file.id}-small", "file_size": file.size // 10, "width": 90, "height": 90}, ids | _size(file)]},
        "voice": {"voice": ids | {"mime_type": file.mime_type, "duration": 2}},
        "audio": {"audio": named | {"duration": 2}},
        "video": {"video": named | {"width": 640, "height": 360, "duration": 2}},
        "sticker": {"sticker": ids | _size(file) | {"type": "regular", "is_animated": False, "is_video": False, "emoji": "👋"}},
    }  # fmt: skip
    content = kinds.get(file.kind, {"document": named})
    caption: Json = {"caption": message.text} if message.text else {}
    return content | caption | ({"caption_entities": message.entities} if message.entities and message.text else {})


def whatsapp_content(message: Message) -> Json:
    """Return the content of a message with a file."""
    file = message.files[0]
    kind = "audio" if file.kind == "voice" else file.kind
    told: Json = {
        "id": file.id,
        "mime_type": file.mime_type,
        "sha256": hashlib.sha256(b64decode(file.head)).hexdigest(),
    }
    if file.kind == "voice":
        told |= {"voice": True, "mime_type": f"{file.mime_type}; codecs=opus"}
    if kind == "document":
        told["filename"] = file.name
    if message.source and kind not in {"audio", "sticker"}:
        told["caption"] = message.source
    return {"type": kind, kind: told}


def slack_file(channel: Channel, file: File) -> Json:
    """Return the file object."""
    found: Json = {
        "id": file.id,
        "name": file.name,
        "title": file.name,
        "mimetype": file.mime_type,
        "filetype": file.name.rpartition(".")[2],
        "size": file.size,
        "mode": "hosted",
        "is_external": False,
        "url_private": address(channel, file),
        "url_private_download": address(channel, file),
        "file_access": "visible",
    }
    return found | ({"subtype": "slack_audio"} if file.kind == "voice" else {})


def discord_attachment(channel: Channel, file: File) -> Json:
    """Return the attachment object."""
    url = discord_url(channel, file)
    found: Json = {"id": file.id, "filename": file.name, "size": file.size, "url": url, "proxy_url": url}
    found["content_type"] = file.mime_type
    return found | (_size(file) if file.kind == "image" else {})


def mattermost_info(message: Message, file: File) -> Json:
    """Return the file's information."""
    return {
        "id": file.id,
        "post_id": message.id,
        "name": file.name,
        "extension": file.name.rpartition(".")[2],
        "size": file.size,
        "mime_type": file.mime_type,
    }


def _size(file: File) -> Json:
    """Return a picture's size, read from a PNG and invented for others."""
    head = b64decode(file.head[:40])
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        width, height = struct.unpack(">II", head[16:24])
        return {"width": width, "height": height}
    return {"width": 320, "height": 240}
