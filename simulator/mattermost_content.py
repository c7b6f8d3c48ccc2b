"""What a bot may post in Mattermost besides text: files that it uploaded, actions of a message attachment.

https://developers.mattermost.com/integrate/plugins/interactive-messages/; `model.Post`, `model.PostAction` of
github.com/mattermost/mattermost: ten files a post, each of them once; ids of actions are letters and digits. A pressed button is
posted to the address that the action names, with its context, signed by nobody. Called by mattermost.py and its play.
"""

from __future__ import annotations

import re
from typing import Final, cast

from simulator.bot_files import BotFiles, GivenFile
from simulator.choices import choice
from simulator.records import Json, Message

_FILE_MAX: Final = 100 << 20
_FILES_MAX: Final = 10
_ACTION_ID: Final = re.compile(r"[A-Za-z0-9]+")
_KINDS: Final = {"image", "audio", "video"}


class ServerError(Exception):
    """The server's refusal."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


class Uploads:
    """Files that no post names yet. Shape: channel name → file id → file."""

    def __init__(self, files: BotFiles) -> None:
        self._files = files
        self._waiting: dict[str, dict[str, Json]] = {}

    def add(self, channel: str, given: GivenFile | None) -> Json:
        """Keep an upload. Raises ServerError."""
        if given is None or not given.content:
            raise ServerError(400, "api.file.upload_file.incorrect_number_of_files.app_error")
        if len(given.content) > _FILE_MAX:
            raise ServerError(413, "api.file.upload_file.too_large.app_error")
        kept = self._files.keep(given)
        self._waiting.setdefault(channel, {})[str(kept["id"])] = kept
        return kept

    def take(self, channel: str, ids: list[object]) -> Json | None:
        """Return the file that a post names, which no other post may name then. Raises ServerError."""
        if len(ids) > _FILES_MAX:
            raise ServerError(400, "model.post.is_valid.file_ids.app_error")
        waiting = self._waiting.get(channel, {})
        # The server leaves out what is not the poster's, or belongs to another post already.
        return next((waiting.pop(str(one)) for one in ids if str(one) in waiting), None)


def info_object(file: Json) -> Json:
    """Return a file as the server describes it."""
    return {"id": file["id"], "name": file["name"], "mime_type": file["mime"], "size": file["size"]}


def kind_of(file: Json | None) -> str:
    """Return as what a phone shows a file."""
    if file is None:
        return "text"
    kind = str(file["mime"]).partition("/")[0]
    return kind if kind in _KINDS else "document"


def actions_of(props: Json | None) -> list[Json]:
    """Return the actions of a post's attachments."""
    attachments = [_object(one) for one in _list((props or {}).get("attachments"))]
    return [_object(action) for one in attachments for action in _list(one.get("actions"))]


def read_choices(props: Json | None) -> list[Json]:
    """Return buttons and options as people see them: a button by its id, an option by its value. Raises ServerError."""
    found: list[Json] = []
    for action in actions_of(props):
        if not _ACTION_ID.fullmatch(str(action.get("id"))) or not action.get("name"):
            raise ServerError(400, "model.post.is_valid.props.app_error")
        if action.get("type") == "select":
            options = [_object(one) for one in _list(action.get("options"))]
            found += [choice(one.get("text"), one.get("value")) for one in options]
        else:
            found.append(choice(action["name"], action["id"]))
    return found


def pressed_action(message: Message, value: str) -> tuple[str, Json] | None:
    """Return the address and the context of what was chosen; None where nothing offers it."""
    for action in actions_of(message.metadata):
        integration = _object(action.get("integration"))
        url, context = str(integration.get("url")), _object(integration.get("context"))
        if action.get("id") == value and action.get("type") != "select":
            return url, context
        if any(_object(one).get("value") == value for one in _list(action.get("options"))):
            return url, context | {"selected_option": value}
    return None


def _list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def _object(value: object) -> Json:
    return cast("Json", value) if isinstance(value, dict) else {}
