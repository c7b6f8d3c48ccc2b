"""What lasts and what is seen: phones, batches, waiting, refusals of the control API, the state file, the process."""

from __future__ import annotations

import asyncio
import base64
import signal
import sys
from pathlib import Path

import httpx2
import pytest

from simulator.client import SimulatorClient, SimulatorError
from simulator.process import simulator_process
from simulator.server import running_simulator
from tests.simulator.support import Bot, Hook, failure, new_bot, running_hook


class TestPhone:
    async def test_shows_chats_in_order_with_threads_in_place(self, slack: Bot) -> None:
        root = await slack.sim.say(slack.name, "alice", "root", chat="#help")
        await slack.sim.say(slack.name, "bob", "later", chat="#help")
        await slack.call("chat.postMessage", channel=root["chat"], text="reply", thread_ts=root["message_id"])
        url = f"{slack.sim.origin}/_sim/phone"
        query = {"channel": slack.name, "as": "alice", "format": "text"}
        shown = (await slack.http.get(url, params=query)).text
        assert shown.splitlines() == [
            "── help (channel)",
            "alice: root",
            f"    ↳ {slack.name}: reply",
            "bob: later",
        ]

    async def test_shows_only_ones_own_chats(self, telegram: Bot) -> None:
        await telegram.sim.say(telegram.name, "alice", "private")
        await telegram.sim.say(telegram.name, "bob", "also private")
        screen = await telegram.sim.phone(telegram.name, "bob")
        assert [message["text"] for chat in screen["chats"] for message in chat["messages"]] == ["also private"]

    async def test_shows_what_people_send_with_its_bytes(self, telegram: Bot) -> None:
        content = base64.b64encode(b"%PDF-1.7").decode()
        pdf = {"name": "a b.pdf", "content_base64": content, "size": 200_000}
        await telegram.sim.say(telegram.name, "alice", "here", files=[pdf])
        screen = await telegram.sim.phone(telegram.name, "alice")
        [message] = screen["chats"][0]["messages"]
        [file] = message["files"]
        assert message["file"] == file
        assert (message["kind"], message["text"]) == ("document", "here")
        assert (file["name"], file["mime"], file["size"]) == ("a b.pdf", "application/pdf", 200_000)
        kept = await telegram.http.get(f"{telegram.sim.origin}{file['url']}")
        assert kept.content == b"%PDF-1.7" + bytes(199_992)
        assert kept.headers["content-type"] == "application/pdf"
        assert kept.headers["content-disposition"] == "attachment"
        assert (await telegram.http.get(f"{telegram.sim.origin}/_sim/files/none")).status_code == 404

    async def test_can_be_awaited(self, telegram: Bot, sim: SimulatorClient) -> None:
        chat = await telegram.chat_with("alice")
        version = (await sim.phone(telegram.name, "alice"))["version"]
        waiting = asyncio.create_task(sim.phone(telegram.name, "alice", newer_than=version, timeout_s=30))
        await telegram.call("sendMessage", chat_id=chat, text="news")
        assert (await waiting)["version"] > version


class TestReceived:
    async def test_waits_for_so_many_and_goes_on_after(self, telegram: Bot, sim: SimulatorClient) -> None:
        chat = await telegram.chat_with("alice")
        waiting = asyncio.create_task(sim.received(telegram.name, at_least=3, timeout_s=30))
        for number in range(3):
            await telegram.call("sendMessage", chat_id=chat, text=str(number))
        found = await waiting
        assert [entry["text"] for entry in found] == ["0", "1", "2"]
        assert await sim.received(telegram.name, after=found[1]["n"], as_="alice") == found[2:]

    async def test_gives_what_there_is_when_the_time_is_over(self, telegram: Bot, sim: SimulatorClient) -> None:
        assert await sim.received(telegram.name, timeout_s=0.01) == []


class TestBatch:
    async def test_delivers_all_and_reports(self, telegram: Bot, sim: SimulatorClient) -> None:
        report = await sim.batch(telegram.name, count=60, people=6, text="{i} from {person}")
        assert (report["acked"], report["settled"], report["done"]) == (60, 60, True)
        by_person: dict[str, list[int]] = {}
        for request in telegram.hook.requests:
            number, _, person = request.json["message"]["text"].partition(" from ")
            by_person.setdefault(person, []).append(int(number))
        assert all(numbers == sorted(numbers) for numbers in by_person.values())
        assert sorted(number for numbers in by_person.values() for number in numbers) == list(range(60))

    async def test_shuffles_what_was_made_in_order(self, slack: Bot, sim: SimulatorClient) -> None:
        report = await sim.batch(slack.name, count=40, shuffle=True, seed=7, concurrency=5)
        stamps = [request.json["event"]["ts"] for request in slack.hook.requests]
        assert report["message_ids"] == sorted(stamps)
        assert stamps != sorted(stamps)

    async def test_counts_refusals(self, slack: Bot, sim: SimulatorClient) -> None:
        slack.hook.answers.extend([failure()] * 3)
        report = await sim.batch(slack.name, count=5, rate_per_s=1000)
        assert (report["acked"], report["refused"], report["settled"]) == (2, 3, 5)


