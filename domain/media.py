"""The files of a message as work: what crosses Temporal about them. Ids and reasons only, like domain/work.py.

Annotations are evaluated here, as there.
"""

from dataclasses import dataclass, field
from typing import Final

from domain.work import SessionRef

MEDIA_WORKFLOW: Final = "MediaFetchWorkflow"
MEDIA_WANTED: Final = "media_wanted"
"""Names the outbox row that has a message's files fetched."""


def media_workflow_id(message_id: str) -> str:
    """Return the id of the workflow that fetches a message's files: one per message."""
    return f"media:{message_id}"


@dataclass(frozen=True)
class MediaRef:
    """Whose files they are."""

    ref: SessionRef
    message_id: str
    trace_id: str


@dataclass(frozen=True)
class MediaFile:
    """One file of a message. `label`: what the Temporal UI shows of it; no name that a person chose."""

    media: MediaRef
    attachment_id: str
    label: str


@dataclass(frozen=True)
class MediaPlan:
    """What is to be fetched, on which task queue. `awaited`: the session's turn waits for it."""

    queue: str
    awaited: bool = False
    files: list[MediaFile] = field(default_factory=list[MediaFile])


@dataclass(frozen=True)
class Fetched:
    """How a file ended. `transcribe`: it is speech that somebody can write down."""

    state: str
    transcribe: bool = False


@dataclass(frozen=True)
class GivenUp:
    """A file that nobody handed out, however often it was asked for."""

    file: MediaFile
    reason: str
