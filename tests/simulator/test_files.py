"""Files that people send, served as each platform serves them: to its bot, and to nobody else."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx2
import pytest

from simulator.client import SimulatorClient
from tests.files import png

CONTENT = png(30, 20)
FILE = {"name": "photo.png", "content_base64": base64.b64encode(CONTENT).decode(), "kind": "image"}


async def told(sim: SimulatorClient, platform: str, credentials: dict[str, str], **file: Any) -> Any:
    """Let a person send a file; return what the bot's webhook is told."""
    await sim.register(platform, platform, None, credentials)
    said = await sim.say(platform, "alice", files=[FILE | file], mode="sign_only")
    return json.loads(base64.b64decode(said["body"]))


async def get(url: str, token: str | None = None) -> httpx2.Response:
    async with httpx2.AsyncClient(trust_env=False) as http:
        return await http.get(url, headers={"authorization": f"Bearer {token}"} if token else {})


class TestTelegram:
    async def test_by_get_file_and_an_address_with_the_token(self, sim: SimulatorClient) -> None:
        update = await told(sim, "telegram", {"bot_token": "1:a"})
        small, large = update["message"]["photo"]
        assert small["file_size"] < large["file_size"]
        assert (large["width"], large["height"]) == (30, 20)
        found = (await get(f"{sim.origin}/bot1:a/getFile?file_id={large['file_id']}")).json()["result"]
        answer = await get(f"{sim.origin}/file/bot1:a/{found['file_path']}")
        assert (answer.content, answer.headers["content-type"]) == (CONTENT, "image/png")
        assert (await get(f"{sim.origin}/file/bot2:b/{found['file_path']}")).status_code == 404

    async def test_nothing_over_20_mb(self, sim: SimulatorClient) -> None:
        update = await told(sim, "telegram", {"bot_token": "1:a"}, kind="document", size=21 << 20)
        refused = (await get(f"{sim.origin}/bot1:a/getFile?file_id={update['message']['document']['file_id']}")).json()
        assert refused["description"] == "Bad Request: file is too big"


class TestWhatsApp:
    async def test_by_an_address_that_wants_the_token(self, sim: SimulatorClient) -> None:
        credentials = {"bot_token": "EAA", "app_secret": "s", "phone_number_id": "123"}
        hook = await told(sim, "whatsapp", credentials, kind="voice", name="v.ogg", mime_type="audio/ogg")
        [message] = hook["entry"][0]["changes"][0]["value"]["messages"]
        assert (message["type"], message["audio"]["voice"]) == ("audio", True)
        assert (await get(f"{sim.origin}/v23.0/{message['audio']['id']}")).status_code == 401
        found = (await get(f"{sim.origin}/v23.0/{message['audio']['id']}", "EAA")).json()
        assert (found["mime_type"], found["file_size"]) == ("audio/ogg", len(CONTENT))
        assert (await get(found["url"])).status_code == 401
        assert (await get(found["url"], "EAA")).content == CONTENT


class TestSlack:
    async def test_who_lacks_the_token_is_sent_to_the_login_page(self, sim: SimulatorClient) -> None:
        event = (await told(sim, "slack", {"bot_token": "xoxb-1", "signing_secret": "s"}))["event"]
        [file] = event["files"]
        assert (event["subtype"], file["mimetype"], file["size"]) == ("file_share", "image/png", len(CONTENT))
        info = (await get(f"{sim.origin}/api/files.info?file={file['id']}", "xoxb-1")).json()
        assert info["file"]["url_private"] == file["url_private"]
        refused = await get(file["url_private"], "xoxb-2")
        assert (refused.status_code, refused.headers["location"]) == (302, "/login?redir=files")
        assert (await get(file["url_private"], "xoxb-1")).content == CONTENT


class TestMattermost:
    async def test_by_id_with_its_information(self, sim: SimulatorClient) -> None:
        await sim.register("mattermost", "m", "http://127.0.0.1:1/hook", {"bot_token": "tok", "webhook_token": "w"})
        said = await sim.say("m", "alice", files=[FILE], mode="sign_only")
        file_id = json.loads(base64.b64decode(said["body"]))["file_ids"]
        info = (await get(f"{sim.origin}/api/v4/files/{file_id}/info", "tok")).json()
        assert (info["name"], info["mime_type"], info["size"]) == ("photo.png", "image/png", len(CONTENT))
        assert (await get(f"{sim.origin}/api/v4/files/{file_id}", "tok")).content == CONTENT
        assert (await get(f"{sim.origin}/api/v4/files/{file_id}", "other")).status_code == 404


class TestFaults:
    @pytest.mark.parametrize(
        ("kind", "size"), [("oversized", len(CONTENT) + (30 << 20)), ("slow", len(CONTENT)), (None, len(CONTENT))]
    )
    async def test_how_much_comes(self, sim: SimulatorClient, kind: str | None, size: int) -> None:
        event = (await told(sim, "slack", {"bot_token": "xoxb-1", "signing_secret": "s"}))["event"]
        if kind is not None:
            await sim.fault(kind, method="file", delay_s=0.01)
        answer = await get(event["files"][0]["url_private"], "xoxb-1")
        assert (len(answer.content), answer.content[: len(CONTENT)]) == (size, CONTENT)

    async def test_a_cut_one_is_no_whole_answer(self, sim: SimulatorClient) -> None:
        event = (await told(sim, "slack", {"bot_token": "xoxb-1", "signing_secret": "s"}))["event"]
        await sim.fault("truncate", method="file")
        with pytest.raises(httpx2.HTTPError):
            await get(event["files"][0]["url_private"], "xoxb-1")

    async def test_one_file_a_message_where_the_platform_says_so(self, sim: SimulatorClient) -> None:
        await sim.register("telegram", "t", None, {"bot_token": "1:a"})
        with pytest.raises(RuntimeError, match="422"):
            await sim.say("t", "alice", files=[FILE, FILE], mode="sign_only")
