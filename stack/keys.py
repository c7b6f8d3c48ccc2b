"""The secrets of an embedded stack: made once, kept in var/secrets.json (0600), gone with `make reset`.

Not for production, where each secret is a variable of its own (docs/configuration.md).
"""

from __future__ import annotations

import base64
import secrets
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from stack.paths import VarDir, write_private


def _token() -> str:
    return secrets.token_urlsafe(24)


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


class StackKeys(BaseModel):
    """Every secret of one stack; a field that an older file lacks is made when it is read."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    postgres_password: str = Field(default_factory=_token)
    owner_password: str = Field(default_factory=_token)
    app_password: str = Field(default_factory=_token)
    redis_password: str = Field(default_factory=_token)
    jwt_secret: str = Field(default_factory=lambda: secrets.token_urlsafe(48))
    credentials_key: str = Field(default_factory=_key)
    admin_password: str = Field(default_factory=lambda: secrets.token_urlsafe(12))
    demo_channels: str = Field(default_factory=lambda: secrets.token_hex(16))
    """What the demo channels' credentials are derived from, so that they are the same at every start."""

    @classmethod
    def keep(cls, var: VarDir) -> Self:
        """Return the secrets of this stack, making those that are missing."""
        text = var.keys.read_text(encoding="utf-8") if var.keys.is_file() else "{}"
        keys = cls.model_validate_json(text)
        if keys.model_dump_json(indent=2) != text:
            write_private(var.keys, keys.model_dump_json(indent=2))
        return keys
