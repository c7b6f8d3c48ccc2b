"""PyNaCl (libsodium) and our verifier agree on every signature, good, broken or made of thin air."""

from __future__ import annotations

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from adapters.base import ChannelContext, WebhookRequest
from adapters.registry import Platforms
from domain.errors import SignatureError
from simulator.discord_keys import public_key, signature_headers
from tests.contract.cases import NOW

ADAPTER = Platforms(httpx2.AsyncClient(trust_env=False)).get("discord")
STAMP = str(int(NOW))


def ours(key: bytes, signature: bytes, body: bytes) -> bool:
    headers = {"x-signature-ed25519": [signature.hex()], "x-signature-timestamp": [STAMP]}
    channel = ChannelContext("c", {"public_key": key.hex()})
    try:
        ADAPTER.verify(WebhookRequest("POST", headers, {}, body), channel, NOW)
    except SignatureError:
        return False
    return True


def theirs(key: bytes, signature: bytes, body: bytes) -> bool:
    try:
        VerifyKey(key).verify(STAMP.encode() + body, signature)
    except (BadSignatureError, ValueError):
        return False
    return True


P = 2**255 - 19
ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
SMALL_ORDER = [
    (y | sign << 255).to_bytes(32, "little") for y in (0, 1, ORDER_8, P - ORDER_8, P - 1, P, P + 1) for sign in (0, 1)
]
"""Keys that are points of small order: libsodium refuses them, and so must we."""


class TestAgreement:
    @given(st.binary(min_size=32, max_size=32), st.binary(max_size=64), st.integers(0, 511), st.booleans())
    def test_on_good_signatures_and_on_those_with_one_bit_changed(
        self, seed: bytes, body: bytes, bit: int, change: bool
    ) -> None:
        key = SigningKey(seed)
        signature = bytearray(key.sign(STAMP.encode() + body).signature)
        if change:
            signature[bit // 8] ^= 1 << (bit % 8)
        public = bytes(key.verify_key)
        assert ours(public, bytes(signature), body) is theirs(public, bytes(signature), body) is (not change)

    @given(st.binary(min_size=32, max_size=32), st.binary(min_size=64, max_size=64), st.binary(max_size=16))
    def test_on_keys_and_signatures_of_thin_air(self, key: bytes, signature: bytes, body: bytes) -> None:
        assert ours(key, signature, body) is theirs(key, signature, body) is False

    @pytest.mark.parametrize("key", SMALL_ORDER, ids=lambda key: f"{key.hex()[:4]}…{key.hex()[-2:]}")
    def test_a_key_that_anything_would_fit_is_refused(self, key: bytes) -> None:
        # R = such a point, S = 0 satisfies the equation for some of the bodies.
        bodies = [number.to_bytes(8, "big") for number in range(64)]
        for point in SMALL_ORDER:
            signature = point + bytes(32)
            assert not any(theirs(key, signature, body) for body in bodies)
            assert not any(ours(key, signature, body) for body in bodies)

    def test_the_simulator_signs_as_discord_does(self) -> None:
        headers = signature_headers("token", STAMP, b'{"type":1}')
        found = bytes.fromhex(headers["X-Signature-Ed25519"])
        assert theirs(bytes.fromhex(public_key("token")), found, b'{"type":1}')
