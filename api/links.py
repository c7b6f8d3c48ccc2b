"""Signed links to files: good for five minutes, for one file of one account, without a token.

Signed with a key of their own that is made from `POWERNODE_JWT_SECRET`, so that no token is a link and no link a token.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from domain.errors import PermissionDeniedError

LIFE_S: Final = 300
_PURPOSE: Final = b"powernode: links to files, 1"


@dataclass(frozen=True, slots=True)
class Link:
    """What stands in a link's query."""

    account_id: UUID
    attachment_id: UUID
    expires: int
    signature: str

    def query(self) -> str:
        """Return it as a query."""
        return f"account_id={self.account_id}&expires={self.expires}&signature={self.signature}"

    @property
    def expires_at(self) -> datetime:
        """Return the moment from which it is refused."""
        return datetime.fromtimestamp(self.expires, UTC)


class LinkMint:
    """Makes and reads links. One per process; all processes with one secret know each other's."""

    def __init__(self, secret: str) -> None:
        self._key = hmac.new(secret.encode(), _PURPOSE, hashlib.sha256).digest()

    def make(self, account_id: UUID, attachment_id: UUID, now: float | None = None) -> Link:
        """Return a link that is good for `LIFE_S` seconds."""
        expires = int(time.time() if now is None else now) + LIFE_S
        return Link(account_id, attachment_id, expires, self._sign(account_id, attachment_id, expires))

    def check(self, link: Link, now: float | None = None) -> None:
        """Check a link, in constant time. Raises PermissionDeniedError; one word for all that can be wrong."""
        wanted = self._sign(link.account_id, link.attachment_id, link.expires)
        genuine = hmac.compare_digest(wanted.encode(), link.signature.encode())
        if not genuine or link.expires <= (time.time() if now is None else now):
            raise PermissionDeniedError("The link is not valid, or not any more; ask for another one")

    def _sign(self, account_id: UUID, attachment_id: UUID, expires: int) -> str:
        said = f"{account_id}\n{attachment_id}\n{expires}".encode()
        return hmac.new(self._key, said, hashlib.sha256).hexdigest()
