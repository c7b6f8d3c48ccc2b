"""Agents' Markdown as we send it beside what others make of it: the same words, under the same styles.

Telegram: our HTML, taken apart as Telegram does, beside telegramify-markdown's entities. They may differ in ornament: it
underlines headings and puts signs before them, its bullets are others, and it drops raw HTML, which we show as it was written
(a model's `<b>` is text, and nothing that a person should miss). Visible words: beside markdown-it's HTML, and python-markdown's.
"""

from __future__ import annotations

import html
import re
from functools import cache
from typing import Any
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt

from adapters.markdown import render_parts
from adapters.markdown.html import HTML
from simulator.telegram_html import parse_html
from tests.oracles.support import ask

SAMPLES = {
    "styles": "a **b** and _c_ and ~~d~~ and `e < f && g`",
    "other_signs": "a __b__ and *c*",
    "nested": "**bold _both_ bold**",
    "styles_in_words": "un*frigging*believable, snake_case_name, 2 * 3 * 4",
    "link": "see [the docs](https://x.test/?a=1&b=2) now",
    "link_with_style": "see [the **docs**](https://x.test/) now",
    "code_block": "```py\nprint('a < b')\n\nx = 1\n```",
    "code_block_without_language": "```\n**not bold**\n```",
    "quote": "> quoted **bold**\n> and more",
    "paragraphs": "one\n\ntwo\n\nthree **3**",
    "entities": "a &amp; b &lt; c &copy; d",
    "escapes": r"not \*bold\*, not \_it\_, a backslash \\ here",
    "wide": "**👨‍👩‍👧‍👦 fam** 𝒳 `👋🏽` [ü](https://x.test/ü)",
    "ordered": "1. one\n2. **two**\n3. three",
    "hard_break": "one  \ntwo\\\nthree",
    "table": "| a | b |\n|---|---|\n| 1 | 2 |",
}
ORNAMENT = {"heading": "# Head *it*\n\ntext", "bullets": "- x\n- **y**", "raw_html": "a <b>raw</b> & b"}
NAMES = {"expandable_blockquote": "blockquote"}


@cache
def theirs() -> dict[str, Any]:
    return ask("markdown_reads.py", SAMPLES | ORNAMENT)


def ours(source: str) -> tuple[str, set[tuple[str, str, str]]]:
    """Return the text that Telegram shows, and what is styled in it."""
    (part,) = render_parts(source, HTML, 4096)
    parsed = parse_html(part.body)
    units = parsed.text.encode("utf-16-le")
    found = {
        (
            str(one["type"]),
            units[2 * int(str(one["offset"])) : 2 * (int(str(one["offset"])) + int(str(one["length"])))].decode(
                "utf-16-le"
            ),
            unquote(str(one.get("url") or one.get("language") or "")),
        )
        for one in parsed.entities
    }
    return parsed.text, found


def words(text: str) -> list[str]:
    """Return the visible words of HTML or text, without ornament."""
    return re.findall(r"[^\s|⦁•📌+-]+", html.unescape(re.sub(r"<[^>]+>", " ", text)))


class TestTelegram:
    @pytest.mark.parametrize("name", SAMPLES)
    def test_the_same_text_under_the_same_styles(self, name: str) -> None:
        text, styled = ours(SAMPLES[name])
        assert text.strip() == theirs()[name]["text"].strip()
        assert styled == {
            (NAMES.get(kind, kind), covered.strip("\n"), more) for kind, covered, more in theirs()[name]["entities"]
        }

    @pytest.mark.parametrize("name", ["heading", "bullets"])
    def test_other_ornament_about_the_same_words(self, name: str) -> None:
        assert words(ours(ORNAMENT[name])[0]) == words(theirs()[name]["text"])

    def test_raw_html_is_shown_as_it_was_written(self) -> None:
        assert ours(ORNAMENT["raw_html"])[0] == ORNAMENT["raw_html"]
        assert theirs()["raw_html"]["text"] == "a raw & b"


class TestVisibleWords:
    @pytest.mark.parametrize("name", SAMPLES)
    def test_none_is_lost_beside_markdown_it(self, name: str) -> None:
        whole = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(SAMPLES[name])
        numbers = re.findall(r"(?m)^\d+\.", SAMPLES[name])
        shown = [word for word in words(ours(SAMPLES[name])[0]) if word not in numbers]
        assert "".join(shown) == "".join(words(whole))

    @pytest.mark.parametrize("name", ["styles_in_words", "link", "code_block", "quote", "paragraphs", "wide", "table"])
    def test_nor_beside_another_reader(self, name: str) -> None:
        assert "".join(words(ours(SAMPLES[name])[0])) == "".join(words(theirs()[name]["html"]))
