"""Splitting: what holds for every text (hypothesis), and where cuts fall."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.base import RenderedPart
from adapters.markdown import render_parts
from adapters.markdown.clusters import clusters
from adapters.markdown.commonmark import COMMONMARK, REFERENCED
from adapters.markdown.html import HTML, utf16_units
from adapters.markdown.mrkdwn import MRKDWN
from adapters.markdown.ops import Dialect
from adapters.markdown.signs import SIGNS

# Letters that no markup of ours contains: what is left of a text when all else is taken away.
LETTERS = "äöüßéñ"
WORDS = st.text(LETTERS, min_size=1, max_size=12)
ODDITIES = st.sampled_from(["<", "&", ">", "\\*", "@channel", "👨‍👩‍👧‍👦", "1 < 2 & 3"])


def _indented(text: str, first: str, rest: str) -> str:
    return first + f"\n{rest}".join(text.split("\n"))


@st.composite
def inline_markdown(draw: st.DrawFn, depth: int = 3) -> str:
    """Words, long words and oddities, in marks and links."""
    parts: list[str] = []
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.integers(0, 5 if depth else 2))
        if kind < 2:
            parts.append(draw(WORDS))
        elif kind == 2:
            parts.append(draw(ODDITIES) + draw(WORDS) * draw(st.integers(1, 150)))
        else:
            inner = draw(inline_markdown(depth=depth - 1))
            mark = draw(st.sampled_from(["**", "*", "~~", "`", "_"]))
            parts.append(f"[{inner}](https://x.y/?a=1&b=2)" if kind == 3 else f"{mark}{inner}{mark}")
    return draw(st.sampled_from(["", " ", "\n", ". "])).join(parts)


@st.composite
def block_markdown(draw: st.DrawFn, depth: int = 2) -> str:
    """Paragraphs, headings, quotes, lists and code, in each other."""
    blocks: list[str] = []
    for _ in range(draw(st.integers(1, 4))):
        text = draw(block_markdown(depth=depth - 1) if depth and draw(st.booleans()) else inline_markdown())
        kind = draw(st.integers(0, 4))
        info = draw(st.sampled_from(["", "py", "c++"]))
        wrapped = [
            text,
            f"## {text}",
            _indented(text, "> ", "> "),
            _indented(text, "- ", "  "),
            f"```{info}\n{text}\n```",
        ]
        blocks.append(wrapped[kind])
    return "\n\n".join(blocks)


TAGS = {"b", "i", "s", "code", "pre", "a", "blockquote"}


class StrictHtml(HTMLParser):
    """Refuses what a messenger would refuse, and keeps the text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    @classmethod
    def text_of(cls, body: str) -> str:
        assert not re.search(r"&(?!(?:amp|lt|gt|quot);)", body)
        parser = cls()
        parser.feed(body)
        parser.close()
        assert parser.open == []
        return parser.text


def mrkdwn_text(body: str) -> str:
    assert body.count("```") % 2 == 0
    assert not re.search(r"<(?!https?://|mailto:|tel:)", body)
    assert not re.search(r"@(?:channel|here|everyone)", body)
    return re.sub(r"<[^|>]*\|([^>]*)>", r"\1", body)


def fenced_text(body: str) -> str:
    """Links' addresses are no letters of the text; every part's fences are closed."""
    assert len(re.findall(r"^```", body, re.MULTILINE)) % 2 == 0
    return body


def signs_text(body: str) -> str:
    assert body.count("```") % 2 == 0
    return body


DIALECTS: list[tuple[Dialect, Callable[[str], int], Callable[[str], str]]] = [
    (HTML, utf16_units, StrictHtml.text_of),
    (MRKDWN, len, mrkdwn_text),
    (SIGNS, utf16_units, signs_text),
    (COMMONMARK, len, fenced_text),
    (REFERENCED, utf16_units, fenced_text),
]


def letters(text: str) -> str:
    return "".join(char for char in text if char in LETTERS)


def check(markdown: str, limit: int) -> None:
    for dialect, measure, text_of in DIALECTS:
        parts = render_parts(markdown, dialect, limit)
        assert all(measure(part.body) <= limit and measure(part.plain) <= limit for part in parts)
        assert all(part.body.strip() and part.plain.strip() for part in parts)
        assert letters("".join(text_of(part.body) for part in parts)) == letters(markdown)
        assert letters("".join(part.plain for part in parts)) == letters(markdown)
        for part in parts:
            part.body.encode()


def check_any(text: str, limit: int) -> None:
    for dialect, measure, _ in DIALECTS:
        for part in render_parts(text, dialect, limit):
            assert measure(part.body) <= limit
            assert measure(part.plain) <= limit
            part.body.encode()
        if dialect is HTML:
            for part in render_parts(text, dialect, limit):
                StrictHtml.text_of(part.body)


LIMITS = st.integers(600, 1200)
NASTY = st.text(st.sampled_from("ab \n*_`~[]()<>&!#-1.|\\\"'\t\x00\ud800👍\u200d🏽é🇩🇪:/@"), max_size=1500) | st.text(
    max_size=1500
)


