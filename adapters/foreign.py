"""Reading JSON that strangers wrote: one decoder that fails in one way, and a base model that no odd field can break.

Called by the platforms' parsers. Whole bodies that cannot be read raise PayloadError; a single field of an unexpected
type counts as absent, because one new field must not cost a person's message.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
)

from domain.errors import PayloadError


def decode_object(body: bytes | str) -> dict[str, object]:
    """Decode a JSON object. Lone surrogates become U+FFFD, so that text can be stored. Raises PayloadError."""
    try:
        text = body.decode("utf-8-sig") if isinstance(body, bytes) else body
        found: object = json.loads(text)
        if "\\ud" in text.lower():
            # Escapes can spell halves of characters, which neither stores nor sockets accept.
            spelled = json.dumps(found, ensure_ascii=False)
            found = json.loads(spelled.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    except (ValueError, RecursionError) as error:
        raise PayloadError(f"the body is not readable JSON ({type(error).__name__})") from error
    if not isinstance(found, dict):
        raise PayloadError("the body is JSON, but not an object")
    return cast("dict[str, object]", found)


def digest(body: bytes) -> str:
    """Return the dedup key of an item that has no id of its own."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


class Foreign(BaseModel):
    """Base of all models of foreign JSON: unknown fields are ignored, ill-typed optional ones count as absent."""

    model_config = ConfigDict(extra="ignore", frozen=True, coerce_numbers_to_str=False)

    @field_validator("*", mode="wrap")
    @classmethod
    def _absent_when_odd(cls, value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        try:
            return handler(value)
        except ValidationError:
            declared = cls.model_fields[info.field_name or ""]
            if declared.is_required():
                raise
            return declared.get_default(call_default_factory=True)


def instant(seconds: float | None, otherwise: float) -> datetime:
    """Return Unix seconds as a time; `otherwise` where there are none or they lie outside the calendar."""
    try:
        return datetime.fromtimestamp(otherwise if seconds is None else seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(otherwise, UTC)
