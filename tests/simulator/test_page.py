"""The page itself: harmless whatever a bot writes, and usable by hand, by keyboard, on a small screen, in the dark.

What needs a browser is left out where there is none (`apt-get install chromium`).
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest

import simulator
from simulator.browser import Page, Window, browser, found
from simulator.client import SimulatorClient
from simulator.pictures import TALKS, listened, picture
from simulator.server import running_simulator
from tests.simulator.support import Bot, Hook, new_bot

FILES = sorted((Path(simulator.__file__).parent / "page").iterdir())
needs_browser = pytest.mark.skipif(found() is None, reason="no Chromium here")

HOSTILE = "<img src=x onerror=alert(1)> <script>alert(2)</script> [x](javascript:alert(3)) <javascript:alert(4)|y> *b*"
CONTRAST = """
(() => {
  const paint = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (color) => { paint.clearRect(0, 0, 1, 1); paint.fillStyle = color; paint.fillRect(0, 0, 1, 1); return [...paint.getImageData(0, 0, 1, 1).data]; };
  const over = ([r, g, b, a], under) => [r, g, b].map((one, at) => one * a / 255 + under[at] * (1 - a / 255));
  const behind = (node) => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) layers.push(rgba(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((under, layer) => over(layer, under), [255, 255, 255]);
  };
  const light = (color) => color.map((one) => one / 255).map((one) => one <= .04045 ? one / 12.92 : ((one + .055) / 1.055) ** 2.4)
    .reduce((sum, one, at) => sum + one * [.2126, .7152, .0722][at], 0);
  const bad = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !node.checkVisibility({ checkVisibilityCSS: true }) || node.closest('.spoiler, option, .skip')) continue;
    const back = behind(node), front = over(rgba(getComputedStyle(node).color), back);
    const [low, high] = [light(front), light(back)].sort((one, other) => one - other);
    const ratio = (high + .05) / (low + .05);
    if (ratio < 4.5) bad.push(`${ratio.toFixed(2)} ${node.className || node.tagName}: ${walk.currentNode.data.trim().slice(0, 30)}`);
  }
  return bad;
})()
"""
"""What is written with less contrast than WCAG's AA asks for (4.5), as the browser computed it."""


class TestFiles:
    @pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
    def test_are_short_and_make_no_html_of_text(self, path: Path) -> None:
        text = path.read_text()
        assert len(text.splitlines()) <= 300
        for danger in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
            assert danger not in text
        if path.suffix == ".html":
            assert not re.search(r"\son\w+=|\sstyle=|<script>|<style>", text)
            assert re.findall(r'(?:src|href)="(?!/page/|#)', text) == []

    async def test_are_served_with_rules_that_let_nothing_else_run(
        self, sim: SimulatorClient, http: httpx2.AsyncClient
    ) -> None:
        page = await http.get(sim.origin)
        assert page.headers["content-type"].startswith("text/html")
        rules = page.headers["content-security-policy"]
        assert "default-src 'none'" in rules
        assert "unsafe" not in rules
        for path in re.findall(r'(?:src|href)="(/page/[^"]+)"', page.text):
            assert (await http.get(f"{sim.origin}{path}")).status_code == 200
        for wrong in ("nothing.js", "..%2fserver.py", "%2e%2e%2fserver.py"):
            assert (await http.get(f"{sim.origin}/page/{wrong}")).status_code == 404


@pytest.fixture(scope="module")
async def page() -> AsyncIterator[Page]:
    async with browser() as opened:
        yield opened


async def look(page: Page, bot: Bot, chat: str = "", window: Window | None = None) -> None:
    """Show what alice sees."""
    query = urlencode({"channel": bot.name, "as": "alice", "chat": chat})
    await page.open(f"{bot.sim.origin}/#{query}", window or Window())
    await page.until(f"document.title.includes({json.dumps(chat or bot.name)})")


def tree(page: Page, call: str) -> Any:
    """Return what a function of dialects.js gives."""
    return page.eval(f"import('/page/dialects.js').then((made) => made.{call})")


