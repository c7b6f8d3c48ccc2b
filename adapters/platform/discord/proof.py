"""Discord's signature: Ed25519 over the time and the raw body (https://docs.discord.com/developers/interactions/overview).

Discord sends wrong ones on purpose, at any time, and takes the address away if one passes. Called by `verify`.
"""

from __future__ import annotations

import re
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from adapters.base import WebhookRequest
from domain.errors import SignatureError

_WINDOW_S: Final = 300
"""Our own: the scheme signs a time and leaves it to us how old it may be."""

_TIMESTAMP: Final = re.compile(r"\d{1,12}", re.ASCII)
_KEY: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SIGNATURE: Final = re.compile(r"[0-9a-f]{128}", re.ASCII)

_SIGN_BIT: Final = 0x80
_SMALL_ORDER: Final = frozenset(
    bytes.fromhex(point)
    for point in (
        "00" * 32,
        "01" + "00" * 31,
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ec" + "ff" * 30 + "7f",
        "ed" + "ff" * 30 + "7f",
        "ee" + "ff" * 30 + "7f",
    )
)
"""Keys under which anybody can sign (all zeros, say), without their sign bit. libsodium refuses them, OpenSSL does not:
`ge25519_has_small_order` in libsodium's ed25519_ref10.c."""


def _public_key(spelled: str) -> Ed25519PublicKey:
    raw = bytes.fromhex(spelled)
    if raw[:31] + bytes([raw[31] & ~_SIGN_BIT & 0xFF]) in _SMALL_ORDER:
        raise SignatureError("the channel's public key is one that fits anybody's signature")
    return Ed25519PublicKey.from_public_bytes(raw)


def verify_signature(request: WebhookRequest, public_key: str, now: float) -> None:
    """Check signature and time. Raises SignatureError."""
    if not _KEY.fullmatch(public_key):
        raise SignatureError("the channel has no public key, so nothing can be verified")
    timestamp, signature = request.header("x-signature-timestamp"), request.header("x-signature-ed25519")
    if timestamp is None or signature is None:
        raise SignatureError("the signature or its time is missing or repeated")
    if not _TIMESTAMP.fullmatch(timestamp) or abs(now - int(timestamp)) > _WINDOW_S:
        raise SignatureError("the signature's time is not within five minutes of ours")
    if not _SIGNATURE.fullmatch(signature):
        raise SignatureError("the signature is not 128 small hexadecimal digits")
    try:
        _public_key(public_key).verify(bytes.fromhex(signature), timestamp.encode() + request.body)
    except (InvalidSignature, ValueError) as error:
        raise SignatureError("the signature does not match") from error
