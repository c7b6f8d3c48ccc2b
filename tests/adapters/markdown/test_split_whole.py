"""What a reader sees as one character is never cut, in no dialect and under no mark: neither are halves of a character.

The text is made of characters that are known to be whole, so that no rule of ours says where one ends.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.markdown import render_parts
from tests.adapters.markdown.test_split import DIALECTS

WHOLE = [
    "👨\u200d👩\u200d👧\u200d👦", "👩🏽\u200d🚀", "❤\ufe0f\u200d🔥", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "👍🏽", "🇩🇪", "é", "e\u0301", "\U0001d11e", "中", "한", "ä̈", "𝒳",
]  # fmt: skip
WRAPS = [
    "{}",
    "**{}**",
    "~~{}~~",
    "> {}",
    "- {}",
    "```py\n{}\n```",
    "`{}`",
    "[{}](https://x.y/)",
    "# {}",
    "_a **{}** b_",
]
NOTHING = "\u200b"


def boundaries(characters: list[str]) -> set[int]:
    """Return where the text may be cut."""
    found, at = {0}, 0
    for character in characters:
        at += len(character)
        found.add(at)
    return found


def visible(body: str) -> str:
    """Return what is left of a part without marks, which are all ASCII (and one sign that nobody sees, and bullets)."""
    return "".join(char for char in body if ord(char) > 0x7F and char not in {NOTHING, "•"})


def check(characters: list[str], wrap: str, limit: int) -> None:
    text = "".join(characters)
    kept = [visible(one) for one in characters]
    for dialect, measure, _ in DIALECTS:
        parts = render_parts(wrap.format(text), dialect, limit)
        at = 0
        for part in parts:
            assert measure(part.body) <= limit
            at += len(visible(part.body))
            assert at in boundaries(kept), (part.body, at)
            assert part.body.count("```") % 2 == 0, "every part has its own fences"
            assert part.body.encode("utf-16-le").decode("utf-16-le") == part.body
        assert "".join(visible(part.body) for part in parts) == "".join(kept)


CHARACTERS = st.lists(st.sampled_from(WHOLE), min_size=1, max_size=300)
LIMITS = st.integers(90, 200)


class TestWhole:
    @settings(max_examples=60)
    @given(CHARACTERS, st.sampled_from(WRAPS), LIMITS)
    def test_no_character_is_cut(self, characters: list[str], wrap: str, limit: int) -> None:
        check(characters, wrap, limit)

    @pytest.mark.full
    @settings(max_examples=10_000)
    @given(CHARACTERS, st.sampled_from(WRAPS), LIMITS)
    def test_no_character_is_cut_at_length(self, characters: list[str], wrap: str, limit: int) -> None:
        check(characters, wrap, limit)

    @pytest.mark.parametrize("limit", [2000, 4000, 4096, 16_383])
    def test_at_the_platforms_own_limits(self, limit: int) -> None:
        for wrap in WRAPS:
            check(WHOLE * 250, wrap, limit)


class TestCodeAtLength:
    @pytest.mark.parametrize("limit", [2000, 4000, 4096, 16_383])
    def test_every_line_of_a_long_block_is_code_in_some_part(self, limit: int) -> None:
        lines = [f"    line_{number:05d} = {number}" for number in range(2_000)]
        for dialect, _, _ in DIALECTS:
            parts = render_parts("```py\n" + "\n".join(lines) + "\n```", dialect, limit)
            found = [line for part in parts for line in part.body.split("\n") if "line_" in line]
            stripped = [line.removesuffix("</code></pre>").removesuffix("</pre>").rpartition(">")[2] for line in found]
            assert stripped == lines
