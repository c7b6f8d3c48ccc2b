"""What is taken of what people send: content decides, and bombs, traps and mixtures are refused with a reason (S8)."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile

import pytest

from activities.archives import MAX_ENTRIES
from activities.inspection import Inspected, inspect
from domain.errors import FileRefusedError
from domain.files import AttachmentType
from domain.filetypes import DOCX, TAKEN, XLSX
from tests import files

IMAGE, AUDIO, VIDEO, DOCUMENT = AttachmentType


def look(content: bytes, said: str | None = None, kind: AttachmentType = DOCUMENT) -> Inspected:
    return inspect(io.BytesIO(content), len(content), said=said, kind=kind)


def refusal(content: bytes, said: str | None = None, kind: AttachmentType = DOCUMENT) -> str:
    with pytest.raises(FileRefusedError) as refused:
        look(content, said, kind)
    return refused.value.message


EVERY = {
    "image/jpeg": files.jpeg(), "image/png": files.png(), "image/gif": files.gif(), "image/webp": files.webp(),
    "audio/ogg": files.ogg(), "audio/mpeg": files.mp3(), "audio/mp4": files.mp4(b"M4A "), "audio/wav": files.wav(),
    "video/mp4": files.mp4(), "video/webm": files.webm(), "video/quicktime": files.mp4(b"qt  "),
    "application/pdf": files.pdf(), "application/msword": files.ole("WordDocument"), DOCX: files.docx(),
    "application/vnd.ms-excel": files.ole("Workbook"), XLSX: files.xlsx(), "text/plain": "Grüße\n".encode(),
}  # fmt: skip


class TestTypes:
    @pytest.mark.parametrize("mime_type", EVERY)
    def test_every_type_is_known_by_its_content_alone(self, mime_type: str) -> None:
        for said in (None, mime_type, "application/octet-stream", "image/png; charset=x"):
            found = look(EVERY[mime_type], said)
            assert (found.mime_type, found.attachment_type) == (mime_type, TAKEN[mime_type])

    def test_every_type_that_is_taken_is_tried(self) -> None:
        assert set(TAKEN) - set(EVERY) == {"audio/webm", "text/csv"}
        assert look(files.webm(), "audio/webm", AUDIO).mime_type == "audio/webm"
        assert look(files.webm(), None, AUDIO).attachment_type is AUDIO
        assert look(b"a,b\n1,2\n", "text/csv").mime_type == "text/csv"

    def test_a_wrong_word_for_it_is_corrected(self) -> None:
        found = look(files.pdf(), "image/png", IMAGE)
        assert (found.mime_type, found.attachment_type) == ("application/pdf", DOCUMENT)

    @pytest.mark.parametrize(
        "content",
        [
            b"MZ\x90\x00\x03\x00\x00\x00", b"\x7fELF\x02\x01\x01\x00", b"\xca\xfe\xba\xbe\x00\x00\x00\x34",
            b"Rar!\x1a\x07\x00", b"7z\xbc\xaf\x27\x1c", b"\x1f\x8b\x08\x00\x00\x00\x00\x00", b"BZh91AY&SY\x00",
            b"\x00\x01\x02\x03", files.ole("PowerPoint Document"), files.mp4(b"heic"), files.mp4(b"3gp5"),
            b"\x1aE\xdf\xa3\x93\x42\x82\x88matroska", b"RIFF\x00\x00\x00\x00AVI LIST", b"text\x00more", b"a" * 70_000 + b"\x00",
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("said", ["image/png", "application/pdf", "text/plain"])
    def test_what_is_not_on_the_list_is_refused_whatever_is_said(self, content: bytes, said: str) -> None:
        assert refusal(content, said) == "of a type that is not taken"

    def test_nothing_is_no_file(self) -> None:
        assert refusal(b"") == "empty"

    @pytest.mark.parametrize(
        "content",
        [
            b"<svg onload=alert(1)>", b"<?xml version='1.0'?>\n<!-- x --><svg xmlns='s'><script/></svg>",
            b"\xef\xbb\xbf <!DOCTYPE svg PUBLIC 'x'>\n<SVG>",
        ],
    )  # fmt: skip
    def test_an_svg_is_a_program(self, content: bytes) -> None:
        for said in ("image/svg+xml", "image/png", "text/plain"):
            assert "SVG" in refusal(content, said, IMAGE)

    @pytest.mark.parametrize(
        "content", [b"<!DOCTYPE html><p>", b"  <html>", b"<script>alert(1)</script>", b"<?php system('id');"]
    )
    def test_a_web_page_is_a_program(self, content: bytes) -> None:
        assert "web page" in refusal(content, "text/plain")


class TestPictures:
    def test_their_size_is_read(self) -> None:
        for content in (files.png(640, 480), files.jpeg(640, 480), files.gif(640, 480), files.webp(640, 480)):
            assert look(content).metadata() == {"width": 640, "height": 480}
        assert look(files.jpeg(640, 480, before=300_000)).width == 640

    @pytest.mark.parametrize(
        "content",
        [
            files.png(50_000, 50_000), files.jpeg(65_000, 65_000), files.gif(65_535, 65_535),
            files.webp(16_000_000, 16_000_000), files.png(0xFFFFFFFF, 0xFFFFFFFF),
        ],
    )  # fmt: skip
    def test_a_flood_of_pixels_is_refused_by_the_header_alone(self, content: bytes) -> None:
        tracemalloc.start()
        assert "pixels" in refusal(content, kind=IMAGE)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
        tracemalloc.stop()

    @pytest.mark.parametrize(
        "content",
        [files.png(0, 5), files.png()[:20], files.jpeg()[:24], b"\xff\xd8\xff\xe0", b"GIF89a\x01", files.webp()[:20]],
    )
    def test_a_damaged_one_is_refused(self, content: bytes) -> None:
        assert "damaged" in refusal(content, "image/png", IMAGE)


class TestSounds:
    def test_their_length_is_read(self) -> None:
        assert look(files.ogg(1.5)).metadata() == {"duration": 1.5}
        assert look(files.wav(2)).metadata() == {"duration": 2.0}
        assert look(b"OggS\x00").metadata() == {}


class TestArchives:
    def test_a_plain_one_is_not_taken(self) -> None:
        assert "archives are not taken" in refusal(files.zipped({"a.txt": b"a"}), "application/zip")
        assert "archives are not taken" in refusal(files.zipped({"[Content_Types].xml": b"<Types/>"}), DOCX)

    def test_a_bomb_is_refused_unopened(self) -> None:
        bomb = files.docx({"word/media.bin": b"\x00" * (50 << 20)})
        assert len(bomb) < 100_000
        tracemalloc.start()
        assert "far more than its size" in refusal(bomb, DOCX)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
        tracemalloc.stop()

    def test_many_small_ones_are_a_bomb_too(self) -> None:
        entries = {f"word/{n}.bin": bytes(range(256)) * 4_000 for n in range(250)}
        assert "unpacks to" in refusal(files.docx(entries), DOCX)

    def test_a_bomb_of_overlapping_entries(self) -> None:
        content = files.zipped({"[Content_Types].xml": b"x" * 900, "b": b"x" * 900}, zipfile.ZIP_STORED)
        at = content.rfind(b"PK\x01\x02")
        lying = content[: at + 20] + struct.pack("<II", 2_000_000, 2_000_000) + content[at + 28 :]
        assert "share their bytes" in refusal(lying, DOCX)

    def test_nested_ones(self) -> None:
        inner = files.zipped({"a": b"a"})
        assert "within an archive" in refusal(files.docx({"word/inner.zip": inner}), DOCX)
        assert "within an archive" in refusal(files.docx({"word/inner.bin": inner}), DOCX)

    def test_a_hundred_thousand_entries(self) -> None:
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w") as archive:
            for number in range(100_000):
                archive.writestr(zipfile.ZipInfo(str(number)), b"")
        content = target.getvalue()
        tracemalloc.start()
        assert f"more than {MAX_ENTRIES}" in refusal(content, DOCX)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
        tracemalloc.stop()

    def test_a_count_that_lies(self) -> None:
        content = files.docx({f"word/{n}": b"" for n in range(MAX_ENTRIES)})
        at = content.rfind(b"PK\x05\x06")
        lying = content[: at + 8] + struct.pack("<HH", 3, 3) + content[at + 12 :]
        assert f"more than {MAX_ENTRIES}" in refusal(lying, DOCX)

    @pytest.mark.parametrize(
        "name", ["../../etc/passwd", "/etc/passwd", "word/../../x", "C:\\windows\\x", "..\\x", "word\\x", "a\x00b"]
    )
    def test_names_that_lead_outside(self, name: str) -> None:
        content = files.docx({"word/name-to-be-changed-here": b"x"})
        spelled = name.encode().ljust(len("word/name-to-be-changed-here"), b"x")
        assert "outside" in refusal(content.replace(b"word/name-to-be-changed-here", spelled), DOCX)

    def test_an_encrypted_one(self) -> None:
        content = files.docx()
        at = content.rfind(b"PK\x01\x02")
        assert "encrypted" in refusal(content[: at + 8] + b"\x01" + content[at + 9 :], DOCX)

    def test_macros(self) -> None:
        assert "macros" in refusal(files.docx({"word/vbaProject.bin": b"x"}), DOCX)

    @pytest.mark.parametrize("keep", [0.3, 0.6, 0.95])
    def test_a_damaged_one(self, keep: float) -> None:
        content = files.docx({"word/a": b"abc" * 1_000})
        assert "archive" in refusal(content[: int(len(content) * keep)], DOCX)


class TestMixtures:
    def test_an_archive_behind_a_picture(self) -> None:
        for first in (files.jpeg(), files.gif(), files.png(), files.pdf(), files.ogg()):
            assert "two types at once" in refusal(first + files.zipped({"a.class": b"x"}))

    def test_a_pdf_within_something_else(self) -> None:
        assert "two types at once" in refusal(b"#!/bin/sh\n" + files.pdf(), "application/pdf")
        assert "two types at once" in refusal(files.gif() + files.pdf())

    def test_a_program_within_a_picture(self) -> None:
        assert "two types at once" in refusal(files.gif() + b"<script>alert(1)</script>", "image/gif", IMAGE)
        assert "two types at once" in refusal(files.png(padding=9).replace(b"x" * 9, b"<?php 1;>"), "image/png", IMAGE)
