"""What each dialect makes of Markdown, by example."""

from __future__ import annotations

import pytest

from adapters.markdown import render_parts
from adapters.markdown.commonmark import COMMONMARK, REFERENCED
from adapters.markdown.html import HTML
from adapters.markdown.mrkdwn import MRKDWN
from adapters.markdown.ops import Dialect
from adapters.markdown.signs import SIGNS

NOTHING = "\u200b"


def one(markdown: str, dialect: Dialect) -> str:
    (part,) = render_parts(markdown, dialect, 4000)
    return part.body


class TestHtml:
    @pytest.mark.parametrize(
        ("markdown", "html"),
        [
            ("a **b** _c_ ~~d~~", "a <b>b</b> <i>c</i> <s>d</s>"),
            ("**a _b_**", "<b>a <i>b</i></b>"),
            ("**a **b** c**", "<b>a b c</b>"),
            ("# A *b* #", "<b>A <i>b</i></b>"),
            ("`x < y`", "<code>x &lt; y</code>"),
            ("```py\na < b\n```", '<pre><code class="language-py">a &lt; b</code></pre>'),
            ("~~~ what a day\nx\n~~~", '<pre><code class="language-what">a day\nx</code></pre>'),
            ("~~~ (note)\nx\n~~~", "<pre>(note)\nx</pre>"),
            ('[a](https://b.c/?e="2)', '<a href="https://b.c/?e=%222">a</a>'),
            ("[a](https://b.c/?d=1&e=2)", '<a href="https://b.c/?d=1&amp;e=2">a</a>'),
            ("[a](/docs)", "a (/docs)"),
            ("[a](javascript:x)", "[a](javascript:x)"),
            ('[a](https://b.c "t")', '<a href="https://b.c">a</a> (t)'),
            ("<https://b.c>", "https://b.c"),
            ("![alt](https://b.c/i.png)", '<a href="https://b.c/i.png">alt</a>'),
            ("![](https://b.c/i.png)", "https://b.c/i.png"),
            ("[![alt](https://i.j)](https://b.c)", '<a href="https://b.c">alt (https://i.j)</a>'),
            ("> a\n> > b", "<blockquote>a\n\nb</blockquote>"),
            ("- a\n- b\n  1. c", "• a\n• b\n   1. c"),
            ("3. a\n3. b", "3. a\n3. b"),
            ("<b>a</b> & <!-- c -->", "&lt;b&gt;a&lt;/b&gt; &amp; &lt;!-- c --&gt;"),
            ("&lt;b&gt; &nbsp;", "&lt;b&gt; \u00a0"),
            ("[a]: https://b.c", "[a]: https://b.c"),
            ("a\nb\\\nc", "a\nb\nc"),
            ("---", "———"),
            ("| a | b |\n|---|:-:|\n| 1 | **2** |", "<pre>a | b\n--+--\n1 | 2</pre>"),
            ("| a |\n|---|\n| 1 | lost? |", "<pre>| a |\n|---|\n| 1 | lost? |</pre>"),
            ("2 * 3 * 4 snake_case_name", "2 * 3 * 4 snake_case_name"),
            ("a\x00b\ud800c", "ab\ufffdc"),
            ("```\n```", None),
        ],
    )
    def test_examples(self, markdown: str, html: str | None) -> None:
        parts = render_parts(markdown, HTML, 4096)
        assert [part.body for part in parts] == ([] if html is None else [html])

    def test_plain_has_no_markup_and_keeps_addresses(self) -> None:
        (part,) = render_parts("**a** [b](https://c.d) `e<f` > g", HTML, 4096)
        assert part.plain == "a b (https://c.d) e<f > g"


class TestMrkdwn:
    @pytest.mark.parametrize(
        ("markdown", "mrkdwn"),
        [
            ("a **b** _c_ ~~d~~", "a *b* _c_ ~d~"),
            ("**bold**word and word**bold**", f"*bold*{NOTHING}word and word{NOTHING}*bold*"),
            ("**two\nlines**", "*two*\n*lines*"),
            ("# A", "*A*"),
            ("`x < y`", "`x &lt; y`"),
            ("`` a`b ``", "a`b"),
            ("```py\na\n```", "```\na\n```"),
            ("````\n```\n````", f"```\n``{NOTHING}`\n```"),
            ("[a *b*](https://c.d/?e=1&f=2)", "<https://c.d/?e=1&amp;f=2|a b>"),
            ("[a|b>c](https://c.d)", "<https://c.d|a|b&gt;c>"),
            ("> a\n> b", "> a\n> b"),
            ("> a\n>\n> ```\n> c\n> ```", "> a\n\n```\nc\n```"),
            (
                "<!here> <@U1> @channel @Here @everyone",
                f"&lt;!here&gt; &lt;@U1&gt; @{NOTHING}channel @{NOTHING}Here @{NOTHING}everyone",
            ),
            (
                "[<!channel>](https://c.d) [@here](https://c.d)",
                f"<https://c.d|&lt;!channel&gt;> <https://c.d|@{NOTHING}here>",
            ),
            ("@cha\\nnel mail@here.org", f"@cha\\nnel mail@{NOTHING}here.org"),
            ("&commat;channel", f"@{NOTHING}channel"),
            ("a & b", "a &amp; b"),
        ],
    )
    def test_examples(self, markdown: str, mrkdwn: str) -> None:
        assert one(markdown, MRKDWN) == mrkdwn

    def test_plain_is_escaped_too(self) -> None:
        (part,) = render_parts("**<!here>** & > x", MRKDWN, 4000)
        assert part.plain == "&lt;!here&gt; &amp; &gt; x"


