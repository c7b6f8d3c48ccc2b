"""What can be said besides text, as frozen shapes: files, buttons, menus, places, templates, reactions.

One message is a text and any number of these; each becomes one part with a `payload` in Postgres. What a platform can carry is
data (`OutboundLimits`, part of an adapter's capabilities); what it cannot becomes something else in domain/fallbacks.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, TypeAdapter, model_validator

from domain.filenames import MAX_BYTES
from domain.message import MessageType
from domain.sanitize import storable

VALUE_MAX_BYTES: Final = 64
"""What a pressed button gives back is this long at most: the smallest limit of the platforms that we know."""


def _words(text: str) -> str:
    cleaned = storable(text).strip()
    if not cleaned:
        raise ValueError("must not be blank")
    return cleaned


def _short(text: str) -> str:
    if len(text.encode()) > VALUE_MAX_BYTES:
        raise ValueError(f"must not be longer than {VALUE_MAX_BYTES} bytes")
    return text


Words = Annotated[str, AfterValidator(_words)]
Label = Annotated[Words, Field(min_length=1, max_length=75)]
Value = Annotated[Words, Field(min_length=1, max_length=VALUE_MAX_BYTES), AfterValidator(_short)]


class Shape(BaseModel):
    """Base of all: frozen, and nothing unknown gets in."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Button(Shape):
    """A button: one that gives `value` back when it is pressed, or one that opens `url`."""

    label: Label
    value: Value | None = None
    url: Annotated[Words, Field(max_length=2048, pattern=r"^https?://[^\s]+$")] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.value is None) is (self.url is None):
            raise ValueError("a button has either a value or a url")
        return self


def _distinct(buttons: tuple[Button, ...]) -> tuple[Button, ...]:
    _refuse_repeats([one.label for one in buttons], "labels")
    _refuse_repeats([one.value for one in buttons if one.value is not None], "values")
    return buttons


ButtonList = Annotated[tuple[Button, ...], Field(min_length=1, max_length=25), AfterValidator(_distinct)]
"""Labels and values are unique, so that a press says which one it was."""


class Buttons(Shape):
    """Buttons under a text."""

    kind: Literal["buttons"] = "buttons"
    buttons: ButtonList


class Choice(Shape):
    """One line of a menu."""

    label: Label
    value: Value
    description: Annotated[Words, Field(max_length=100)] | None = None


def _distinct_choices(choices: tuple[Choice, ...]) -> tuple[Choice, ...]:
    _refuse_repeats([one.label for one in choices], "labels")
    _refuse_repeats([one.value for one in choices], "values")
    return choices


ChoiceList = Annotated[tuple[Choice, ...], Field(min_length=1, max_length=25), AfterValidator(_distinct_choices)]
"""As with buttons."""


class Menu(Shape):
    """A list to choose one line from. `label`: what opens it."""

    kind: Literal["menu"] = "menu"
    label: Annotated[Words, Field(max_length=20)] = "Choose"
    choices: ChoiceList


class Location(Shape):
    """A point, perhaps with a name."""

    kind: Literal["location"] = "location"
    latitude: Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
    longitude: Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]
    name: Annotated[Words, Field(max_length=200)] | None = None
    address: Annotated[Words, Field(max_length=300)] | None = None


FileType = Literal["image", "audio", "video", "document", "sticker"]


class FilePart(Shape):
    """A file that we keep. `digest`: its SHA-256, by which it stands in the file store; `voice`: to be shown as a voice
    message where there are such.
    """

    kind: Literal["file"] = "file"
    type: FileType
    upload_id: UUID
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    mime_type: str
    filename: Annotated[Words, Field(max_length=MAX_BYTES)]
    size_bytes: Annotated[int, Field(ge=1)]
    voice: bool = False


