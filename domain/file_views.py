"""Files of messages as readers see them, and the base of all views (domain/views.py has the rest)."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict


class View(BaseModel):
    """Base of all views: frozen, and nothing unknown gets in."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DimensionsView(View):
    """A picture's size in pixels."""

    width: int
    height: int


class AttachmentView(View):
    """A file of a message, in lists and events alike.

    `state`: `waiting`, `stored`, `refused` or `failed`; `reason` says in words why it was refused or failed. `safe`: it was
    looked at, and may be downloaded by the link in its details. `duration`: seconds.
    """

    id: UUID
    attachment_type: str
    mime_type: str
    filename: str | None
    file_size: int | None
    formatted_size: str | None
    dimensions: DimensionsView | None
    duration: float | None
    transcription: str | None
    state: str
    reason: str | None
    safe: bool


class AttachmentDetailsView(AttachmentView):
    """A file in full. `download_url`: signed, good until `download_expires_at`; only where the file is safe."""

    message_id: UUID
    platform_file_id: str | None
    storage_url: str | None
    metadata: dict[str, object]
    scanned_for_malware: bool
    malware_detected: bool
    scanned_at: datetime | None
    created_at: datetime
    download_url: str | None = None
    download_expires_at: datetime | None = None
