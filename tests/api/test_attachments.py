"""Files over REST: in every view of their message, in full with a signed link, and the download that the link opens."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from fastapi import FastAPI

from api.links import LIFE_S, Link, LinkMint
from api.services import Services
from db.attachments import Ending
from domain.errors import PermissionDeniedError
from domain.files import AttachmentState
from tests.api.conftest import Login, Person
from tests.api.files import attach, settle, store
from tests.api.test_isolation import talk

ORIGIN = "https://chat.example.org"


async def details(person: Person, session_id: UUID, message_id: UUID, attachment_id: UUID) -> dict[str, Any]:
    path = f"/chat/sessions/{session_id}/messages/{message_id}/attachments/{attachment_id}"
    return (await person.get(path)).json()["data"]["attachment"]


class TestViews:
    async def test_a_message_shows_its_files_as_they_stand(self, app: FastAPI, login: Login) -> None:
        person = await login()
        session_id, message_id, _ = await talk(app, person)
        first, second = await attach(app, person, message_id), await attach(app, person, message_id)
        await store(app, person, first, b"x" * 1_536, "photo.png", "image/png")
        ending = Ending(AttachmentState.REFUSED, "too large (30.0 MB); at most 25.0 MB are taken")
        await settle(app, person, second, ending)
        path = f"/chat/sessions/{session_id}/messages"
        [listed] = (await person.get(path)).json()["data"]["items"]
        shown = (await person.get(f"{path}/{message_id}")).json()["data"]["message"]
        assert shown["attachments"] == listed["attachments"]
        assert listed["version"] == 3
        photo, refused = listed["attachments"]
        assert photo == {
            "id": str(first), "attachment_type": "document", "mime_type": "image/png", "filename": "photo.png",
            "file_size": 1_536, "formatted_size": "1.5 KB", "dimensions": {"width": 640, "height": 480}, "duration": None,
            "transcription": None, "state": "stored", "reason": None, "safe": True,
        }  # fmt: skip
        assert (refused["state"], refused["reason"], refused["safe"]) == ("refused", ending.reason, False)

    async def test_details_hold_a_link_only_where_the_file_is_safe(self, app: FastAPI, login: Login) -> None:
        person = await login()
        session_id, message_id, _ = await talk(app, person)
        waiting, safe, bad = [await attach(app, person, message_id) for _ in range(3)]
        digest = await store(app, person, safe, b"%PDF-1.7", "bill.pdf")
        await settle(app, person, bad, Ending(AttachmentState.REFUSED, "malware", scanned=True, malware=True))
        found = await details(person, session_id, message_id, safe)
        assert found["download_url"].startswith(f"{ORIGIN}/api/v1/chat/attachments/{safe}/download?")
        assert found["storage_url"] == f"{person.tenant.account_id}/{digest[:2]}/{digest}"
        assert (found["message_id"], found["platform_file_id"]) == (str(message_id), "remote-1")
        for other in (waiting, bad):
            assert (await details(person, session_id, message_id, other))["download_url"] is None

    async def test_a_file_of_another_message_is_not_there(self, app: FastAPI, login: Login) -> None:
        person = await login()
        session_id, message_id, _ = await talk(app, person)
        attachment_id = await attach(app, person, message_id)
        for wrong in ((uuid4(), message_id), (session_id, uuid4())):
            path = f"/chat/sessions/{wrong[0]}/messages/{wrong[1]}/attachments/{attachment_id}"
            assert (await person.get(path)).status_code == 404


class TestDownload:
    async def test_is_saved_and_never_shown(self, app: FastAPI, login: Login, anybody: httpx2.AsyncClient) -> None:
        person = await login()
        session_id, message_id, _ = await talk(app, person)
        attachment_id = await attach(app, person, message_id)
        await store(app, person, attachment_id, b"<script>", "Rechnung \u202e5€.html", "text/plain")
        url = (await details(person, session_id, message_id, attachment_id))["download_url"]
        answer = await anybody.get(url.removeprefix(ORIGIN))
        assert (answer.status_code, answer.content) == (200, b"<script>")
        assert answer.headers["content-type"].partition(";")[0] == "text/plain"
        assert answer.headers["content-disposition"] == (
            "attachment; filename=\"Rechnung 5_.html.txt\"; filename*=UTF-8''Rechnung%205%E2%82%AC.html.txt"
        )
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
        assert answer.headers["cache-control"] == "private, no-store"
        assert answer.headers["content-length"] == "8"

    async def test_a_changed_link_opens_nothing(self, app: FastAPI, login: Login, anybody: httpx2.AsyncClient) -> None:
        mine, theirs = await login(), await login()
        session_id, message_id, _ = await talk(app, mine)
        attachment_id = await attach(app, mine, message_id)
        await store(app, mine, attachment_id, b"%PDF-", "bill.pdf")
        other = await attach(app, mine, message_id)
        await store(app, mine, other, b"%PDF-other", "bill.pdf")
        url = (await details(mine, session_id, message_id, attachment_id))["download_url"].removeprefix(ORIGIN)
        changed = [
            url.replace(str(attachment_id), str(other)),
            url.replace(str(mine.tenant.account_id), str(theirs.tenant.account_id)),
            re.sub(r"expires=(\d+)", lambda found: f"expires={int(found[1]) + 1}", url),
            url[:-1] + ("0" if url[-1] != "0" else "1"),
        ]
        for wrong in changed:
            assert (await anybody.get(wrong)).status_code == 403, wrong
        for wrong in (url.partition("&signature")[0], url.replace("signature=", "signature=%C3%A4"), url + "00"):
            assert (await anybody.get(wrong)).status_code == 422, wrong
        assert (await anybody.get(url)).content == b"%PDF-"

    async def test_what_is_not_safe_any_more_is_not_handed_out(
        self, app: FastAPI, login: Login, anybody: httpx2.AsyncClient
    ) -> None:
        person = await login()
        _, message_id, _ = await talk(app, person)
        services: Services = app.state.services
        waiting, gone = await attach(app, person, message_id), await attach(app, person, message_id)
        digest = await store(app, person, gone, b"%PDF-", "bill.pdf")
        await services.files.delete(person.tenant.account_id, digest)
        for attachment_id in (waiting, gone, uuid4()):
            link = services.links.make(person.tenant.account_id, attachment_id)
            answer = await anybody.get(f"/api/v1/chat/attachments/{attachment_id}/download?{link.query()}")
            assert answer.status_code == 404


class TestLinks:
    account, file = uuid4(), uuid4()

    def test_end_after_five_minutes(self) -> None:
        mint = LinkMint("j" * 32)
        link = mint.make(self.account, self.file, now=1_000.9)
        assert (LIFE_S, link.expires) == (300, 1_300)
        mint.check(link, now=1_299.9)
        with pytest.raises(PermissionDeniedError):
            mint.check(link, now=1_300)

    def test_another_secret_makes_other_links(self) -> None:
        link = LinkMint("j" * 32).make(self.account, self.file)
        with pytest.raises(PermissionDeniedError):
            LinkMint("k" * 32).check(link)

    def test_no_signature_opens(self) -> None:
        for signature in ("", "0" * 64, "ä" * 64):
            with pytest.raises(PermissionDeniedError):
                LinkMint("j" * 32).check(Link(self.account, self.file, 1 << 40, signature))
