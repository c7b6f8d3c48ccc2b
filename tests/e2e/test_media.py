"""What people send, over the whole system: fetched once, looked at, kept, shown, handed out, and told to the agent."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from tests import files
from tests.activities.scanner import EICAR, fake_clamd
from tests.e2e.desk import Desk, desk_of
from tests.e2e.sockets import connected
from tests.e2e.system import HASH, System, Talk
from tests.e2e.test_live import cable, subscribe, until
from tests.tenants import Wish

STORED = "SELECT count(*) FROM chat_message_attachments WHERE state = 'stored'"
SETTLED = "SELECT count(*) FROM chat_message_attachments WHERE state <> 'waiting'"
STATES = "SELECT state, reason FROM chat_message_attachments ORDER BY created_at, position"
SPOKEN = "Are you open on Sundays?"
PICTURE, VOICE = files.png(640, 480, padding=300_000), files.ogg(1.5, says=SPOKEN)


def sent(name: str, content: bytes, kind: str | None = None, **more: Any) -> dict[str, Any]:
    """Return a file as the control API takes it."""
    return {"name": name, "content_base64": base64.b64encode(content).decode(), "kind": kind} | more


EVERY = [
    (sent("photo.png", PICTURE, "image"), "image/png"),
    (sent("voice.ogg", VOICE, "voice", mime_type="audio/ogg"), "audio/ogg"),
    (sent("clip.mp4", files.mp4() + bytes(200_000), "video"), "video/mp4"),
    (sent("Rechnung \u202efdp.docx", files.docx(), "document"), "application/vnd.openxmlformats-officedocument"),
    (sent("hello.webp", files.webp(512, 512), "sticker"), "image/webp"),
]


async def open_talk(system: System, platform: str) -> tuple[Talk, Desk]:
    """Return a talk in which people can send files, and somebody at its desk."""
    if platform in {"discord", "mattermost"}:
        return await connected(system, platform)
    talk = await system.open_talk(platform, Wish(password_hash=HASH))
    return talk, await desk_of(talk)


async def send(talk: Talk, *sent_files: dict[str, Any], text: str = "") -> None:
    await talk.say("alice", text, files=list(sent_files), wait=False)


async def shown(desk: Desk) -> list[dict[str, Any]]:
    """Return the views of all files of the account's session, the oldest first."""
    [session] = (await desk.data("/chat/sessions"))["items"]
    items = (await desk.data(f"/chat/sessions/{session['id']}/messages", direction="inbound", per_page=100))["items"]
    return [
        file | {"path": f"/chat/sessions/{session['id']}/messages/{one['id']}/attachments/{file['id']}"}
        for one in reversed(items)
        for file in one["attachments"]
    ]


def kept(system: System, talk: Talk) -> list[Path]:
    """Return the account's files in the store, and whatever else lies in its folder."""
    return sorted(path for path in (system.folder / "files" / str(talk.tenant.account_id)).rglob("*") if path.is_file())


async def download(talk: Talk, desk: Desk, file: dict[str, Any]) -> bytes:
    url = (await desk.data(file["path"]))["attachment"]["download_url"]
    answer = await talk.system.http.get(url.replace("https://chat.example.org", talk.system.api_url))
    assert answer.headers["content-disposition"].startswith("attachment; ")
    return answer.content


class TestEveryPlatform:
    @pytest.mark.parametrize("platform", ["telegram", "whatsapp", "slack", "discord", "mattermost"])
    async def test_all_kinds_arrive_whole_and_are_told_to_the_agent(self, system: System, platform: str) -> None:
        talk, desk = await open_talk(system, platform)
        for number, (file, _) in enumerate(EVERY, 1):
            await send(talk, file)
            await talk.until(STORED, number)
        found = await shown(desk)
        for view, (file, mime_type) in zip(found, EVERY, strict=True):
            assert view["mime_type"].startswith(mime_type)
            assert (view["state"], view["safe"]) == ("stored", True)
            content = await download(talk, desk, view)
            assert content == base64.b64decode(file["content_base64"])
            assert view["file_size"] == len(content)
        assert found[0]["dimensions"] == {"width": 640, "height": 480}
        assert (found[1]["transcription"], found[1]["duration"]) == (SPOKEN, 1.5)
        assert len(kept(system, talk)) == len(EVERY)
        replies = [one["text"] for one in await talk.replies(len(EVERY))]
        assert "image/png" in replies[0]
        assert SPOKEN in replies[1]
        assert "\u202e" not in replies[3]


