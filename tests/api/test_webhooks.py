"""Webhooks that want more than an acknowledgement: handshakes by GET and POST, answers beside stored items."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import Any

import httpx2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.api.conftest import Login, Person

KEY = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"an application").digest())
PUBLIC = KEY.public_key().public_bytes_raw().hex()
WHATSAPP = {"access_token": "EAA", "app_secret": "secret", "phone_number_id": "1", "verify_token": "mine"}
COMMAND = {
    "id": "1456000000000000009",
    "application_id": "1",
    "type": 2,
    "token": "t",
    "channel_id": "77",
    "user": {"id": "88", "username": "alice"},
    "data": {"name": "ask", "type": 1, "options": [{"name": "question", "type": 3, "value": "open today?"}]},
}


async def channel(person: Person, platform: str, credentials: dict[str, str]) -> dict[str, Any]:
    body = {"channel": {"name": platform, "platform": platform, "credentials": credentials}}
    answer = await person.post("/chat/channels", body)
    assert answer.status_code == 201, answer.text
    return answer.json()["data"]["channel"]


async def send(person: Person, url: str, body: dict[str, Any], *, wrong: bool = False) -> httpx2.Response:
    content, timestamp = json.dumps(body).encode(), str(int(time.time()))
    signature = KEY.sign(timestamp.encode() + content + (b"x" if wrong else b"")).hex()
    headers = {"X-Signature-Ed25519": signature, "X-Signature-Timestamp": timestamp}
    return await person.client.post(url, content=content, headers=headers)


class TestHandshake:
    async def test_by_get(self, login: Login) -> None:
        person = await login()
        url = (await channel(person, "whatsapp", WHATSAPP))["webhook_url"]
        query = {"hub.mode": "subscribe", "hub.verify_token": "mine", "hub.challenge": "4711"}
        answer = await person.client.get(url, params=query)
        assert (answer.status_code, answer.text) == (200, "4711")
        assert answer.headers["content-type"].startswith("text/plain")
        refused = await person.client.get(url, params=query | {"hub.verify_token": "theirs"})
        assert (refused.status_code, "4711" in refused.text) == (401, False)

    async def test_by_post(self, login: Login) -> None:
        person = await login()
        url = (await channel(person, "discord", {"bot_token": "x", "public_key": PUBLIC}))["webhook_url"]
        ping = {"id": "1", "application_id": "1", "type": 1, "token": "t", "version": 1}
        answer = await send(person, url, ping)
        assert (answer.status_code, answer.json()) == (200, {"type": 1})
        assert (await send(person, url, ping, wrong=True)).status_code == 401


class TestAnswers:
    async def test_come_once_the_item_is_stored_and_again_for_a_repeat(self, login: Login) -> None:
        person = await login()
        made = await channel(person, "discord", {"bot_token": "x", "public_key": PUBLIC})
        answers = [await send(person, made["webhook_url"], COMMAND) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert all(answer.headers["content-type"] == "application/json" for answer in answers)
        assert {answer.json()["data"]["content"] for answer in answers} == {"> open today?"}
        listed = (await person.get("/chat/sessions", channel_id=made["id"])).json()["data"]["items"]
        assert len(listed) == 1
        session = listed[0]["id"]
        messages = (await person.get(f"/chat/sessions/{session}/messages")).json()["data"]["items"]
        assert [message["content"] for message in messages] == ["open today?"]


class TestSize:
    async def test_a_large_batch_is_taken_where_the_platform_sends_such(self, login: Login) -> None:
        person = await login()
        url = (await channel(person, "whatsapp", WHATSAPP))["webhook_url"]
        body = json.dumps({"object": "whatsapp_business_account", "entry": [{"id": "x" * (2 << 20)}]}).encode()
        proof = hmac.new(b"secret", body, hashlib.sha256).hexdigest()
        answer = await person.client.post(url, content=body, headers={"X-Hub-Signature-256": f"sha256={proof}"})
        assert answer.status_code == 200
        larger = await person.client.post(url, content=body * 3)
        assert larger.status_code == 413
