"""Uploads that come before the message itself: nobody sees them, so whatever becomes of one may be tried again."""

from __future__ import annotations

from adapters.base import ErrorClass, OutgoingFile, Refused, SendResult, Unknown
from adapters.http import Upload

NO_BYTES = Refused(ErrorClass.PERMANENT, "no_file", "The part names a file whose bytes are not there")


def as_upload(field: str, file: OutgoingFile, filename: str | None = None) -> Upload:
    """Return a file as a form's field."""
    return Upload(field, filename or file.filename, file.mime_type, file.size_bytes, file.open)


def upload_failed(result: SendResult) -> SendResult:
    """Return how a send ends whose upload failed: a lost answer is no ambiguity there."""
    if isinstance(result, Unknown):
        return Refused(ErrorClass.TRANSIENT, "upload", f"The file could not be uploaded just now: {result.reason}")
    return result
