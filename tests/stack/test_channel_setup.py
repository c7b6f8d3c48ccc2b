"""`powernode channel add` on a running system, as a person or a script would use it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stack.channel_setup import Wish, add
from stack.embedded import StackUrls
from stack.paths import VarDir
from stack.service import StartError
from stack.state import StackState
from tests.conftest import DatabaseUrls
from tests.stack.people import place

pytestmark = pytest.mark.usefixtures("redis")


class TestAdd:
    async def test_by_options_by_asking_and_refused_in_words(
        self, stack_urls: StackUrls, database_urls: DatabaseUrls, redis_url: str, tmp_path: Path
    ) -> None:
        async with place(stack_urls, database_urls, redis_url, tmp_path, "telegram") as here:
            bot = f"bot_token={here.talk.credentials['bot_token']}"
            command = ("channel", "add", "telegram", "--name", "Help desk", "--transport", "polling")
            status, out, err = await here.powernode(*command, "--set", bot, "--json")
            assert status == 0, err
            channel = json.loads(out)["channel"]
            assert (channel["name"], channel["credentials_set"]) == ("Help desk", ["bot_token", "webhook_secret"])
            assert channel["default_agent_id"] == str(here.talk.tenant.agent_id)

            status, _, err = await here.powernode("channel", "add", "telegram", "--name", "Other")
            assert status == 1
            assert "--set bot_token=" in err
            assert "@BotFather" in err

            asked: list[str] = []

            def answer(credential: object) -> str:
                asked.append(str(dict(credential)["name"]))  # pyright: ignore[reportArgumentType, reportCallIssue]
                return "1:wrong"

            state = StackState.read(VarDir.at(tmp_path))
            assert state is not None
            with pytest.raises(StartError, match="@BotFather"):
                await add(state, Wish("telegram", "Third"), answer)
            assert asked == ["bot_token"]
            rows = await here.talk.rows("SELECT name FROM chat_channels WHERE name IN ('Help desk', 'Other', 'Third')")
            assert [row.name for row in rows] == ["Help desk"], "what could not be connected is taken away again"

            status, _, err = await here.powernode("channel", "add", "icq")
            assert status == 1
            assert "telegram" in err