@needs_browser
class TestBrowser:
    @pytest.mark.parametrize("platform", ["telegram", "slack", "discord", "mattermost", "whatsapp"])
    async def test_hostile_words_are_words(
        self, page: Page, sim: SimulatorClient, http: httpx2.AsyncClient, hook: Hook, platform: str
    ) -> None:
        bot = await new_bot(sim, http, hook, platform)
        if platform == "discord":
            await listened(sim, bot.name, bot.token)
        await sim.say(bot.name, "alice", HOSTILE, chat="help")
        await sim.say(bot.name, "<b onclick=alert(5)>bob</b>", "hi", chat="help")
        await look(page, bot, "help")
        await page.until("document.querySelectorAll('.message').length >= 2")
        assert (
            await page.eval("document.querySelectorAll('#messages :is(img, script, [onclick], [onerror])').length") == 0
        )
        links = await page.eval("[...document.querySelectorAll('#messages a')].map((one) => one.getAttribute('href'))")
        assert [link for link in links if link and not link.startswith(("http", "#"))] == []
        assert "onerror=alert(1)" in await page.eval("document.getElementById('messages').textContent")

    async def test_a_person_writes_with_the_keyboard_and_the_answer_comes_by_itself(
        self, page: Page, telegram: Bot
    ) -> None:
        chat = await telegram.chat_with("alice")
        await look(page, telegram)
        await page.eval("document.getElementById('text').focus()")
        await page.type("Hello there")
        await page.press("Enter", 13)
        [request] = await telegram.hook.wait(1)
        assert request.json["message"]["text"] == "Hello there"
        await page.until("document.querySelector('.mine .tick')?.textContent === '✓✓'")
        sent = await telegram.call("sendMessage", chat_id=chat, text="<b>Good</b> morning", parse_mode="HTML")
        await page.until("document.querySelector('.theirs b')?.textContent === 'Good'")
        number = sent["result"]["message_id"]
        await telegram.call("editMessageText", chat_id=chat, message_id=number, text="Good evening")
        await page.until("document.querySelector('.theirs .edited') !== null")
        await telegram.call("deleteMessage", chat_id=chat, message_id=number)
        await page.until("document.querySelector('.theirs') === null")

    async def test_buttons_are_pressed_and_messages_acted_on(self, page: Page, telegram: Bot) -> None:
        chat = await telegram.chat_with("alice")
        keys = {"inline_keyboard": [[{"text": "Yes", "callback_data": "yes:1"}]]}
        await telegram.call("sendMessage", chat_id=chat, text="Shall I?", reply_markup=keys)
        await look(page, telegram)
        await page.until("document.querySelector('.keys button')")
        await page.eval("document.querySelector('.keys button').click()")
        [request] = await telegram.hook.wait(1)
        assert request.json["callback_query"]["data"] == "yes:1"
        await page.eval("document.querySelector('.more').click()")
        await page.eval(
            "[...document.querySelectorAll('.acts button')].find((one) => one.textContent === 'Reply').click()"
        )
        await page.type("No")
        await page.press("Enter", 13)
        reply = (await telegram.hook.wait(2))[1].json["message"]
        assert reply["reply_to_message"]["text"] == "Shall I?"
        await page.until("document.querySelector('.mine .quoted')")

    async def test_the_first_bot_is_seen_when_it_comes(self, page: Page) -> None:
        async with running_simulator() as alone:
            await page.open(alone.origin)
            await page.until("document.querySelector('#messages').textContent.includes('No bot')")
            await alone.register("telegram", "late", None, {"bot_token": "1:a", "webhook_secret": "x"})
            await page.until("document.getElementById('title').textContent === 'late'")

    async def test_faults_are_set_and_what_they_hit_is_listed(self, page: Page, telegram: Bot) -> None:
        chat = await telegram.chat_with("alice")
        await look(page, telegram)
        await page.eval(
            "{ const kind = document.getElementById('fault'); kind.value = '429'; kind.dispatchEvent(new Event('change')); }"
        )
        await page.eval("document.getElementById('fault-form').requestSubmit()")
        await page.until("document.querySelectorAll('#faults li').length === 1")
        assert (await telegram.raw("sendMessage", chat_id=chat, text="x")).status_code == 429
        await page.until("document.querySelector('#log .wait .status')?.textContent === '429'")
        await page.eval("document.querySelector('#faults button').click()")
        await page.until("document.querySelectorAll('#faults li').length === 0")
        assert (await telegram.raw("sendMessage", chat_id=chat, text="x")).status_code == 200

    async def test_files_places_and_past_texts_are_drawn(self, page: Page, telegram: Bot) -> None:
        await look(page, telegram)
        message = {
            "id": "1", "from": "x", "text": "now", "at": 1, "edited": True, "history": [{"text": "before"}],
            "files": [{"name": "menu.pdf", "mime": "application/pdf", "size": 2048, "url": "https://elsewhere.invalid/x"}],
            "location": {"latitude": 52.5, "longitude": 13.4, "name": "Bakery"}, "reactions": [], "buttons": None,
        }  # fmt: skip
        made = f"import('/page/message.js').then((made) => made.bubble({json.dumps(message)}, {{ acts: {{ of: () => [] }} }}).textContent)"
        shown = await page.eval(made)
        for word in ("menu.pdf", "2 KB", "Bakery", "52.50000", "before"):
            assert word in shown

    async def test_files_are_chosen_or_dropped_and_sent_with_the_words(self, page: Page, telegram: Bot) -> None:
        await look(page, telegram)
        given = "const given = new DataTransfer(); given.items.add(new File([{!r}], {!r}, {{ type: {!r} }}));"
        await page.eval(
            f"{{ {given.format('Bread, cake', 'menu.txt', 'text/plain')} const chosen = document.getElementById('files');"
            " chosen.files = given.files; chosen.dispatchEvent(new Event('change')); }"
        )
        dropped = "new DragEvent('drop', { dataTransfer: given, bubbles: true, cancelable: true })"
        for name in ("unwanted.pdf", "bill.pdf"):
            await page.eval(
                f"{{ {given.format('%PDF-1.7', name, 'application/pdf')}"
                f" document.getElementById('messages').dispatchEvent({dropped}); }}"
            )
        assert await page.eval("[...document.querySelectorAll('#held span')].map((one) => one.textContent)") == [
            "menu.txt",
            "unwanted.pdf",
            "bill.pdf",
        ]
        await page.eval("document.querySelectorAll('#held button')[1].click()")
        await page.type("What do you have?")
        await page.press("Enter", 13)
        told = [request.json["message"] for request in await telegram.hook.wait(2)]
        assert [(one.get("caption"), one["document"]["file_name"]) for one in told] == [
            ("What do you have?", "menu.txt"),
            (None, "bill.pdf"),
        ]
        await page.until("document.querySelector('.mine .file strong')?.textContent === 'menu.txt'")
        assert await page.eval("document.getElementById('held').hidden")
        shown = await page.eval("fetch(document.querySelector('.mine .file').href).then((answer) => answer.text())")
        assert shown == "Bread, cake"

    async def test_a_small_screen_shows_one_part_at_a_time(self, page: Page, telegram: Bot) -> None:
        await look(page, telegram, window=Window(360, 640))
        parts = {"side": ".side:not(.tools)", "phone": ".phone", "faults": "#faults-view", "log": "#log-view"}
        for chosen in (*parts, "phone"):
            await page.eval(f"document.querySelector('[data-to={chosen}]').click()")
            shown = f"Object.values({json.dumps(parts)}).map((one) => document.querySelector(one).checkVisibility())"
            assert await page.eval(shown) == [name == chosen for name in parts]
            assert await page.eval("document.documentElement.scrollWidth") == 360

    @pytest.mark.parametrize("dark", [False, True])
    @pytest.mark.parametrize("platform", TALKS)
    async def test_is_legible_and_fits_a_small_screen(self, page: Page, platform: str, dark: bool) -> None:
        for width in (360, 1360):
            await picture(page, platform, Window(width, 700, dark=dark))
            assert await page.eval("document.documentElement.scrollWidth") == width
            assert await page.eval(CONTRAST) == []


