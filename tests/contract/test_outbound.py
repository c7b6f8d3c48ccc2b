"""Every kind that can be sent, on every platform: composed, sent, and read back from the person's phone at the simulator."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any
from uuid import uuid4

import httpx2
import pytest
import pytest_asyncio

from adapters.base import Absent, Accepted, ErrorClass, Found, LookupRequest, Refused, SendResult, Unknown
from adapters.composing import compose
from adapters.registry import platform_names
from domain.errors import InvalidInputError, SignatureError
from domain.message import EventKind, InboundEvent
from domain.outbound import Button, Buttons, Choice, FileType, Menu, Payload, Reaction
from simulator.client import SimulatorClient
from tests.contract.outbound import BYTES, LINK, PLACE, SIZES, TEMPLATE, TYPES, YES_NO, a_file, request_for
from tests.contract.test_with_simulator import Line, line_to, sim
from tests.simulator.support import running_hook

__all__ = ["sim"]


@pytest_asyncio.fixture(params=platform_names(), loop_scope="session")
async def line(request: pytest.FixtureRequest, sim: SimulatorClient, http: httpx2.AsyncClient) -> AsyncGenerator[Line]:
    async with running_hook() as hook:
        found = await line_to(sim, http, hook, request.param)
        found.channel = type(found.channel)(
            found.channel.channel_id, found.channel.credentials, {}, found.channel.identity, hook.url
        )
        yield found


async def opened(line: Line) -> InboundEvent:
    """Let a person write, so that there is somebody to answer."""
    await line.bot.sim.say(line.bot.name, "alice", "go")
    return (await line.came())[0]


async def sent(line: Line, event: InboundEvent, said: str, *extras: Payload) -> list[SendResult]:
    """Compose and send, each part under a nonce of its own; every one must be accepted."""
    results: list[SendResult] = []
    for one in compose(line.adapter, said, extras):
        wanted = request_for(one, event.reply_to, nonce=uuid4().hex, session_key=event.session_key)
        results.append(await line.adapter.send(line.channel, wanted))
    assert all(isinstance(one, Accepted) for one in results), results
    return results


async def shown(line: Line) -> list[dict[str, Any]]:
    """Return what the bot has sent, as alice's phone shows it."""
    return [message for message in await line.shown() if message["bot"] and message["text"] != "go"]


SHOWN_AS = {("sticker", name): "image" for name in ("slack", "discord", "mattermost")}
"""Where there are no stickers."""


class TestFiles:
    @pytest.mark.parametrize("kind", sorted(TYPES))
    async def test_arrive_whole_under_their_name(self, line: Line, http: httpx2.AsyncClient, kind: FileType) -> None:
        await sent(line, await opened(line), "", a_file(kind))
        [message] = [one for one in await shown(line) if one["file"]]
        assert message["kind"] == SHOWN_AS.get((kind, line.bot.platform), kind)
        kept = (await http.get(f"{line.bot.sim.origin}{message['file']['url']}")).content
        assert kept == BYTES
        assert message["file"]["name"].replace("%22", '"') == TYPES[kind][1]
        assert message["file"]["mime"] == TYPES[kind][0]

    async def test_a_short_text_is_the_caption_and_a_long_one_goes_before(self, line: Line) -> None:
        event = await opened(line)
        await sent(line, event, "the *plan*", a_file("image"))
        [message] = [one for one in await shown(line) if one["file"]]
        assert "plan" in message["text"]
        long = "word " * 4_000
        await sent(line, event, long, a_file("image"))
        *before, last = (await shown(line))[1:]
        assert last["file"] is not None
        assert last["text"] == ""
        assert " ".join(one["text"] for one in before).split() == long.split()

    async def test_one_that_is_too_large_is_refused_in_words(self, line: Line) -> None:
        huge = a_file("document").model_copy(update={"size_bytes": 2 << 30})
        with pytest.raises(InvalidInputError, match="takes files of up to") as refused:
            compose(line.adapter, "", [huge])
        assert refused.value.details["errors"]

    async def test_bytes_that_are_missing_are_no_guess(self, line: Line) -> None:
        event = await opened(line)
        [one] = compose(line.adapter, "", [a_file("document")])
        wanted = request_for(one, event.reply_to)
        bare = type(wanted)(wanted.address, one, "n", wanted.before_write)
        result = await line.adapter.send(line.channel, bare)
        assert isinstance(result, Refused)
        assert (result.error_class, result.code) == (ErrorClass.PERMANENT, "no_file")


