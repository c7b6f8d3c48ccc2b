"""What an operator may send: the body of a message, and the shapes that come of it. Called by messages.py."""

from __future__ import annotations

from typing import Final, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy.ext.asyncio import AsyncConnection

from db import message_views, uploads
from domain.errors import InvalidInputError
from domain.message import MessageType
from domain.outbound import ButtonList, Buttons, FilePart, FileType, Location, Menu, Payload, Reaction, Template, Words
from domain.sanitize import storable

_FILE_TYPES: Final[dict[MessageType, FileType]] = {
    MessageType.IMAGE: "image",
    MessageType.AUDIO: "audio",
    MessageType.VIDEO: "video",
    MessageType.DOCUMENT: "document",
    MessageType.STICKER: "sticker",
}
_BY_MIME: Final[dict[str, FileType]] = {"image": "image", "audio": "audio", "video": "video"}
_VOICE: Final = frozenset({"audio/ogg", "audio/opus"})
"""What phones record, and what the platforms show as a voice message."""


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ReactionBody(_Body):
    """An emoji on a message of the session, by our own id of it. Where a platform names its emoji, the common ones are known, and
    `:name:` is taken.
    """

    message_id: UUID
    emoji: Words = Field(max_length=32)


class MessageBody(_Body):
    """An operator's answer: words, and what goes with them. `client_id` makes a repeat harmless.

    `attachment_ids`: of uploads to this session; `message_type` says as what the first one is to be sent, else its MIME type
    does. At most one of them, `buttons`, `menu`, `location`, `template` and `reaction`. What the platform cannot carry goes in
    another form, or is refused in words.
    """

    content: str = Field("", max_length=40_000)
    message_type: MessageType | None = None
    client_id: str | None = Field(None, min_length=1, max_length=100)
    attachment_ids: list[UUID] = Field(default_factory=list[UUID], max_length=10)
    location: Location | None = None
    buttons: ButtonList | None = None
    menu: Menu | None = None
    template: Template | None = None
    reaction: ReactionBody | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        wordless = self.template is not None or self.reaction is not None
        kinds = [self.buttons, self.menu, self.location, self.template, self.reaction, self.attachment_ids or None]
        given = sum(kind is not None for kind in kinds)
        if given > 1:
            raise ValueError("only one of attachment_ids, buttons, menu, location, template, reaction")
        if not given and not self.text:
            raise ValueError("content must not be blank")
        if wordless and self.text:
            raise ValueError("a template or a reaction has no content of its own")
        if self.template is not None and self.template.instead:
            raise ValueError("template.instead is not yours to say")
        if self.message_type is MessageType.LOCATION and self.location is None:
            raise ValueError("the message_type location needs a location")
        if self.message_type in _FILE_TYPES and not self.attachment_ids:
            raise ValueError(f"the message_type {self.message_type} needs attachment_ids")
        return self

    @property
    def text(self) -> str:
        """The words, as they can be stored."""
        return storable(self.content).strip()


async def extras_of(conn: AsyncConnection, session_id: UUID, body: MessageBody) -> list[Payload]:
    """Return what goes with a message's words. Raises InvalidInputError, NotFoundError for what the session has not."""
    if body.attachment_ids:
        return list(await _files(conn, session_id, body))
    if body.buttons is not None:
        return [Buttons(buttons=body.buttons)]
    if body.reaction is not None:
        return [await _reaction(conn, session_id, body.reaction)]
    return [extra for extra in (body.menu, body.location, body.template) if extra is not None]


async def _reaction(conn: AsyncConnection, session_id: UUID, wanted: ReactionBody) -> Reaction:
    message = await message_views.get(conn, session_id, wanted.message_id)
    if message.platform_message_id is None:
        raise wrong("reaction.message_id", "The platform has no such message yet")
    return Reaction(emoji=wanted.emoji, message=message.platform_message_id)


async def _files(conn: AsyncConnection, session_id: UUID, body: MessageBody) -> list[FilePart]:
    found = await uploads.listing(conn, session_id, body.attachment_ids)
    if len(found) < len(body.attachment_ids):
        raise wrong("attachment_ids", "This session has no such upload")
    parts: list[FilePart] = []
    for position, upload in enumerate(found):
        bare = upload.mime_type.partition(";")[0].strip().lower()
        wanted = _FILE_TYPES.get(body.message_type) if body.message_type and position == 0 else None
        parts.append(
            FilePart(
                type=wanted or _BY_MIME.get(bare.partition("/")[0], "document"),
                upload_id=upload.id,
                digest=upload.digest,
                mime_type=upload.mime_type,
                filename=upload.filename,
                size_bytes=upload.size_bytes,
                voice=bare in _VOICE,
            )
        )
    return parts


def wrong(field: str, words: str) -> InvalidInputError:
    """Return the refusal of one field, in the documented envelope."""
    return InvalidInputError(f"{field}: {words}", details={"errors": [{"field": field, "message": words}]})
