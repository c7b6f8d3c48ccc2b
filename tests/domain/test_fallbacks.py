"""What a platform cannot carry becomes something else: whatever is asked of whichever platform, no word of it is lost."""

from __future__ import annotations

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.composing import compose
from adapters.registry import Platforms, platform_names
from domain.errors import InvalidInputError
from domain.fallbacks import carried
from domain.outbound import (
    Button,
    ButtonLimits,
    Buttons,
    Choice,
    FileLimits,
    FilePart,
    FileType,
    Menu,
    MenuLimits,
    OutboundLimits,
    Payload,
    described,
    read_payload,
)
from tests.contract.outbound import LINK, PLACE, SIZES, TEMPLATE, YES_NO, a_file

ADAPTERS = Platforms(httpx2.AsyncClient(trust_env=False))
WORDS = st.text("abcdefghij XYZ*_[]()`<>&#.!äß", min_size=1, max_size=75).map(str.strip).filter(bool)


def labels(extra: Payload | None) -> list[str]:
    if isinstance(extra, Buttons):
        return [one.label for one in extra.buttons]
    return [one.label for one in extra.choices] if isinstance(extra, Menu) else []


class TestNothingIsLost:
    @pytest.mark.parametrize("platform", platform_names())
    @given(names=st.lists(WORDS, min_size=1, max_size=25, unique_by=lambda word: " ".join(word.split())))
    def test_of_buttons_and_menus(self, platform: str, names: list[str]) -> None:
        buttons = Buttons(buttons=tuple(Button(label=name, value=str(n)) for n, name in enumerate(names)))
        menu = Menu(choices=tuple(Choice(label=name, value=str(n), description="d") for n, name in enumerate(names)))
        can = ADAPTERS.get(platform).capabilities.outbound
        for wanted in (buttons, menu):
            found = carried(can, "", wanted, platform)
            told = {" ".join(label.split()) for label in labels(found.extra)}
            bare = "".join(sign for index, sign in enumerate(found.markdown) if not _escape(found.markdown, index))
            for name in names:
                assert " ".join(name.split()) in told or " ".join(name.split()) in bare

    @pytest.mark.parametrize("platform", platform_names())
    @pytest.mark.parametrize("extra", [YES_NO, SIZES, PLACE, a_file("sticker"), a_file("audio")], ids=described)
    def test_parts_fit_and_are_stored_as_they_are(self, platform: str, extra: Payload) -> None:
        adapter = ADAPTERS.get(platform)
        parts = compose(adapter, "word " * 2_000, [extra])
        for part in parts:
            assert len(part.body) <= adapter.capabilities.text_limit
            assert part.payload is None or read_payload(part.payload.model_dump(mode="json")) == part.payload


def _escape(text: str, index: int) -> bool:
    """Whether a sign only says that the next one is plain."""
    return text[index] == "\\" and index + 1 < len(text) and not text[index + 1].isalnum() and text[index + 1] != " "


class TestSteps:
    def test_too_many_buttons_become_a_menu_where_it_fits(self) -> None:
        can = OutboundLimits(buttons=ButtonLimits(count=1, label=75), menu=MenuLimits(count=2, label=75))
        found = carried(can, "Well?", YES_NO, "x")
        assert isinstance(found.extra, Menu)
        assert [(one.label, one.value) for one in found.extra.choices] == [("Yes, please", "yes:1"), ("No", "no")]

    def test_without_either_they_are_numbered_lines(self) -> None:
        found = carried(OutboundLimits(), "Well?", Buttons(buttons=(*YES_NO.buttons, LINK)), "x")
        lines = found.markdown.splitlines()[-3:]
        assert found.extra is None
        assert lines == ["1. Yes, please", "2. No", f"3. [Read more]({LINK.url})"]

    def test_a_description_that_does_not_fit_stands_in_the_text(self) -> None:
        can = OutboundLimits(menu=MenuLimits(count=5, label=75, description=3))
        menu = Menu(choices=(Choice(label="a", value="a", description="longer"), Choice(label="b", value="b")))
        found = carried(can, "", menu, "x")
        assert found.markdown == "- a: longer"
        assert isinstance(found.extra, Menu)
        assert [one.description for one in found.extra.choices] == [None, None]

    def test_a_file_of_an_odd_type_is_a_document(self) -> None:
        can = OutboundLimits(files={"image": FileLimits(1 << 20, ("image/png",)), "document": FileLimits(1 << 20)})
        odd: tuple[tuple[FileType, FileType], ...] = (
            ("image", "image"),
            ("sticker", "document"),
            ("video", "document"),
        )
        for kind, wanted in odd:
            found = carried(can, "", a_file(kind), "x").extra
            assert isinstance(found, FilePart)
            assert found.type == wanted

    def test_a_template_has_no_stand_in(self) -> None:
        with pytest.raises(InvalidInputError, match="Pigeon has no templates"):
            carried(OutboundLimits(), "", TEMPLATE, "Pigeon")