class TestOutcomes:
    @pytest.mark.parametrize(
        ("file", "reason"),
        [
            (sent("big.pdf", files.pdf(), "document", size=26 << 20), "too large"),
            (sent("setup.pdf", b"MZ\x90\x00" + bytes(100), "document"), "of a type that is not taken"),
            (sent("x.svg", b"<svg onload=alert(1)>", "document", mime_type="image/png"), "SVG"),
            (sent("flood.png", files.png(60_000, 60_000), "image"), "pixels"),
            (sent("bomb.docx", files.docx({"word/b": bytes(30 << 20)}), "document"), "far more than its size"),
        ],
    )
    async def test_what_is_refused_says_why_to_all(self, system: System, file: dict[str, Any], reason: str) -> None:
        talk, desk = await open_talk(system, "slack")
        await send(talk, file)
        [reply] = await talk.replies(1)
        [view] = await shown(desk)
        assert view["state"] == "refused"
        assert reason in view["reason"]
        assert f"was not taken: {view['reason']}" in reply["text"]
        details = (await desk.data(view["path"]))["attachment"]
        assert (details["safe"], details["download_url"]) == (False, None)
        assert kept(system, talk) == []

    async def test_longer_than_said(self, system: System) -> None:
        talk, _ = await open_talk(system, "slack")
        await system.simulator.fault("oversized", channel=talk.name, method="file")
        await send(talk, sent("a.pdf", files.pdf()))
        await talk.until(SETTLED, 1)
        [row] = await talk.rows(STATES)
        assert (row.state, "too large" in row.reason) == ("refused", True)

    @pytest.mark.parametrize("kind", ["truncate", "drop_before_accept", "server_error", "rate_limited", "error"])
    async def test_what_passes_is_tried_again(self, system: System, kind: str) -> None:
        talk, desk = await open_talk(system, "telegram")
        await system.simulator.fault(kind, channel=talk.name, method="file", times=1)
        await send(talk, sent("photo.png", PICTURE, "image"))
        await talk.until(STORED, 1)
        [view] = await shown(desk)
        assert await download(talk, desk, view) == PICTURE

    async def test_what_is_gone_ends_failed(self, system: System) -> None:
        talk, desk = await open_talk(system, "whatsapp")
        await system.simulator.fault("error", channel=talk.name, method="file", times=None)
        await send(talk, sent("photo.png", PICTURE, "image"))
        [reply] = await talk.replies(1)
        [view] = await shown(desk)
        assert (view["state"], view["reason"]) == ("failed", "The platform does not hand the file out (HTTP 404)")
        assert "could not be fetched" in reply["text"]

    async def test_every_step_is_told_live_and_equals_what_is_read(self, system: System) -> None:
        talk, desk = await open_talk(system, "telegram")
        await talk.say("alice", "hello")
        await talk.replies(1)
        [session] = (await desk.data("/chat/sessions"))["items"]
        async with cable(system, await talk.token()) as socket:
            assert await subscribe(socket, "ChatSessionChannel", session_id=session["id"]) == "confirm_subscription"
            await send(talk, sent("voice.ogg", VOICE, "voice", mime_type="audio/ogg"))
            events = await until(socket, "message_created")
            while events[-1]["message"]["direction"] != "inbound":
                events = await until(socket, "message_created")
            told = events[-1]["message"]
            assert told["attachments"][0]["state"] == "waiting"
            while told["attachments"][0]["transcription"] is None:
                told = (await until(socket, "message_status", message_id=told["id"]))[-1]["message"]
        path = f"/chat/sessions/{session['id']}/messages/{told['id']}"
        fresh = (await desk.data(path))["message"]
        assert {name: fresh[name] for name in told} == told
        assert fresh["content"] == f"[voice message]\n{SPOKEN}"
        assert fresh["sanitized_content"].startswith("[USER_MESSAGE_START]")