@needs_browser
class TestDialects:
    async def test_entities_nest_and_count_in_utf16(self, page: Page, telegram: Bot) -> None:
        await look(page, telegram)
        given = [
            {"type": "bold", "offset": 3, "length": 9},
            {"type": "italic", "offset": 6, "length": 3},
            {"type": "text_link", "offset": 13, "length": 1, "url": "https://a.example"},
        ]
        assert await tree(page, f"entities('🎂 bo it ld z', {json.dumps(given)})") == [
            "🎂 ",
            {"t": "b", "c": ["bo ", {"t": "i", "c": ["it "]}, "ld "]},
            "z",
        ]

    @pytest.mark.parametrize(
        ("platform", "source", "wanted"),
        [
            ("slack", "*a* _b_ ~c~ `d*e*` 2*3*4", "<b>a</b> <i>b</i> <s>c</s> <code>d*e*</code> 2*3*4"),
            ("slack", "<https://a.example|x &amp; y> &lt;b&gt;", '<a>x & y</a> <b>'),
            ("discord", "**a *b*** __c__ snake_case_name \\*d\\*", "<b>a <i>b</i></b> <u>c</u> snake_case_name *d*"),
            ("discord", "[x](https://a.example) https://b.example/c.", "<a>x</a> <a>https://b.example/c</a>."),
            ("mattermost", "__a__ ~~b~~ ``c`d``", "<b>a</b> <s>b</s> <code>c`d</code>"),
            ("whatsapp", "*a _b_* ~c~ ```d``` 5*6*7", "<b>a <i>b</i></b> <s>c</s> <code>d</code> 5*6*7"),
        ],
    )  # fmt: skip
    async def test_marks(self, page: Page, telegram: Bot, platform: str, source: str, wanted: str) -> None:
        await look(page, telegram)
        made = await tree(page, f"seen({json.dumps(platform)}, {{ source: {json.dumps(source)} }}, () => undefined)")
        assert "".join(flat(one) for one in made) == wanted


def flat(one: Any) -> str:
    """Spell a tree with tags."""
    if isinstance(one, str):
        return one
    inner = "".join(flat(child) for child in one["c"])
    return inner if one["t"] == "div" else f"<{one['t']}>{inner}</{one['t']}>"
