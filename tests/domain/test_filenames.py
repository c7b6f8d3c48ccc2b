"""Names that strangers chose: safe to store, to show, to save under."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.filenames import MAX_BYTES, clean_filename, content_disposition, download_name
from domain.filetypes import EXTENSIONS


class TestClean:
    @pytest.mark.parametrize(
        ("name", "cleaned"),
        [
            ("photo.jpg", "photo.jpg"),
            ("Grüße 1.pdf", "Grüße 1.pdf"),
            ("invoice\u202efdp.exe", "invoicefdp.exe"),
            ("a\u200bb\u2066c.txt", "abc.txt"),
            ("../../etc/passwd", "passwd"),
            ("C:\\Users\\a\\b.txt", "b.txt"),
            ("a\x00b\r\nc\x1b[0m.txt", "ab__c_[0m.txt"),
            ('a"b<c>d|e?.txt', "a_b_c_d_e_.txt"),
            ("CON", "_CON"),
            ("nul.txt", "_nul.txt"),
            (" .hidden. ", "hidden"),
            ("a\ud800b", "a\ufffdb"),
            ("...", None),
            ("", None),
            (None, None),
            ("x" * 300 + ".pdf", "x" * 251 + ".pdf"),
            ("é" * 300, "é" * 127),
        ],
    )
    def test_cases(self, name: str | None, cleaned: str | None) -> None:
        assert clean_filename(name) == cleaned

    @given(st.text(alphabet=st.characters(), max_size=400))
    def test_whatever_comes(self, name: str) -> None:
        cleaned = clean_filename(name)
        if cleaned is not None:
            assert 0 < len(cleaned.encode()) <= MAX_BYTES
            assert not set(cleaned) & set('/\\\x00\r\n"\u202e')
            assert clean_filename(cleaned) == cleaned


class TestDownload:
    @pytest.mark.parametrize(
        ("name", "mime_type", "saved"),
        [
            ("a.jpg", "image/jpeg", "a.jpg"),
            ("a.JPEG", "image/jpeg", "a.JPEG"),
            ("a.exe", "image/jpeg", "a.exe.jpg"),
            ("a.html", "text/plain", "a.html.txt"),
            ("jpg", "image/jpeg", "jpg.jpg"),
            (None, "application/pdf", "file.pdf"),
            ("a.svg", "application/x-unknown", "a.svg.bin"),
        ],
    )
    def test_it_ends_as_its_type_does(self, name: str | None, mime_type: str, saved: str) -> None:
        assert download_name(name, mime_type) == saved

    @given(st.text(alphabet=st.characters(), max_size=400), st.sampled_from(sorted(EXTENSIONS)))
    def test_the_header_is_one_line_of_ascii(self, name: str, mime_type: str) -> None:
        saved = download_name(name, mime_type)
        assert len(saved.encode()) <= MAX_BYTES
        assert saved.rpartition(".")[2].lower() in EXTENSIONS[mime_type]
        header = content_disposition(saved)
        assert header.isascii()
        assert header.isprintable()
        assert header.startswith("attachment; ")
        assert header.count('"') == 2