class TestControl:
    async def test_unknown_channels_are_404(self, sim: SimulatorClient) -> None:
        with pytest.raises(SimulatorError) as caught:
            await sim.say("nobody", "alice", "x")
        assert caught.value.status == 404

    async def test_misspelt_fields_are_422(self, telegram: Bot, sim: SimulatorClient) -> None:
        with pytest.raises(SimulatorError) as caught:
            await sim.say(telegram.name, "alice", "x", tread="7")
        assert caught.value.status == 422

    async def test_a_missing_target_is_422(self, telegram: Bot, sim: SimulatorClient) -> None:
        with pytest.raises(SimulatorError) as caught:
            await sim.say(telegram.name, "alice", "x", kind="edit", target="99")
        assert caught.value.status == 422

    async def test_web_pages_cannot_post_unasked(self, sim: SimulatorClient, http: httpx2.AsyncClient) -> None:
        answer = await http.post(f"{sim.origin}/_sim/reset", content="{}", headers={"Content-Type": "text/plain"})
        assert answer.status_code == 415

    async def test_registering_again_keeps_the_chats(self, telegram: Bot, sim: SimulatorClient) -> None:
        await sim.say(telegram.name, "alice", "hello")
        await telegram.register(time_factor=2)
        channels = (await sim.get("channels"))["channels"]
        found = next(channel for channel in channels if channel["name"] == telegram.name)
        assert (found["options"]["time_factor"], len(found["chats"])) == (2.0, 1)
        assert "credentials" not in found

    async def test_reset_forgets_one_channel_only(self, telegram: Bot, slack: Bot, sim: SimulatorClient) -> None:
        for bot in (telegram, slack):
            await sim.say(bot.name, "alice", "hello", wait=True)
        await sim.reset(telegram.name)
        assert (await sim.phone(telegram.name, "alice"))["chats"] == []
        assert len((await sim.phone(slack.name, "alice"))["chats"]) == 1
        assert await sim.deliveries(telegram.name) == []
        assert len(await sim.deliveries(slack.name)) == 1


class TestOpenWorld:
    async def test_takes_what_nobody_has_seen(self, telegram: Bot, slack: Bot) -> None:
        await telegram.register(open_world=True)
        await slack.register(open_world=True)
        reply = {"message_id": 41}
        sent = await telegram.call(
            "sendMessage", chat_id=-100123, text="x", message_thread_id=5, reply_parameters=reply
        )
        assert sent["result"]["chat"]["type"] == "supergroup"
        posted = await slack.call("chat.postMessage", channel="C0RECORDED1", text="x", thread_ts="1.000001")
        assert posted["message"]["thread_ts"] == "1.000001"


class TestStateFile:
    async def test_a_restarted_simulator_knows_everything(self, tmp_path: Path, http: httpx2.AsyncClient) -> None:
        file = tmp_path / "world.jsonl"
        async with running_hook() as hook:
            async with running_simulator(state_file=file) as sim:
                bots = [await new_bot(sim, http, hook, platform) for platform in ("telegram", "slack")]
                before = [await _talk(bot) for bot in bots]
                hook.answers.extend([failure()] * 2)
                undelivered = await sim.say(bots[0].name, "alice", "not yet told", wait=True)
                last = (await sim.get("received"))["last"]
            with file.open("ab") as torn:
                torn.write(b'{"k":"message","c":')
            async with running_simulator(state_file=file) as sim:
                for bot, sent in zip(bots, before, strict=True):
                    bot.sim = sim
                    shown = (await sim.phone(bot.name, "alice"))["chats"][0]["messages"]
                    assert [message["text"] for message in shown][:2] == ["hello", "answer"]
                    assert [entry["message_id"] for entry in await sim.received(bot.name)] == [sent]
                assert (await sim.get("received"))["last"] == last
                acked = await sim.deliveries(
                    bots[0].name, event_id=undelivered["event_ids"][0], outcome="acked", timeout_s=30
                )
                assert len(acked) == 1
                again = await sim.say(bots[0].name, "alice", "again", wait=True)
                assert int(again["event_ids"][0]) > int(undelivered["event_ids"][0])
                assert int(again["message_id"]) > int(undelivered["message_id"])


async def _talk(bot: Bot) -> str:
    said = await bot.sim.say(bot.name, "alice", "hello", wait=True)
    if bot.token.startswith("xoxb"):
        return (await bot.call("chat.postMessage", channel=said["chat"], text="answer"))["ts"]
    return str((await bot.call("sendMessage", chat_id=said["chat"], text="answer"))["result"]["message_id"])


class TestProcess:
    async def test_serves_until_it_is_told_to_end(self, tmp_path: Path, http: httpx2.AsyncClient, hook: Hook) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "simulator", "--port", "0", "--state-file", str(tmp_path / "state.jsonl"),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        origin = (await process.stdout.readline()).decode().removeprefix("simulator on ").strip()
        async with SimulatorClient(origin) as sim:
            bot = await new_bot(sim, http, hook, "telegram")
            waiting = asyncio.create_task(sim.received(bot.name, timeout_s=60))
            await sim.say(bot.name, "alice", "hello", wait=True)
            process.send_signal(signal.SIGTERM)
            assert await waiting == []
        _, errors = await process.communicate()
        assert (process.returncode, errors) == (0, b"")

    async def test_a_helper_runs_it(self) -> None:
        async with simulator_process() as sim:
            assert await sim.health() == {"ok": True}

    async def test_a_taken_port_is_told(self, sim: SimulatorClient) -> None:
        port = int(sim.origin.rpartition(":")[2])
        with pytest.raises(RuntimeError, match="ended before it listened"):
            async with simulator_process(port=port):
                pass
