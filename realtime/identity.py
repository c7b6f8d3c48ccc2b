"""Who is at the other end of a socket, as the injected `authenticate` says; the hub never looks into a token."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from uuid import UUID

from domain.permissions import Permission


@lru_cache(maxsize=256)
def granted(names: frozenset[str]) -> frozenset[str]:
    """Return the one set that all sockets with these permissions share: there are few kinds, and many sockets."""
    return names


@dataclass(frozen=True, slots=True)
class Identity:
    """A person in an account. `expires_at` knows its zone; `token_id` names the token for revocation and is no secret."""

    user_id: UUID
    account_id: UUID
    name: str
    email: str
    permissions: frozenset[str]
    expires_at: datetime
    token_id: str

    def may(self, permission: Permission) -> bool:
        """Whether this permission was granted."""
        return permission.value in self.permissions


Authenticate = Callable[[str], Awaitable[Identity]]
"""Token -> identity. Raises AuthenticationError (`expired` set when only its time is over), UnavailableError."""
