"""What operators may send besides text: uploads, and bodies that make sense."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from tests.api.conftest import Login, Person
from tests.api.test_isolation import talk

BUTTONS = [{"label": "Yes", "value": "y"}, {"label": "No", "value": "n"}]


async def upload(person: Person, session: object, content: bytes = b"x" * 10, name: str = "a.txt") -> httpx2.Response:
    path = f"/api/v1/chat/sessions/{session}/attachments"
    return await person.client.post(path, files={"file": (name, content, "text/plain")})


async def send(person: Person, session: object, **body: Any) -> httpx2.Response:
    return await person.post(f"/chat/sessions/{session}/messages", body)


async def payloads(app: FastAPI, person: Person) -> list[Any]:
    async with app.state.services.db.account(person.tenant.account_id) as conn:
        found = await conn.execute(text("SELECT body, payload FROM message_deliveries ORDER BY created_at, part_no"))
        return [(row.body, row.payload) for row in found]


class TestBodies:
    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, ""),
            ({"content": " \x00 "}, ""),
            ({"buttons": BUTTONS, "location": {"latitude": 1, "longitude": 2}}, ""),
            ({"content": "x", "buttons": [{"label": "Yes"}]}, "buttons.0"),
            ({"content": "x", "buttons": [{"label": "Yes", "value": "y", "url": "https://a.test"}]}, "buttons.0"),
            ({"content": "x", "buttons": [{"label": "Yes", "url": "javascript:alert(1)"}]}, "buttons.0.url"),
            ({"content": "x", "buttons": [{"label": "Yes", "value": "ü" * 33}]}, "buttons.0.value"),
            ({"content": "x", "buttons": [BUTTONS[0], BUTTONS[0]]}, "buttons"),
            ({"content": "x", "buttons": []}, "buttons"),
            ({"menu": {"choices": [{"label": "a"}]}}, "menu.choices.0.value"),
            ({"location": {"latitude": 91, "longitude": 2}}, "location.latitude"),
            ({"template": {"name": "Not Approved"}}, "template.name"),
            ({"template": {"name": "a", "instead": True}}, ""),
            ({"template": {"name": "a"}, "content": "x"}, ""),
            ({"message_type": "image", "content": "x"}, ""),
            ({"message_type": "location", "content": "x"}, ""),
            ({"message_type": "hologram", "content": "x"}, "message_type"),
            ({"attachment_ids": ["no"]}, "attachment_ids.0"),
        ],
    )
    async def test_that_make_no_sense_say_where(
        self, app: FastAPI, login: Login, body: dict[str, Any], field: str
    ) -> None:
        person = await login()
        session, _, _ = await talk(app, person)
        answer = await send(person, session, **body)
        assert (answer.status_code, answer.json()["code"]) == (422, "VALIDATION_ERROR")
        assert answer.json()["details"]["errors"][0]["field"] == field

    async def test_what_the_platform_has_not_says_so(self, app: FastAPI, login: Login) -> None:
        person = await login()
        session, _, _ = await talk(app, person)
        answer = await send(person, session, template={"name": "hello"})
        assert answer.status_code == 422
        assert answer.json()["details"]["errors"] == [{"field": "template", "message": "Telegram has no templates"}]

    async def test_become_parts_with_their_payloads(self, app: FastAPI, login: Login) -> None:
        person = await login()
        session, inbound, _ = await talk(app, person)
        answer = await send(person, session, content="*Shall* I?", buttons=BUTTONS)
        assert answer.json()["data"]["message"]["content"] == "*Shall* I?\n[buttons: Yes, No]"
        answer = await send(person, session, location={"latitude": 1.5, "longitude": 2})
        assert answer.json()["data"]["message"]["message_type"] == "location"
        answer = await send(person, session, reaction={"message_id": str(inbound), "emoji": "👍"})
        assert answer.status_code == 201
        (first, buttons), (second, place), (_, reaction) = await payloads(app, person)
        assert (first, [one["value"] for one in buttons["buttons"]]) == ("<i>Shall</i> I?", ["y", "n"])
        assert (second, place["kind"], place["latitude"]) == ("", "location", 1.5)
        assert (reaction["kind"], reaction["emoji"]) == ("reaction", "👍")


class TestUploads:
    async def test_are_kept_and_sent_by_their_id(self, app: FastAPI, login: Login) -> None:
        person = await login()
        session, _, _ = await talk(app, person)
        made = (await upload(person, session, name="../..\\etc/passwd.txt")).json()["data"]["attachment"]
        assert (made["filename"], made["mime_type"], made["file_size"]) == ("passwd.txt", "text/plain", 10)
        answer = await send(person, session, content="see", attachment_ids=[made["id"]])
        assert answer.json()["data"]["message"]["message_type"] == "document"
        [(body, payload)] = await payloads(app, person)
        assert (body, payload["filename"], payload["size_bytes"]) == ("see", "passwd.txt", 10)

    @pytest.mark.parametrize(
        ("given", "kept"),
        [("x" * 300 + ".pdf", "x" * 251 + ".txt"), ("invoice\u202efdp.exe", "invoicefdp.exe.txt"), ("…", "….txt")],
    )
    async def test_have_names_that_every_disk_takes(self, app: FastAPI, login: Login, given: str, kept: str) -> None:
        person = await login()
        session, _, _ = await talk(app, person)
        made = (await upload(person, session, name=given)).json()["data"]["attachment"]
        assert made["filename"] == kept
        answer = await send(person, session, attachment_ids=[made["id"]])
        assert answer.status_code == 201
        [file] = answer.json()["data"]["message"]["attachments"]
        assert (file["filename"], file["state"], file["file_size"], file["safe"]) == (kept, "stored", 10, True)

    async def test_as_what_they_are_sent(self, app: FastAPI, login: Login) -> None:
        person = await login()
        session, _, _ = await talk(app, person)
        made = (await upload(person, session)).json()["data"]["attachment"]
        for kind in ("image", "sticker"):
            # A text is neither, and goes as a document.
            await send(person, session, message_type=kind, attachment_ids=[made["id"]])
        assert [payload["type"] for _, payload in await payloads(app, person)] == ["document", "document"]

    @pytest.mark.parametrize("form", [{"data": {"file": "words"}}, {"files": {"other": b"x"}}, {"json": {}}])
    async def test_without_a_file_are_refused(self, app: FastAPI, login: Login, form: dict[str, Any]) -> None:
        person = await login()
        session, _, _ = await talk(app, person)
        answer = await person.client.post(f"/api/v1/chat/sessions/{session}/attachments", **form)
        assert (answer.status_code, answer.json()["code"]) == (422, "VALIDATION_ERROR")

    async def test_empty_broken_or_too_large_ones_are_refused(self, app: FastAPI, login: Login) -> None:
        person = await login()
        session, _, _ = await talk(app, person)
        for content in (b"", b"<svg onload=1>", b"MZ\x90\x00 a program"):
            answer = await upload(person, session, content)
            assert answer.status_code == 422, content
            assert answer.json()["details"]["errors"][0]["field"] == "file"
        path = f"/api/v1/chat/sessions/{session}/attachments"
        headers = {"content-type": "multipart/form-data; boundary=x"}
        assert (await person.client.post(path, content=b"--x\r\nnot a form", headers=headers)).status_code == 422
        # Telegram takes 50 MB; the wall in front of every body ends a little above 100.
        for size in (51 << 20, 101 << 20):
            answer = await upload(person, session, bytes(size))
            assert (answer.status_code, answer.json()["code"]) == (413, "PAYLOAD_TOO_LARGE")

    async def test_of_another_session_or_account_are_nobodys(self, app: FastAPI, login: Login) -> None:
        person, stranger = await login(), await login()
        session, _, _ = await talk(app, person)
        foreign, _, _ = await talk(app, stranger)
        made = (await upload(person, session)).json()["data"]["attachment"]
        assert (await upload(stranger, session)).status_code == 404
        answer = await send(stranger, foreign, attachment_ids=[made["id"]])
        assert answer.status_code == 422
        assert answer.json()["details"]["errors"][0]["field"] == "attachment_ids"


class TestWindow:
    async def test_a_wrong_template_is_refused_when_it_is_configured(self, app: FastAPI, login: Login) -> None:
        person = await login()
        path = f"/api/v1/chat/channels/{person.tenant.channel_id}"
        for template, status in (({"name": "Bad Name"}, 422), ({"name": "reopen", "parameters": ["{text}"]}, 200)):
            body = {"channel": {"configuration": {"window_template": template}}}
            assert (await person.client.patch(path, json=body)).status_code == status

    async def test_elsewhere_there_is_none(self, app: FastAPI, login: Login) -> None:
        person = await login()
        session, _, _ = await talk(app, person)
        view = (await person.get(f"/chat/sessions/{session}")).json()["data"]["session"]
        assert (view["reply_window_until"], view["last_inbound_at"] is not None) == (None, True)