class TestOrder:
    async def test_words_never_wait_for_a_download(self, system: System) -> None:
        talk, _ = await open_talk(system, "telegram")
        gate = await system.simulator.fault("hold", channel=talk.name, method="file", times=1)
        await send(talk, sent("photo.png", PICTURE, "image"), text="What is this?")
        assert "What is this?" in (await talk.replies(1))[0]["text"]
        await talk.say("alice", "Hello?")
        assert "Hello?" in (await talk.replies(2))[1]["text"]
        assert await system.simulator.held(gate)
        assert (await talk.rows(STATES))[0].state == "waiting"
        await system.simulator.release(gate)
        await talk.until(STORED, 1)

    async def test_a_message_without_words_waits_for_its_file(self, system: System) -> None:
        talk, _ = await open_talk(system, "telegram")
        gate = await system.simulator.fault("hold", channel=talk.name, method="file", times=1)
        await send(talk, sent("voice.ogg", VOICE, "voice", mime_type="audio/ogg"))
        assert await system.simulator.held(gate)
        await talk.say("alice", "Hello?")
        await system.simulator.release(gate)
        first, second = await talk.replies(2)
        assert SPOKEN in first["text"]
        assert "Hello?" in second["text"]

    async def test_but_not_for_ever(self, system: System) -> None:
        await system.worker.kill()
        system.worker.start(POWERNODE_FILE_WAIT_S="0.5")
        talk, _ = await open_talk(system, "telegram")
        gate = await system.simulator.fault("hold", channel=talk.name, method="file", times=1)
        await send(talk, sent("photo.png", PICTURE, "image"))
        assert "[photo]" in (await talk.replies(1))[0]["text"]
        await system.simulator.release(gate)
        await talk.until(STORED, 1)
        await system.worker.kill()
        system.worker.start()


class TestDeath:
    @pytest.mark.parametrize("point", [pytest.param("media.received", marks=pytest.mark.full), "media.kept"])
    async def test_a_worker_killed_while_it_fetches(self, system: System, point: str) -> None:
        await system.worker.kill()
        system.worker.start(POWERNODE_FAILPOINT=point)
        talk, desk = await open_talk(system, "telegram")
        await send(talk, sent("photo.png", PICTURE, "image"))
        assert await system.worker.ended() == -9
        await self._comes_back(system, talk, desk)

    async def test_a_worker_killed_in_the_middle_of_a_download(self, system: System) -> None:
        talk, desk = await open_talk(system, "telegram")
        gate = await system.simulator.fault("hold", channel=talk.name, method="file", times=1)
        await send(talk, sent("photo.png", PICTURE, "image"))
        assert await system.simulator.held(gate)
        await system.worker.kill()
        await system.simulator.release(gate)
        await self._comes_back(system, talk, desk)

    async def _comes_back(self, system: System, talk: Talk, desk: Desk) -> None:
        """Start the worker again: exactly one file, stored once, and one answer."""
        system.worker.start()
        await talk.until(STORED, 1)
        [view] = await shown(desk)
        assert await download(talk, desk, view) == PICTURE
        assert [path.name for path in kept(system, talk)] == [(await self._hash(talk))]
        assert [path for path in (system.folder / "files").iterdir() if path.is_file()] == []
        assert len(await talk.replies(1)) == 1

    async def _hash(self, talk: Talk) -> str:
        [row] = await talk.rows("SELECT content_hash FROM chat_message_attachments")
        return str(row.content_hash)


class TestScanner:
    async def test_no_file_is_kept_unscanned(self, system: System) -> None:
        async with fake_clamd() as scanner:
            await system.worker.kill()
            system.worker.start(POWERNODE_CLAMD=scanner.address)
            talk, desk = await open_talk(system, "slack")
            await send(talk, sent("letter.txt", b"Dear Sirs\n" + EICAR))
            await talk.until(SETTLED, 1)
            [view] = await shown(desk)
            details = (await desk.data(view["path"]))["attachment"]
            assert view["reason"] == "malware was found in it: Eicar-Test-Signature"
            assert (details["malware_detected"], details["safe"], details["download_url"]) == (True, False, None)
            assert kept(system, talk) == []
            scanner.answer = b"stream: Can't allocate memory ERROR\0"
            await send(talk, sent("photo.png", PICTURE))
            await talk.until("SELECT count(*) FROM chat_message_attachments", 2)
            while PICTURE not in scanner.seen:
                scanner.came.clear()
                await scanner.came.wait()
            assert kept(system, talk) == []
            scanner.answer = None
            await talk.until(STORED, 1)
        await system.worker.kill()
        system.worker.start()
