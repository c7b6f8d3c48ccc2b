"""Passwords: hashed with Argon2id in a thread, and as slow for an address that does not exist as for one that does."""

from __future__ import annotations

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_hasher = PasswordHasher()
_NOBODY = _hasher.hash("nobody has this password")


def hash_password(password: str) -> str:
    """Return a hash to be stored. Takes tens of milliseconds."""
    return _hasher.hash(password)


def _verify(stored: str, password: str) -> bool:
    try:
        return _hasher.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


async def password_fits(stored: str | None, password: str) -> bool:
    """Whether a password fits a stored hash; None (no such person) takes as long and never fits."""
    fits = await asyncio.to_thread(_verify, stored or _NOBODY, password)
    return fits and stored is not None