class Template(Shape):
    """A message that the platform approved beforehand, with values for its placeholders.

    `instead`: it stands in for what could not be sent, because the reply window was closed.
    """

    kind: Literal["template"] = "template"
    name: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,512}$")]
    language: Annotated[str, Field(pattern=r"^[a-z]{2,3}(_[A-Z]{2})?$")] = "en"
    parameters: Annotated[tuple[Annotated[Words, Field(max_length=1024)], ...], Field(max_length=20)] = ()
    instead: bool = False


class Reaction(Shape):
    """An emoji on a message. `message`: the platform's own id of it."""

    kind: Literal["reaction"] = "reaction"
    emoji: Annotated[Words, Field(max_length=32)]
    message: Words


Payload = Annotated[Buttons | Menu | Location | FilePart | Template | Reaction, Discriminator("kind")]
_PAYLOAD: Final[TypeAdapter[Buttons | Menu | Location | FilePart | Template | Reaction]] = TypeAdapter(Payload)


def read_payload(stored: object) -> Payload | None:
    """Return a part's payload as it was stored; None for text."""
    return None if stored is None else _PAYLOAD.validate_python(stored)


@dataclass(frozen=True, slots=True)
class ButtonLimits:
    """How many buttons, how long. `urls`: how many of them may open an address; `mixed`: beside those that give a value back.

    `text`: how long the text above may be, in the platform's unit; None: as any text.
    """

    count: int
    label: int
    urls: int = 25
    mixed: bool = True
    text: int | None = None


@dataclass(frozen=True, slots=True)
class MenuLimits:
    """How many lines, how long. `description` 0: it is not shown there, so it goes into the text. `text` as above."""

    count: int
    label: int
    description: int = 0
    text: int | None = None


@dataclass(frozen=True, slots=True)
class FileLimits:
    """How large a file of one type may be, in bytes, and of which MIME types it must be; none named: any."""

    size: int
    mime_types: tuple[str, ...] = ()

    def takes(self, file: FilePart) -> bool:
        """Return whether the file can be sent as this type."""
        bare = file.mime_type.partition(";")[0].strip().lower()
        return file.size_bytes <= self.size and (not self.mime_types or bare in self.mime_types)


@dataclass(frozen=True, slots=True)
class OutboundLimits:
    """What a platform carries besides text. Shape of `files`: type -> limits; a type that is missing is sent as another.

    `caption`: how long a file's text may be, in the platform's unit; `uncaptioned`: types that have none.
    """

    files: Mapping[str, FileLimits] = field(default_factory=dict[str, FileLimits])
    caption: int = 0
    uncaptioned: frozenset[str] = frozenset()
    buttons: ButtonLimits | None = None
    menu: MenuLimits | None = None
    location: bool = False
    templates: bool = False
    reactions: bool = False


def type_of(extra: Payload | None) -> MessageType:
    """Return the message type under which something is listed: one of the seven."""
    if isinstance(extra, FilePart):
        return MessageType(extra.type)
    return MessageType.LOCATION if isinstance(extra, Location) else MessageType.TEXT


def described(extra: Payload) -> str:
    """Return the words that stand for it where only text is shown: lists, previews, an agent's view of the talk."""
    if isinstance(extra, FilePart):
        return f"[{extra.type}: {extra.filename}]"
    if isinstance(extra, Location):
        named = ", ".join(filter(None, (extra.name, extra.address)))
        point = f"{extra.latitude}, {extra.longitude}"
        return f"[location: {named} ({point})]" if named else f"[location: {point}]"
    if isinstance(extra, Template):
        return f"[template: {extra.name}]" + "".join(f"\n{one}" for one in extra.parameters)
    if isinstance(extra, Reaction):
        return f"[reaction: {extra.emoji}]"
    labels = [one.label for one in (extra.buttons if isinstance(extra, Buttons) else extra.choices)]
    return f"[{extra.kind}: {', '.join(labels)}]"


def _refuse_repeats(found: list[str], what: str) -> None:
    if len(set(found)) < len(found):
        raise ValueError(f"{what} must differ from each other")
