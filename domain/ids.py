"""Ids as strangers write them."""

from __future__ import annotations

from uuid import UUID


def as_uuid(text: str) -> UUID | None:
    """Return a text as a UUID; None for what is none."""
    try:
        return UUID(text)
    except ValueError:
        return None
