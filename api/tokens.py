"""Access and refresh tokens: made, and checked for everything that can be checked without the database.

HS256 only, whatever a token's header says; issuer, audience and type must be ours (contract §7.3).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import jwt

from domain.errors import AuthenticationError

ISSUER: Final = "powernode-platform"
AUDIENCE: Final = "powernode-api"
ALGORITHM: Final = "HS256"
LIFE: Final = {"access": timedelta(minutes=15), "refresh": timedelta(days=7)}
LONGEST: Final = 4096
_REQUIRED: Final = ("sub", "account_id", "type", "exp", "iat", "jti", "iss", "aud")


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says and its signature proves; whether it is still valid is known by the database."""

    user_id: UUID
    account_id: UUID
    token_id: str
    issued_at: datetime
    expires_at: datetime


class TokenMint:
    """Makes and reads tokens with one secret."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def make(self, kind: str, user_id: UUID, account_id: UUID, email: str) -> tuple[str, Claims]:
        """Return a new token of a kind (`access`, `refresh`) with what it claims."""
        now = datetime.now(UTC)
        claims = Claims(user_id, account_id, secrets.token_hex(16), now, now + LIFE[kind])
        payload: dict[str, Any] = {
            "sub": str(user_id),
            "account_id": str(account_id),
            "email": email,
            "type": kind,
            "iat": now,
            "exp": claims.expires_at,
            "jti": claims.token_id,
            "iss": ISSUER,
            "aud": AUDIENCE,
            "version": 2,
        }
        return jwt.encode(payload, self._secret, ALGORITHM), claims

    def read(self, token: str, kind: str) -> Claims:
        """Check a token. Raises AuthenticationError, the same for every fault but expiry."""
        if len(token) > LONGEST:
            raise AuthenticationError("The token is not valid")
        try:
            payload = jwt.decode(
                token,
                self._secret,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                options={"require": list(_REQUIRED)},
            )
            if payload["type"] != kind:
                raise AuthenticationError("The token is not valid")
            return Claims(
                UUID(payload["sub"]),
                UUID(payload["account_id"]),
                str(payload["jti"]),
                datetime.fromtimestamp(payload["iat"], UTC),
                datetime.fromtimestamp(payload["exp"], UTC),
            )
        except jwt.ExpiredSignatureError as error:
            raise AuthenticationError("The token has expired", expired=True) from error
        except (jwt.InvalidTokenError, ValueError, TypeError, AttributeError) as error:
            raise AuthenticationError("The token is not valid") from error