class TestRenderParts:
    @pytest.mark.parametrize("dialect", [HTML, MRKDWN])
    @pytest.mark.parametrize("blank", ["", " \n\t ", "\x00", "** **", "#", "- ", ">", "```\n\n```"])
    def test_nothing_to_show_gives_no_part_or_something_visible(self, blank: str, dialect: Dialect) -> None:
        assert all(part.body.strip() for part in render_parts(blank, dialect, 4000))

    @pytest.mark.parametrize("dialect", [HTML, MRKDWN])
    @pytest.mark.parametrize(
        "deep", [">" * 3000 + " x", "- " * 3000 + "x", "*a " * 3000, "[" * 3000 + "x" + "]" * 3000]
    )
    def test_absurd_nesting_is_kept_as_text(self, deep: str, dialect: Dialect) -> None:
        parts = render_parts(deep, dialect, 4000)
        shown = "".join(part.plain for part in parts)
        assert "x" in shown or deep.startswith("*")
        assert all(len(part.body) <= 4000 for part in parts)


class TestSigns:
    @pytest.mark.parametrize(
        ("markdown", "signs"),
        [
            ("a **b** _c_ ~~d~~", "a *b* _c_ ~d~"),
            ("# A", "*A*"),
            ("**a\nb**", "*a*\n*b*"),
            ("a**b**c", f"a{NOTHING}*b*{NOTHING}c"),
            ("[a](https://b.c)", "a (https://b.c)"),
            ("[**a**](https://b.c)", "*a* (https://b.c)"),
            ("<https://b.c>", "https://b.c"),
            ("`a < b`", "`a < b`"),
            ("```py\na\n```", "```\na\n```"),
            ("> a\n> b", "> a\n> b"),
            ("- a\n- b", "• a\n• b"),
            ("2 \\* 3 & 4 < 5", "2 * 3 & 4 < 5"),
            ("| a |\n|---|\n| 1 |", "```\na\n-\n1\n```"),
        ],
    )
    def test_writes(self, markdown: str, signs: str) -> None:
        assert one(markdown, SIGNS) == signs


class TestCommonmark:
    @pytest.mark.parametrize(
        ("markdown", "written"),
        [
            ("a **b** _c_ ~~d~~", "a **b** *c* ~~d~~"),
            ("# A", "**A**"),
            ("2 \\* 3 \\_x\\_", "2 \\* 3 \\_x\\_"),
            ("snake_case https://b.c/a_b*", "snake\\_case https://b.c/a_b*"),
            ("[a_b](https://b.c/x_(y))", "[a\\_b](https://b.c/x_%28y%29)"),
            ("`a_b`", "`a_b`"),
            ("`` a`b ``", "`` a`b ``"),
            ("```py\n*a* \\ <b>\n```", "```py\n*a* \\ <b>\n```"),
            ("> a\n> `b_c`", "> a\n> `b_c`"),
            ("\\# a \\- b \\> c", "\\# a \\- b \\> c"),
            ("@channel @all @here", f"@{NOTHING}channel @{NOTHING}all @{NOTHING}here"),
            ("<b>x</b> & y", "<b>x</b> & y"),
        ],
    )
    def test_writes(self, markdown: str, written: str) -> None:
        assert one(markdown, COMMONMARK) == written

    @pytest.mark.parametrize(
        ("markdown", "written"),
        [
            ("<@1> &lt;#2>", "\\<@1\\> \\<#2\\>"),
            ("`<@1>`", "`<@1>`"),
            ("[m](mailto:a@b.c)", "m (mailto:a@b.c)"),
            ("[m](https://b.c)", "[m](https://b.c)"),
            ("||a||", "\\|\\|a\\|\\|"),
        ],
    )
    def test_where_brackets_are_references(self, markdown: str, written: str) -> None:
        assert one(markdown, REFERENCED) == written