class TestFences:
    @pytest.mark.parametrize("count", range(3, 12))
    def test_a_run_of_backticks_opens_no_code_block(self, count: int) -> None:
        for dialect in (SIGNS, MRKDWN):
            [part] = render_parts(f"a{'`' * count}b", dialect, 600)
            assert "```" not in part.body
            assert part.body.count("`") == count

    @pytest.mark.parametrize(
        "markdown",
        [
            "a``\\`b`",
            "``**`x**",
            "**``**`",
            "a\\`\\``b`",
            "`a`\\`\\`",
            "**`a`**``",
            "~~`~~``",
            "\\`\\`[`](https://x.y)",
        ],
    )
    def test_nor_do_backticks_that_meet(self, markdown: str) -> None:
        for dialect in (SIGNS, MRKDWN):
            [part] = render_parts(markdown, dialect, 600)
            assert "```" not in part.body
            assert "```" not in part.plain

    @settings(max_examples=200)
    @given(st.text(st.sampled_from("`*\\a"), max_size=40), st.integers(20, 600))
    def test_nor_does_anything_within_a_paragraph(self, text: str, limit: int) -> None:
        for dialect in (SIGNS, MRKDWN):
            for part in render_parts(f"x{text}", dialect, limit):
                assert "```" not in part.body
                assert "```" not in part.plain


class TestSplitProperties:
    @settings(max_examples=60)
    @given(block_markdown(), LIMITS)
    def test_limit_text_and_balance_hold(self, markdown: str, limit: int) -> None:
        check(markdown, limit)

    @settings(max_examples=60)
    @given(NASTY, LIMITS)
    def test_no_text_breaks_it(self, text: str, limit: int) -> None:
        check_any(text, limit)

    @pytest.mark.full
    @settings(max_examples=10_000)
    @given(block_markdown(), LIMITS)
    def test_limit_text_and_balance_hold_at_length(self, markdown: str, limit: int) -> None:
        check(markdown, limit)

    @pytest.mark.full
    @settings(max_examples=10_000)
    @given(NASTY, LIMITS)
    def test_no_text_breaks_it_at_length(self, text: str, limit: int) -> None:
        check_any(text, limit)

    @settings(max_examples=40)
    @given(
        st.lists(st.sampled_from(["👨‍👩‍👧‍👦", "👍🏽", "🇩🇪", "é", "e\u0301", "a", "𝄞"]), min_size=1, max_size=400),
        st.integers(64, 100),
    )
    def test_no_cluster_is_cut(self, characters: list[str], limit: int) -> None:
        text = "x" + "".join(characters)
        parts = render_parts(text, HTML, limit)
        assert "".join(part.body for part in parts) == text
        assert [one for part in parts for one in clusters(part.body)] == list(clusters(text))


def bodies(markdown: str, limit: int, dialect: Dialect = HTML) -> list[str]:
    return [part.body for part in render_parts(markdown, dialect, limit)]


class TestSplit:
    def test_prefers_paragraphs_then_lines_then_sentences_then_words(self) -> None:
        assert bodies("aaaa bbbb\n\ncccc dddd", 15) == ["aaaa bbbb", "cccc dddd"]
        assert bodies("aaaa bbbb\ncccc dddd", 15) == ["aaaa bbbb", "cccc dddd"]
        assert bodies("aaaa bbb. cccc dddd", 17) == ["aaaa bbb.", "cccc dddd"]
        assert bodies("aaaa bbbb cccc dddd", 17) == ["aaaa bbbb cccc", "dddd"]

    def test_a_word_longer_than_a_part_is_cut(self) -> None:
        assert bodies("ab " + "x" * 25, 10) == ["ab", "x" * 10, "x" * 10, "x" * 5]

    def test_sentences_without_spaces_are_seen(self) -> None:
        assert bodies("一二三四五。六七八九十。甲乙", 11) == ["一二三四五。", "六七八九十。甲乙"]

    def test_styles_are_closed_and_opened_again(self) -> None:
        assert bodies("**aaaa bbbb _cccc dddd_**", 25) == ["<b>aaaa bbbb</b>", "<b><i>cccc dddd</i></b>"]

    def test_code_is_fenced_in_every_part_and_keeps_its_indentation(self) -> None:
        code = "```py\nif a:\n    b\n    c\n```"
        assert bodies(code, 22, MRKDWN) == ["```\nif a:\n    b\n```", "```\n    c\n```"]

    def test_quotes_keep_their_prefix(self) -> None:
        assert bodies("> aaaa bbbb\n> cccc", 14, MRKDWN) == ["> aaaa bbbb", "> cccc"]

    def test_escapes_count_and_are_not_cut(self) -> None:
        parts = bodies("&" * 10, 12)
        assert parts == ["&amp;&amp;"] * 5

    def test_units_are_the_dialects_own(self) -> None:
        assert bodies("👍" * 6, 8) == ["👍" * 4, "👍" * 2]
        assert bodies("👍" * 6, 8, MRKDWN) == ["👍" * 6]

    def test_a_long_text_of_one_kind_is_not_slow(self) -> None:
        parts: list[RenderedPart] = render_parts("x" * 200_000, HTML, 4096)
        assert len(parts) == 49
