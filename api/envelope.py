"""The documented envelope: `{success, data, meta?, message?}` and `{success, error, code, details?}`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, cast

from fastapi import Query
from pydantic import BaseModel

from domain.views import View


class Envelope(BaseModel):
    """A successful answer."""

    success: bool = True
    data: dict[str, Any] | None = None
    message: str | None = None


class ErrorEnvelope(BaseModel):
    """A refusal. `code` is stable, `error` is for people."""

    success: bool = False
    error: str
    code: str
    details: dict[str, Any] | None = None


class PageQuery(BaseModel):
    """Which page is asked for."""

    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1
    per_page: Annotated[int, Query(ge=1, le=100)] = 25

    @property
    def offset(self) -> int:
        """How many items come before the page."""
        return (self.page - 1) * self.per_page


def done(message: str | None = None, /, **data: View | Sequence[View] | object) -> dict[str, Any]:
    """Shape a success: views are serialised the same way as in events."""
    body: dict[str, Any] = {"success": True}
    if data:
        body["data"] = {name: plain(value) for name, value in data.items()}
    if message is not None:
        body["message"] = message
        body.setdefault("data", {"message": message})
    return body


def page(items: Sequence[View], total: int, query: PageQuery) -> dict[str, Any]:
    """Shape a page: `data.items` and `data.pagination`."""
    pagination = {
        "current_page": query.page,
        "per_page": query.per_page,
        "total_pages": math.ceil(total / query.per_page),
        "total_count": total,
    }
    return done(items=items, pagination=pagination)


def plain(value: object) -> object:
    """Return a view, or a sequence of views, as JSON-ready values; anything else as it is."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, list | tuple):
        return [plain(item) for item in cast("list[object]", value)]
    return value
