"""`python -m simulator.pictures`: makes docs/pictures/phone-*.png anew: a scripted talk on each platform, as the simulator's page
shows it.

Nothing but the simulator runs: the bot's part is played here, by the platforms' own calls. Needs Chromium (browser.py).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

import httpx2
from websockets.asyncio.client import connect

from simulator.browser import NoBrowserError, Page, Window, browser
from simulator.client import SimulatorClient
from simulator.made_up import credentials
from simulator.server import running_simulator

ROOT: Final = Path(__file__).resolve().parent.parent
FOLDER: Final = ROOT / "docs/pictures"
WINDOW: Final = Window(400, 720, 1.25)
BOT: Final = "Corner Bakery"


@dataclass
class Bot:
    """A simulated bot whose calls are made here."""

    sim: SimulatorClient
    http: httpx2.AsyncClient
    platform: str
    credentials: Mapping[str, str]

    async def say(self, text: str = "", **more: Any) -> dict[str, Any]:
        """Let alice do something."""
        return await self.sim.say(BOT, "alice", text, **more)

    async def post(self, path: str, method: str = "POST", **body: Any) -> Any:
        """Call the platform's API as the bot."""
        token = self.credentials.get("bot_token") or self.credentials["access_token"]
        scheme = "Bot" if self.platform == "discord" else "Bearer"
        answer = await self.http.request(
            method, f"{self.sim.origin}{path}", json=body, headers={"Authorization": f"{scheme} {token}"}
        )
        answer.raise_for_status()
        return answer.json() if answer.content else None


async def _telegram(bot: Bot) -> None:
    call = f"/bot{bot.credentials['bot_token']}"
    chat = (await bot.say("/start"))["chat"]
    await bot.post(f"{call}/sendMessage", chat_id=chat, text="Good morning! What would you like to know?")
    asked = await bot.say("Are you open on Sundays, and do you have rye bread?")
    html = "<b>Sundays</b> 8:00 to 13:00.\n\nRye bread is baked on\n• <i>Wednesday</i>\n• <i>Saturday</i>\n\n<blockquote>Sold out by noon, mostly.</blockquote>"
    sent = await bot.post(
        f"{call}/sendMessage",
        chat_id=chat,
        text=html,
        parse_mode="HTML",
        reply_parameters={"message_id": int(asked["message_id"])},
    )
    await bot.say("👍", kind="react", target=str(sent["result"]["message_id"]))
    keys = [[{"text": "Put one aside", "callback_data": "rye:1"}, {"text": "No, thanks", "callback_data": "rye:0"}]]
    await bot.post(
        f"{call}/sendMessage",
        chat_id=chat,
        text="Shall we put a loaf aside for Saturday?",
        reply_markup={"inline_keyboard": keys},
    )
    last = await bot.say("Yes pleas")
    await bot.say("Yes please", kind="edit", target=last["message_id"])


async def _slack(bot: Bot) -> None:
    said = await bot.say("are the croissants back?", chat="#orders", mention=True)
    root, chat = said["message_id"], said["chat"]
    await bot.post(
        "/api/chat.postMessage",
        channel=chat,
        thread_ts=root,
        text="*Yes*, since this morning: `24` left.\n&gt; Almond ones on _Fridays_ only.\nSee <https://bakery.example/today|today's list>.",
    )
    await bot.say("great, keep 6 for us", chat="#orders", thread=root)
    await bot.sim.say(BOT, "bob", "and coffee for the meeting at 3?", chat="#orders", mention=True)
    blocks = [
        {"type": "section", "text": {"type": "mrkdwn", "text": "Coffee for *8 people* at 15:00?"}},
        {"type": "actions", "elements": [
            {"type": "button", "action_id": "yes", "value": "1", "style": "primary", "text": {"type": "plain_text", "text": "Order"}},
            {"type": "button", "action_id": "no", "value": "0", "text": {"type": "plain_text", "text": "Not now"}},
        ]},
    ]  # fmt: skip
    await bot.post("/api/chat.postMessage", channel=chat, text="Coffee for 8 people at 15:00?", blocks=blocks)


