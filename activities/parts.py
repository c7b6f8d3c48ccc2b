"""One claimed part becomes one send, or the edit of its placeholder: its file opened, its place named, and not beyond the
platform's reply window.

Called by activities/delivery.py, which decides what becomes of the answer.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from pydantic import ValidationError

from activities.attempts import Claimed, address
from activities.channels import ChannelDesk
from activities.files import FileStore, NoSuchFileError
from activities.limiter import place_of
from activities.placeholders import Placeholders, is_open
from adapters.base import Capabilities, ErrorClass, OutgoingFile, Refused, RenderedPart, SendRequest, SendResult
from adapters.limits import Place, Verb
from db import claims
from db.part_rows import Claims, PartRow
from db.session import Database
from domain.outbound import FilePart, Template
from domain.sanitize import storable

log = structlog.get_logger()

WINDOW_CLOSED: Final = "window_closed"
_FILE_GONE: Final = Refused(ErrorClass.PERMANENT, "file_gone", "The file is not in the store any more")
_ANSWER_S: Final = 15.0
_OF_A_FILE: Final = 0.75
"""How much of a file's claim its upload may take."""


class ClaimExpiredError(Exception):
    """The claim ran out before the request was written: another worker may have the part by now."""


@dataclass
class PartSender:
    """One per process."""

    db: Database
    channels: ChannelDesk
    claims: Claims
    placeholders: Placeholders
    files: FileStore | None = None

    def place(self, claimed: Claimed) -> Place:
        """Return what the part's request counts as, where the platform counts."""
        part, message = claimed.part, claimed.message
        adapter, context = self.channels.open(message.channel)
        return place_of(
            adapter.capabilities,
            context,
            message.channel.platform,
            address(message.reply_to).chat,
            Verb.EDIT if is_open(message, part) else Verb.SEND,
            with_file=isinstance(part.payload, FilePart),
        )

    async def send(self, claimed: Claimed, before_write: Callable[[], None]) -> SendResult:
        """Try once. Raises what `before_write` raises, and ClaimExpiredError where an upload outlived its claim."""
        part, message = claimed.part, claimed.message
        if is_open(message, part):
            return await self.placeholders.replace(message, part, before_write)
        adapter, context = self.channels.open(message.channel)
        if not _may_write(adapter.capabilities, part, message.last_inbound_at, message.at):
            hours = adapter.capabilities.reply_window_s // 3600
            words = f"More than {hours} hours have passed since the person last wrote; only a template may be sent now"
            return Refused(ErrorClass.WINDOW_CLOSED, WINDOW_CLOSED, words)
        file = None
        if isinstance(part.payload, FilePart):
            file = await self._file(claimed, part.payload)
            if file is None:
                return _FILE_GONE

        async def keep_ref(upload_ref: str) -> None:
            async with self.db.account(message.channel.account_id) as conn:
                if not await claims.keep_ref(conn, part.id, claimed.claim_id, upload_ref):
                    raise ClaimExpiredError
            claimed.kept.append(upload_ref)

        return await adapter.send(
            context,
            SendRequest(
                address=address(message.reply_to),
                part=RenderedPart(part.body, part.plain, part.payload),
                nonce=part.nonce,
                before_write=before_write,
                as_plain=part.as_plain,
                timeout_s=_ANSWER_S if file is None else max(_ANSWER_S, self.claims.file_hold_s * _OF_A_FILE),
                session_key=message.session_key,
                file=file,
                keep_ref=keep_ref,
            ),
        )

    async def _file(self, claimed: Claimed, payload: FilePart) -> OutgoingFile | None:
        """Return the part's file; None where the store has lost it, which no attempt would mend."""
        files, account_id = self.files, claimed.message.channel.account_id
        if files is None:
            return None

        async def begin() -> AsyncIterator[bytes]:
            return await files.open(account_id, payload.digest)

        try:
            chunks = await begin()
        except NoSuchFileError:
            return None
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()
        return OutgoingFile(payload.filename, payload.mime_type, payload.size_bytes, begin)


def _may_write(can: Capabilities, part: PartRow, last_inbound_at: datetime | None, now: datetime) -> bool:
    if not can.reply_window_s or isinstance(part.payload, Template) or last_inbound_at is None:
        return True
    return now - last_inbound_at < timedelta(seconds=can.reply_window_s)


def window_template(configuration: Mapping[str, object], part: PartRow) -> Template | None:
    """Return what a channel sends in place of a part outside the window (`configuration.window_template`); None where it has
    none. A placeholder value `{text}` is the part's text; without one, only the first part is worth a template. Only texts have
    one: a file or a button would be lost in it, and waits for the operator's next try.
    """
    wanted = configuration.get("window_template")
    if wanted is None or part.payload is not None:
        return None
    try:
        template = Template.model_validate(wanted)
    except ValidationError:
        log.warning("delivery.window_template_unreadable", part_id=str(part.id))
        return None
    if part.part_no > 1 and not any("{text}" in one for one in template.parameters):
        return None
    folded = " ".join(storable(part.plain).split())[:1000]
    filled = tuple(one.replace("{text}", folded)[:1024] for one in template.parameters)
    return template.model_copy(update={"parameters": filled, "instead": True})


def instead_note(part: PartRow) -> tuple[str, str] | None:
    """Return what an operator is told of a part that went out as the channel's template."""
    template = part.payload if isinstance(part.payload, Template) else None
    if template is None or not template.instead:
        return None
    return ("window_template", f"Sent as the template {template.name}, because the reply window was closed")
