"""`powernode trace` on a running system, as an engineer would use it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from stack.embedded import StackUrls
from tests.conftest import DatabaseUrls
from tests.stack.people import place, powernode
from tests.tenants import Wish

pytestmark = pytest.mark.usefixtures("redis")


class TestTrace:
    async def test_tells_every_step_and_names_every_workflow(
        self, stack_urls: StackUrls, database_urls: DatabaseUrls, redis_url: str, tmp_path: Path
    ) -> None:
        wish = Wish(tools=("calculate",))
        async with place(stack_urls, database_urls, redis_url, tmp_path, "telegram", wish) as here:
            simulator = here.system.simulator
            await simulator.fault("rate_limited", platform="telegram", method="sendMessage", times=1, retry_after_s=1)
            await here.talk.say("alice", '/tool calculate {"expression": "6*7"}')
            await here.talk.until("SELECT status FROM message_deliveries", "sent")
            await here.talk.until("SELECT count(*) FROM outbox", 0)
            [row] = await here.talk.rows(
                "SELECT i.trace_id, i.session_id, i.id AS asked, o.id AS answered FROM chat_messages i"
                " JOIN chat_messages o ON o.direction = 'outbound' WHERE i.direction = 'inbound'"
            )
            status, out, err = await here.powernode("trace", row.trace_id, "--json")
            assert status == 0, err
            told = json.loads(out)
            assert told["trace"]["trace_id"] == row.trace_id
            root = "http://temporal.example.org/namespaces/default/workflows/"
            ids = [f"session:{row.session_id}", f"response:{row.asked}", f"delivery:{row.answered}"]
            assert told["links"] == [root + one for one in ids]

            status, out, err = await here.powernode("trace", row.trace_id)
            assert status == 0, err
            story = [re.split(r"\s{2,}", line.strip()) for line in out.splitlines()]
            words = [[word for word in line if not word.isdigit()][:2] for line in story[2:]]
            steps = [["step 1", "model"], ["step 2", "tool"], ["step 3", "model"]]
            turn = [["turn", "completed"], *steps, ["turn ended", "completed"]]
            question = [["webhook", "recorded"], ["item", "recorded"], ["message", "delivered"]]
            assert words[:11] == [*question, *turn, ["reply", "sent"], ["part 1", "sent"], ["sent"]]
            assert "2 attempts, the platform's id" in out
            assert all(root + one in out for one in ids)

            status, out, err = await here.powernode("trace", "0" * 32)
            assert (status, out) == (1, "")
            assert err == f"nothing is known under the trace id '{'0' * 32}'\n"

    async def test_shows_what_was_set_aside(
        self, stack_urls: StackUrls, database_urls: DatabaseUrls, redis_url: str, tmp_path: Path
    ) -> None:
        async with place(stack_urls, database_urls, redis_url, tmp_path, "telegram") as here:
            secret = {"X-Telegram-Bot-Api-Secret-Token": here.talk.credentials["webhook_secret"]}
            answer = await here.system.http.post(here.talk.webhook_url, content=b"not json", headers=secret)
            status, out, _ = await here.powernode("trace", answer.headers["X-Trace-Id"])
            assert status == 0
            assert "quarantined" in out

    async def test_says_what_to_do_when_nothing_runs(self, tmp_path: Path) -> None:
        status, _, err = await powernode(tmp_path, "trace", "x")
        assert status == 3
        assert "make up" in err
