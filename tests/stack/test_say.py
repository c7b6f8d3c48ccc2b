"""`powernode say` on a running system, as a person would use it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stack.embedded import StackUrls
from tests.conftest import DatabaseUrls
from tests.e2e.sockets import listeners
from tests.files import png
from tests.stack.people import place, powernode

pytestmark = pytest.mark.usefixtures("redis")


class TestSay:
    @pytest.mark.parametrize(("platform", "heard"), [("slack", {"webhook answered"}), ("discord", set[str]())])
    async def test_shows_the_answer_the_receipt_and_where_to_look(
        self,
        stack_urls: StackUrls,
        database_urls: DatabaseUrls,
        redis_url: str,
        tmp_path: Path,
        platform: str,
        heard: set[str],
    ) -> None:
        async with place(stack_urls, database_urls, redis_url, tmp_path, platform) as here:
            if not heard:
                await listeners(here.talk, 1)
            for said in ("hello", "hello again"):
                status, out, err = await here.powernode("say", "--platform", platform, "--json", said)
                assert status == 0, err
                story = json.loads(out)
                assert said in story["answer"]
                assert story["receipt"]["delivery_status"] == "sent"
                assert story["trace_id"]
                assert story["link"].endswith(f"/workflows/session:{story['session_id']}")
                hops = set(story["hops"]) - {"first words"}
                assert hops == {"answer recorded", "platform: sent"} | heard

    async def test_sends_a_file(
        self, stack_urls: StackUrls, database_urls: DatabaseUrls, redis_url: str, tmp_path: Path
    ) -> None:
        picture = tmp_path / "photo.png"
        picture.write_bytes(png(640, 480))
        async with place(stack_urls, database_urls, redis_url, tmp_path, "slack") as here:
            status, out, err = await here.powernode("say", "--json", "--file", str(picture))
            assert status == 0, err
            assert "image/png" in json.loads(out)["answer"]
            status, _, err = await here.powernode("say", "--file", str(tmp_path / "none"), "hello")
            assert (status, "cannot be read" in err) == (1, True)

    async def test_says_what_to_do_when_nothing_runs(self, tmp_path: Path) -> None:
        status, _, err = await powernode(tmp_path, "say", "hello")
        assert status == 3
        assert "make up" in err