class TestPlaces:
    async def test_a_place_is_one_or_a_link_to_the_map(self, line: Line) -> None:
        await sent(line, await opened(line), "Here:", PLACE)
        said = await shown(line)
        if line.adapter.capabilities.outbound.location:
            assert said[-1]["location"]["latitude"] == 52.5163
            assert said[-1]["location"]["name"] == "Brandenburg Gate"
        else:
            assert "Brandenburg Gate" in said[-1]["text"]
            # A phone shows a link by its label: the address is in what was sent.
            source = (await line.bot.sim.received(line.bot.name))[-1]["source"].replace("&amp;", "&")
            assert "openstreetmap.org/?mlat=52.5163&mlon=13.3777" in source
        assert "Here:" in said[0]["text"]


async def pressed(line: Line, label: str) -> InboundEvent:
    """Press what the phone shows under this label, and return what comes of it."""
    message = next(one for one in await shown(line) if any(b["label"] == label for b in one["buttons"]))
    chat = next(
        chat["chat"]
        for chat in (await line.bot.sim.phone(line.bot.name, "alice"))["chats"]
        if any(one["id"] == message["id"] for one in chat["messages"])
    )
    before = len(line.hook.requests)
    await line.bot.sim.say(line.bot.name, "alice", label, kind="press", target=message["id"], chat=_where(line, chat))
    return line.read((await line.hook.wait(before + 1))[before])[0]


def _where(line: Line, chat: str) -> str | None:
    return chat if line.bot.platform == "mattermost" else None


class TestButtons:
    async def test_a_pressed_one_comes_back_with_its_value_into_its_session(self, line: Line) -> None:
        event = await opened(line)
        await sent(line, event, "Shall I?", YES_NO)
        assert [one["label"] for one in (await shown(line))[-1]["buttons"]] == ["Yes, please", "No"]
        press = await pressed(line, "Yes, please")
        assert (press.kind, press.text, press.ignored) == (EventKind.ACTION, "Yes, please", None)
        assert press.metadata["value"] == "yes:1"
        assert press.session_key == event.session_key
        assert press.reply_to.chat == event.reply_to.chat
        assert press.sender.id == event.sender.id

    async def test_a_chosen_line_comes_back_with_its_value(self, line: Line) -> None:
        event = await opened(line)
        await sent(line, event, "Which?", SIZES)
        assert [one["label"] for one in (await shown(line))[-1]["buttons"]] == [f"Size {n}" for n in range(1, 6)]
        choice = await pressed(line, "Size 4")
        assert (choice.kind, choice.text, choice.metadata["value"]) == (EventKind.ACTION, "Size 4", "size-4")
        assert choice.session_key == event.session_key

    async def test_addresses_stand_on_buttons_or_in_the_text(self, line: Line) -> None:
        await sent(line, await opened(line), "See:", Buttons(buttons=(*YES_NO.buttons, LINK)))
        message = (await shown(line))[-1]
        assert {"Yes, please", "No"} <= {one["label"] for one in message["buttons"]}
        urls = [one["url"] for one in message["buttons"]]
        assert LINK.url in urls or "https://example.org/more?a=1&b=2" in message["text"].replace("&amp;", "&")

    async def test_more_than_fit_are_numbered_lines_and_nothing_is_lost(self, line: Line) -> None:
        many = tuple(Choice(label=f"Line {n:02d} " + "x" * 60, value=str(n), description="why") for n in range(25))
        buttons = Buttons(buttons=tuple(Button(label=one.label, value=one.value) for one in many))
        for extra in (buttons, Menu(choices=many)):
            await sent(line, await opened(line), "Many:", extra)
        messages = await shown(line)
        told = "\n".join(
            [*(one["text"] for one in messages), *(b["label"] for one in messages for b in one["buttons"])]
        )
        assert all(told.count(one.label) >= 2 for one in many)

    async def test_a_long_text_above_them_is_whole(self, line: Line) -> None:
        await sent(line, await opened(line), "word " * 3_000, YES_NO)
        messages = await shown(line)
        assert " ".join(one["text"] for one in messages).split() == ["word"] * 3_000
        assert [bool(one["buttons"]) for one in messages] == [False] * (len(messages) - 1) + [True]