async def _discord(bot: Bot) -> None:
    chat = (await bot.sim.post("chats", {"channel": BOT, "name": "help", "members": ["alice", "bob"]}))["chat"]
    said = await bot.say("what is in the seed bread?", chat="help", mention=True)
    del said
    words = "## Seed bread\n**Flour**: rye and wheat, *stone-ground*\n- sunflower\n- pumpkin\n- ~~sesame~~ (not at the moment)\n```\n750 g   4.80 €\n```\n> Ask for ||yesterday's|| at half price."
    sent = await bot.post(f"/api/v10/channels/{chat}/messages", content=words)
    await bot.say("❤️", chat="help", kind="react", target=sent["id"])
    await bot.sim.say(BOT, "bob", "no sesame? then two for me", chat="help", mention=True)
    row = {
        "type": 1,
        "components": [
            {"type": 2, "style": 1, "label": "Pick up today", "custom_id": "t"},
            {"type": 2, "style": 2, "label": "Tomorrow", "custom_id": "m"},
        ],
    }
    await bot.post(f"/api/v10/channels/{chat}/messages", content="When will you come?", components=[row])


async def _mattermost(bot: Bot) -> None:
    said = await bot.say("prices for the canteen, please", chat="orders", mention=True)
    table = "Per piece, **from 50 on**:\n\n| bread | price |\n|---|---|\n| Rye, 750 g | 3.90 |\n| Seeds, 750 g | 4.20 |\n| Roll | 0.45 |\n\nDelivered by 7:00, `cash` or invoice."
    await bot.post("/api/v4/posts", channel_id=said["chat"], root_id=said["message_id"], message=table)
    await bot.say("and on Saturdays?", chat="orders", thread=said["message_id"])
    await bot.sim.say(BOT, "bob", "can we have napkins with that?", chat="orders")


async def _whatsapp(bot: Bot) -> None:
    path = f"/v23.0/{bot.credentials['phone_number_id']}/messages"

    async def send(to: str, body: str, **more: Any) -> None:
        await bot.post(path, messaging_product="whatsapp", to=to, type="text", text={"body": body}, **more)

    said = await bot.say("Hello, can I order a birthday cake?")
    person = said["user_id"]
    await send(person, "Of course! Three things, please:\n1. for how many people\n2. *which day*\n3. the name on it")
    asked = await bot.say("12 people, Saturday, for Mia 🎂")
    await send(
        person,
        "Noted: _chocolate_ or ~vanilla~ *lemon*?\n> Lemon is this week's cake.",
        context={"message_id": asked["message_id"]},
    )
    last = await bot.say("Lemon sounds good")
    typing = {"type": "text"}
    await bot.post(
        path, messaging_product="whatsapp", status="read", message_id=last["message_id"], typing_indicator=typing
    )


TALKS: Final[Mapping[str, tuple[Callable[[Bot], Awaitable[None]], str]]] = {
    "telegram": (_telegram, ""),
    "slack": (_slack, "orders"),
    "discord": (_discord, "help"),
    "mattermost": (_mattermost, "orders"),
    "whatsapp": (_whatsapp, ""),
}
"""Platform → what is said there, and the group in which."""


async def picture(page: Page, platform: str, window: Window = WINDOW) -> bytes:
    """Play a platform's talk in a simulator of its own and return its picture; the page stays as it is."""
    talk, group = TALKS[platform]
    async with running_simulator() as sim, httpx2.AsyncClient(trust_env=False) as http:
        given = credentials(platform, "a picture")
        await sim.register(platform, BOT, None, given, receipts=[])
        if platform == "discord":
            await listened(sim, BOT, given["bot_token"])
        await talk(Bot(sim, http, platform, given))
        shown = await sim.phone(BOT, "alice")
        count = sum(len(chat["messages"]) for chat in shown["chats"] if not group or chat["name"] == group)
        await page.open(f"{sim.origin}/#{urlencode({'channel': BOT, 'as': 'alice', 'chat': group})}", window)
        await page.until(f"document.querySelectorAll('.message').length === {count}")
        return await page.picture()


async def listened(sim: SimulatorClient, name: str, token: str) -> None:
    """Let a bot listen at Discord's gateway for a moment: one that never did is told of commands alone."""
    url = f"{sim.origin.replace('http', 'ws', 1)}/discord/gateway/{quote(name)}/"
    async with connect(url, proxy=None) as socket:
        await socket.recv()
        await socket.send(f'{{"op": 2, "d": {{"token": "{token}", "intents": 0}}}}')
        await socket.recv()


async def main() -> None:
    """Make all of them."""
    async with browser() as page:
        for platform in TALKS:
            path = FOLDER / f"phone-{platform}.png"
            path.write_bytes(await picture(page, platform))
            sys.stdout.write(f"{path.relative_to(ROOT)}  {path.stat().st_size // 1024} KB\n")


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except NoBrowserError as error:
        sys.exit(str(error))
