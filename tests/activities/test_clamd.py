"""The virus scanner's protocol, over real sockets: only a verdict is a verdict."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from activities.clamd import Clamd
from domain.errors import UnavailableError
from tests.activities.scanner import EICAR, fake_clamd


class TestMalware:
    @pytest.mark.parametrize("size", [0, 1, 131_072, 1_000_003])
    async def test_a_clean_file_arrives_whole(self, size: int) -> None:
        content = os.urandom(size)
        async with fake_clamd() as scanner:
            assert await Clamd(scanner.address).malware(io.BytesIO(content)) is None
            assert scanner.seen == [content]

    async def test_what_is_found_is_named(self, tmp_path: Path) -> None:
        async with fake_clamd(tmp_path / "clamd.ctl") as scanner:
            assert await Clamd(scanner.address).malware(io.BytesIO(b"a" * 9 + EICAR)) == "Eicar-Test-Signature"

    @pytest.mark.parametrize(
        "answer", [b"", b"stream: OK", b"INSTREAM size limit exceeded. ERROR\0", b"stream: x ERROR\0", b"\0", b"OKAY\0"]
    )
    async def test_all_else_is_not_safe(self, answer: bytes) -> None:
        async with fake_clamd() as scanner:
            scanner.answer = answer
            with pytest.raises(UnavailableError):
                await Clamd(scanner.address).malware(io.BytesIO(b"a"))

    @pytest.mark.parametrize("address", ["127.0.0.1:1", "unix:/nowhere/clamd.ctl", "nonsense"])
    async def test_nobody_there_is_not_safe(self, address: str) -> None:
        with pytest.raises(UnavailableError):
            await Clamd(address).malware(io.BytesIO(b"a"))
