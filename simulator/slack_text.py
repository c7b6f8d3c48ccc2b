"""Slack's texts and blocks: what is too long, what is wrong, and what a person sees of them.

platforms.md §4.5. 40,000 characters are kept, the rest is cut off (https://docs.slack.dev/changelog/2018-truncating-really-long-messages,
third parties agree); far beyond, and in an edit beyond 4,000 bytes after escaping (seen by others: gitlab-org/gitlab !258898), it
is msg_too_long. Blocks: 50, section text 3000, header 150, all together about 13,000 (slackapi/bolt-js #2509), markdown 12,000.
Pure; called by slack.py.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from typing import Final, cast

import orjson

from simulator.args import Args
from simulator.records import Json
from simulator.slack_blocks import BlocksError, read_choices

_KEPT_MAX: Final = 40_000
_REFUSED_OVER: Final = 100_000
_EDIT_MAX_BYTES: Final = 4_000
_MARKDOWN_MAX: Final = 12_000
_BLOCKS_MAX: Final = 50
_BLOCKS_SIZE_MAX: Final = 13_200
_BLOCK_TEXT_MAX: Final = {"section": 3_000, "header": 150, "markdown": _MARKDOWN_MAX}
_LINK: Final = re.compile(r"<([^<>|]*)(?:\|([^<>]*))?>")


class SlackError(Exception):
    """An `ok: false` answer; `code` is its `error`."""

    def __init__(self, code: str, details: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.details = details


@dataclass(frozen=True, slots=True)
class Content:
    """What a message says. `visible` is what is read on a phone."""

    text: str
    visible: str
    blocks: list[object] | None
    truncated: bool
    choices: list[Json] = field(default_factory=list[Json])


def read_content(args: Args, *, edit: bool = False) -> Content:
    """Return the message's content. Raises SlackError."""
    text, markdown = args.text("text") or "", args.text("markdown_text")
    if markdown is not None:
        if text or args.items("blocks"):
            raise SlackError("markdown_text_conflict")
        if len(markdown) > _MARKDOWN_MAX:
            raise SlackError("msg_too_long")
        return Content(markdown, markdown, None, truncated=False)
    blocks = _blocks(args)
    if not text.strip() and not blocks and not args.items("attachments"):
        raise SlackError("no_text")
    if len(text) > _REFUSED_OVER or (edit and len(text.encode()) > _EDIT_MAX_BYTES):
        raise SlackError("msg_too_long")
    kept = text[:_KEPT_MAX]
    seen = "\n".join(filter(None, map(_block_text, blocks or []))) or kept
    try:
        choices = read_choices(blocks or [])
    except BlocksError as error:
        raise SlackError("invalid_blocks", str(error)) from error
    return Content(kept, visible(seen), blocks, truncated=len(text) > _KEPT_MAX, choices=choices)


def read_metadata(args: Args) -> Json | None:
    """Return the metadata. Raises SlackError where its form is wrong."""
    if not args.has("metadata"):
        return None
    metadata = args.object("metadata")
    if metadata is None:
        raise SlackError("invalid_metadata_format")
    if not isinstance(metadata.get("event_type"), str) or not isinstance(metadata.get("event_payload"), dict):
        raise SlackError("invalid_metadata_schema")
    return {"event_type": metadata["event_type"], "event_payload": metadata["event_payload"]}


def visible(text: str) -> str:
    """Return what is read: links by their labels, escapes undone."""
    return html.unescape(_LINK.sub(lambda found: found.group(2) or found.group(1), text))


def escaped(text: str) -> str:
    """Return what a person typed as Slack stores it: & < > escaped, mentions kept."""
    kept = re.split(r"(<[@#!][^<>\s]+>)", text)
    return "".join(part if index % 2 else html.escape(part, quote=False) for index, part in enumerate(kept))


def _blocks(args: Args) -> list[object] | None:
    if not args.has("blocks"):
        return None
    blocks = args.items("blocks")
    if blocks is None:
        raise SlackError("invalid_blocks_format")
    if len(blocks) > _BLOCKS_MAX:
        raise SlackError("invalid_blocks", f"no more than {_BLOCKS_MAX} items allowed [json-pointer:/blocks]")
    for index, block in enumerate(blocks):
        _check_block(index, block)
    if len(orjson.dumps(blocks)) > _BLOCKS_SIZE_MAX:
        raise SlackError("msg_blocks_too_long")
    return blocks or None


def _check_block(index: int, block: object) -> None:
    fields = cast("Json", block) if isinstance(block, dict) else {}
    kind = fields.get("type")
    if not isinstance(kind, str):
        raise SlackError("invalid_blocks", f"missing required field: type [json-pointer:/blocks/{index}/type]")
    limit = _BLOCK_TEXT_MAX.get(kind)
    if limit is not None and len(_block_text(fields)) > limit:
        raise SlackError(
            "invalid_blocks", f"must be less than {limit + 1} characters [json-pointer:/blocks/{index}/text]"
        )


def _block_text(block: object) -> str:
    fields = cast("Json", block) if isinstance(block, dict) else {}
    text = fields.get("text")
    if isinstance(text, dict):
        text = cast("Json", text).get("text")
    return text if isinstance(text, str) else ""
