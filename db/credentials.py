"""Channel credentials at rest: AES-256-GCM under a key that only the processes have, bound to the channel's id.

Shape of a sealed value: version byte, key id (4 bytes), nonce (12 bytes), ciphertext. The key id allows a later key
to live beside an older one. Never in views, logs or workflow payloads.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_VERSION = b"\x01"
_REMEMBERED: Final = 5_000


class CredentialKeyError(RuntimeError):
    """A sealed value was made with a key that this process does not have, or belongs to another channel."""


class CredentialBox:
    """Seals with the first key, opens with any. Keys are base64 of 32 bytes."""

    def __init__(self, keys: Sequence[str]) -> None:
        raw = [base64.b64decode(key, validate=True) for key in keys]
        if not raw or any(len(key) != 32 for key in raw):
            raise ValueError("POWERNODE_CREDENTIALS_KEY must be base64 of 32 bytes")
        self._ciphers = {hashlib.sha256(key).digest()[:4]: AESGCM(key) for key in raw}
        self._current = hashlib.sha256(raw[0]).digest()[:4]
        self._opened: dict[tuple[UUID, bytes], dict[str, str]] = {}

    def seal(self, channel_id: UUID, credentials: Mapping[str, str]) -> bytes:
        """Encrypt a channel's credentials."""
        nonce = os.urandom(12)
        cipher = self._ciphers[self._current]
        sealed = cipher.encrypt(nonce, orjson.dumps(dict(credentials)), channel_id.bytes)
        return _VERSION + self._current + nonce + sealed

    def open(self, channel_id: UUID, sealed: bytes | None) -> dict[str, str]:
        """Decrypt a channel's credentials; none stored gives an empty mapping. Raises CredentialKeyError.

        What was opened is remembered: this process holds the key anyway, and a platform waits while its webhook's secret
        is looked up.
        """
        if not sealed:
            return {}
        known = self._opened.get((channel_id, sealed))
        if known is None:
            known = self._decrypt(channel_id, sealed)
            if len(self._opened) >= _REMEMBERED:
                self._opened.clear()
            self._opened[channel_id, sealed] = known
        return dict(known)

    def _decrypt(self, channel_id: UUID, sealed: bytes) -> dict[str, str]:
        cipher = self._ciphers.get(sealed[1:5])
        if cipher is None or sealed[:1] != _VERSION:
            raise CredentialKeyError("credentials are sealed with an unknown key")
        try:
            opened: dict[str, str] = orjson.loads(cipher.decrypt(sealed[5:17], sealed[17:], channel_id.bytes))
        except InvalidTag as error:
            raise CredentialKeyError("credentials do not belong to this channel or were changed") from error
        return opened
