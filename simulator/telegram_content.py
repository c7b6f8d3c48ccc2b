"""What a bot may send in Telegram besides text: files with captions, places, keyboards; and how each is refused.

https://core.telegram.org/bots/api#sending-files and the methods of each kind. A photo is 10 MB at most, other files 50 MB; a
caption 1024 characters after parsing; a button's data 1 to 64 bytes. Also the two calls about what a person sent: their file,
their press. Called by telegram.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, cast

from simulator.api_call import Answer
from simulator.args import Args
from simulator.bot_files import BotFiles
from simulator.channel import Channel
from simulator.choices import choice
from simulator.files import find_file, telegram_path
from simulator.records import Json
from simulator.telegram_rules import RefusedError, ok, read_text

_MB: Final = 1 << 20
_CAPTION_MAX: Final = 1024
_FILE_MAX: Final = 20 << 20
"""What the hosted Bot API hands out: https://core.telegram.org/bots/api#getfile."""
_DATA_MAX_BYTES: Final = 64
FILES: Final = {
    "sendphoto": ("photo", "image", 10 * _MB),
    "sendaudio": ("audio", "audio", 50 * _MB),
    "sendvoice": ("voice", "audio", 50 * _MB),
    "sendvideo": ("video", "video", 50 * _MB),
    "senddocument": ("document", "document", 50 * _MB),
    "sendsticker": ("sticker", "sticker", 50 * _MB),
}
"""Method → the form's field, the kind of message, how many bytes."""

SENDS: Final = ("sendmessage", "sendlocation", "sendvenue", *FILES)


@dataclass(slots=True)
class Content:
    """What is sent."""

    kind: str = "text"
    text: str = ""
    source: str = ""
    entities: list[Json] = field(default_factory=list[Json])
    file: Json | None = None
    location: Json | None = None


def read_content(files: BotFiles, method: str, args: Args) -> Content:
    """Return what a send method is to send. Raises RefusedError."""
    if method in FILES:
        return _file(files, method, args)
    if method in {"sendlocation", "sendvenue"}:
        return _place(method, args)
    parsed = read_text(args)
    return Content(text=parsed.text, source=args.text("text") or "", entities=parsed.entities)


def _file(files: BotFiles, method: str, args: Args) -> Content:
    name, kind, most = FILES[method]
    given = args.files.get(name)
    if given is None:
        raise RefusedError(400, f"Bad Request: there is no {name} in the request")
    if len(given.content) > most:
        raise RefusedError(413, "Request Entity Too Large")
    if not given.content:
        raise RefusedError(400, "Bad Request: file must be non-empty")
    caption = read_text(args, "caption", _CAPTION_MAX)
    kept = files.keep(given)
    return Content(kind, caption.text, args.text("caption") or "", caption.entities, file=kept | {"field": name})


def _place(method: str, args: Args) -> Content:
    point = [args.values.get(name) for name in ("latitude", "longitude")]
    if not all(isinstance(one, int | float) for one in point):
        raise RefusedError(
            400, "Bad Request: latitude is empty" if point[0] is None else "Bad Request: longitude is empty"
        )
    where: Json = {"latitude": point[0], "longitude": point[1]}
    if method == "sendvenue":
        if not args.text("title") or not args.text("address"):
            raise RefusedError(400, "Bad Request: title and address must be non-empty")
        where |= {"name": args.text("title"), "address": args.text("address")}
    return Content("location", location=where)


def read_keyboard(args: Args) -> tuple[list[object] | None, list[Json]]:
    """Return an inline keyboard as it was given, and its buttons as people see them. Raises RefusedError."""
    rows = (args.object("reply_markup") or {}).get("inline_keyboard")
    if not isinstance(rows, list):
        return None, []
    keyboard = cast("list[object]", rows)
    found: list[Json] = []
    for row in keyboard:
        for one in cast("list[object]", row) if isinstance(row, list) else []:
            button = cast("Json", one) if isinstance(one, dict) else {}
            found.append(_button(button))
    return keyboard, found


def _button(button: Json) -> Json:
    data, url = button.get("callback_data"), button.get("url")
    if not button.get("text"):
        raise RefusedError(400, "Bad Request: text buttons must be non-empty")
    if url is None and not (isinstance(data, str) and 1 <= len(data.encode()) <= _DATA_MAX_BYTES):
        raise RefusedError(400, "Bad Request: BUTTON_DATA_INVALID")
    if url is not None and not str(url).startswith(("http://", "https://", "tg://")):
        raise RefusedError(400, "Bad Request: BUTTON_URL_INVALID")
    return choice(button["text"], data, url)


def read_reactions(args: Args) -> list[str]:
    """Return the emoji of a reaction."""
    given = [cast("Json", one) if isinstance(one, dict) else {"emoji": one} for one in args.items("reaction") or []]
    return [str(one.get("emoji")) for one in given]


def file_of(channel: Channel, args: Args) -> Answer:
    """Answer getFile: where a file that a person sent is to be had."""
    file = find_file(channel, args.text("file_id") or "")
    if file is None:
        raise RefusedError(400, "Bad Request: wrong file_id or the file is temporarily unavailable")
    if file.size > _FILE_MAX:
        raise RefusedError(400, "Bad Request: file is too big")
    ids: Json = {"file_id": file.id, "file_unique_id": file.id[-12:], "file_size": file.size}
    return ok(ids | {"file_path": telegram_path(file)})


def press_answered(channel: Channel, args: Args) -> Answer:
    """Answer answerCallbackQuery: a press is answered once, and not for ever."""
    press = args.text("callback_query_id") or ""
    if press not in channel.presses:
        text = "Bad Request: query is too old and response timeout expired or query ID is invalid"
        raise RefusedError(400, text)
    channel.presses.discard(press)
    return ok(True)
