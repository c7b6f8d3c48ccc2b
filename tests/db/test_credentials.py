"""Credentials open with the key and for the channel that they were sealed for, the first time and every time after it."""

from __future__ import annotations

import base64
from uuid import uuid4

import pytest

from db.credentials import CredentialBox, CredentialKeyError

KEY = base64.b64encode(b"1" * 32).decode()
OTHER_KEY = base64.b64encode(b"2" * 32).decode()
SECRETS = {"bot_token": "1:abc"}


class TestOpen:
    def test_returns_what_was_sealed_each_time(self) -> None:
        box, channel = CredentialBox([KEY]), uuid4()
        sealed = box.seal(channel, SECRETS)
        first = box.open(channel, sealed)
        first["bot_token"] = "changed by its reader"
        assert box.open(channel, sealed) == SECRETS

    def test_refuses_another_channels_even_after_they_were_opened(self) -> None:
        box, channel = CredentialBox([KEY]), uuid4()
        sealed = box.seal(channel, SECRETS)
        assert box.open(channel, sealed) == SECRETS
        with pytest.raises(CredentialKeyError):
            box.open(uuid4(), sealed)

    def test_refuses_changed_ones_and_an_unknown_key(self) -> None:
        box, channel = CredentialBox([KEY]), uuid4()
        sealed = box.seal(channel, SECRETS)
        box.open(channel, sealed)
        with pytest.raises(CredentialKeyError):
            box.open(channel, sealed[:-1] + bytes([sealed[-1] ^ 1]))
        with pytest.raises(CredentialKeyError):
            CredentialBox([OTHER_KEY]).open(channel, sealed)

    def test_an_older_key_still_opens(self) -> None:
        channel = uuid4()
        sealed = CredentialBox([KEY]).seal(channel, SECRETS)
        assert CredentialBox([OTHER_KEY, KEY]).open(channel, sealed) == SECRETS
