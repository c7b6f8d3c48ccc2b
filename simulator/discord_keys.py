"""The key pair of a simulated application, made from its bot's token, so that both sides of a test know it.

Discord shows the public half in its portal and at `GET /applications/@me`. Called by the play, the API, the demo's seed.
"""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def private_key(bot_token: str) -> Ed25519PrivateKey:
    """Return the key that interactions are signed with."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"simulated application " + bot_token.encode()).digest())


def public_key(bot_token: str) -> str:
    """Return the public key in hexadecimal."""
    return private_key(bot_token).public_key().public_bytes_raw().hex()


def signature_headers(bot_token: str, timestamp: str, body: bytes) -> dict[str, str]:
    """Return the two headers of the signature (https://docs.discord.com/developers/interactions/overview)."""
    signature = private_key(bot_token).sign(timestamp.encode() + body).hex()
    return {"X-Signature-Ed25519": signature, "X-Signature-Timestamp": timestamp}