class TestReactions:
    async def test_stand_on_the_persons_message_once(self, line: Line) -> None:
        event = await opened(line)
        if event.reply_to.message is None:
            return
        for _ in range(2):
            await sent(line, event, "", Reaction(emoji="👍", message=event.reply_to.message))
        [message] = [one for one in await line.shown() if one["id"] == event.reply_to.message]
        assert len(message["reactions"]) == 1


class TestTemplates:
    async def test_are_whatsapps_alone(self, line: Line) -> None:
        if line.bot.platform != "whatsapp":
            with pytest.raises(InvalidInputError, match="no templates"):
                compose(line.adapter, "", [TEMPLATE])
            return
        await sent(line, await opened(line), "", TEMPLATE)
        assert (await shown(line))[-1]["text"] == "[appointment] Ada two lines"


class TestLostAnswers:
    async def test_an_upload_is_no_message_and_what_follows_may_be(self, line: Line) -> None:
        """A dropped answer to the first request: harmless where it only uploads, ambiguous where it is the message."""
        event = await opened(line)
        [one] = compose(line.adapter, "", [a_file("document")])
        await line.bot.sim.fault("accept_then_drop", channel=line.bot.name, times=1)
        result = await line.adapter.send(line.channel, request_for(one, event.reply_to))
        if line.bot.platform in {"telegram", "discord"}:
            assert isinstance(result, Unknown)
            return
        assert isinstance(result, Refused)
        assert result.error_class is ErrorClass.TRANSIENT
        assert not [message for message in await shown(line) if message["file"]]

    async def test_a_shared_file_is_found_by_what_its_upload_was_called(self, line: Line) -> None:
        if line.bot.platform != "slack":
            return
        event = await opened(line)
        [one] = compose(line.adapter, "", [a_file("document")])
        for fault, wanted in (("accept_then_drop", Found), ("drop_before_accept", Absent)):
            kept: list[str] = []

            async def keep_ref(ref: str, kept: list[str] = kept) -> None:
                kept.append(ref)

            method = "files.completeUploadExternal"
            await line.bot.sim.fault(fault, channel=line.bot.name, method=method, times=1)
            wish = request_for(one, event.reply_to)
            request = type(wish)(wish.address, one, "n", wish.before_write, file=wish.file, keep_ref=keep_ref)
            assert isinstance(await line.adapter.send(line.channel, request), Unknown)
            asked = LookupRequest(event.reply_to, "n", event.occurred_at, kept[0])
            assert isinstance(await line.adapter.lookup(line.channel, asked), wanted)


class TestMattermostsSeal:
    async def test_a_forged_changed_or_foreign_press_is_refused(
        self, sim: SimulatorClient, http: httpx2.AsyncClient
    ) -> None:
        async with running_hook() as hook:
            line = await line_to(sim, http, hook, "mattermost")
            known = line.channel
            line.channel = type(known)("c", known.credentials, {}, known.identity, hook.url)
            await sent(line, await opened(line), "Shall I?", YES_NO)
            assert (await pressed(line, "No")).metadata["value"] == "no"
            [chat] = {chat["chat"] for chat in (await sim.phone(line.bot.name, "alice"))["chats"] if chat["messages"]}
            target = (await shown(line))[-1]["id"]
            true = hook.requests[-1].body
            for change in (
                (b'["no","No"]', b'["yes","No"]'),
                (chat.encode(), b"z" * len(chat)),
                (b'"seal":"', b'"seal":"0'),
                (b'"powernode"', b'"powernade"'),
            ):
                assert change[0] in true
                with pytest.raises(SignatureError):
                    line.read(type(hook.requests[-1])(hook.requests[-1].headers, true.replace(*change)))
            line.channel = type(known)("another channel", known.credentials, {}, known.identity, hook.url)
            with pytest.raises(SignatureError):
                line.read(hook.requests[-1])
            assert target
