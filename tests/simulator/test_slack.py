"""The Web API: answers, limits, refusals and reading back, over a real socket."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from slack_sdk import WebClient

from tests.simulator.support import Bot

METADATA = {"event_type": "sent_part", "event_payload": {"part": "p1"}}


def error(code: str) -> dict[str, Any]:
    return {"ok": False, "error": code}


class TestAuthentication:
    async def test_auth_test_names_the_bot(self, slack: Bot) -> None:
        answer = await slack.call("auth.test")
        assert answer["ok"] is True
        assert answer["user_id"].startswith("U")
        assert answer["bot_id"].startswith("B")

    async def test_refusals_come_with_http_200(self, slack: Bot) -> None:
        slack.token = "xoxb-unknown"
        answer = await slack.raw("auth.test")
        assert (answer.status_code, answer.json()) == (200, error("invalid_auth"))

    async def test_no_token_at_all(self, slack: Bot) -> None:
        assert (await slack.http.post(f"{slack.sim.origin}/slack/api/auth.test")).json() == error("not_authed")

    async def test_an_unknown_method(self, slack: Bot) -> None:
        assert await slack.call("chat.fly") == error("unknown_method")

    async def test_the_official_client_gets_along(self, slack: Bot) -> None:
        chat = await slack.chat_with("alice")
        client: Any = WebClient(token=slack.token, base_url=f"{slack.sim.origin}/slack/api/")
        posted = await asyncio.to_thread(client.chat_postMessage, channel=chat, text="hello", metadata=METADATA)
        assert posted["message"]["text"] == "hello"
        read = await asyncio.to_thread(client.conversations_history, channel=chat, include_all_metadata=True)
        assert read["messages"][0]["metadata"] == METADATA


class TestPostMessage:
    async def test_is_seen_without_escapes(self, slack: Bot) -> None:
        chat = await slack.chat_with("alice")
        posted = await slack.call("chat.postMessage", channel=chat, text="a &lt; b <https://x.test|site>")
        assert posted["channel"] == chat
        shown = (await slack.sim.phone(slack.name, "alice"))["chats"][0]["messages"]
        assert [(message["id"], message["text"]) for message in shown] == [(posted["ts"], "a < b site")]

    async def test_time_stamps_are_unique_and_rise(self, slack: Bot) -> None:
        chat = await slack.chat_with("alice")
        stamps = [(await slack.call("chat.postMessage", channel=chat, text="x"))["ts"] for _ in range(5)]
        assert stamps == sorted(set(stamps))
        assert all(len(stamp.partition(".")[2]) == 6 for stamp in stamps)

    @pytest.mark.parametrize(
        ("args", "code"),
        [
            ({"text": " "}, "no_text"),
            ({"text": "x" * 100_001}, "msg_too_long"),
            ({"text": "x", "thread_ts": "1.000001"}, "thread_not_found"),
            ({"text": "x", "channel": "C0123456789"}, "channel_not_found"),
            ({"markdown_text": "x" * 12_001}, "msg_too_long"),
            ({"markdown_text": "x", "text": "x"}, "markdown_text_conflict"),
            ({"blocks": [{"type": "divider"}] * 51}, "invalid_blocks"),
            ({"blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}]}, "invalid_blocks"),
            ({"blocks": [{"type": "section", "text": {"text": "x" * 2900}}] * 5}, "msg_blocks_too_long"),
            ({"blocks": [{"text": "x"}]}, "invalid_blocks"),
            ({"text": "x", "metadata": "{"}, "invalid_metadata_format"),
            ({"text": "x", "metadata": {"event_type": "x"}}, "invalid_metadata_schema"),
        ],
    )
    async def test_refuses(self, slack: Bot, args: dict[str, Any], code: str) -> None:
        chat = await slack.chat_with("alice")
        answer = await slack.call("chat.postMessage", **({"channel": chat} | args))
        assert answer["error"] == code
        assert await slack.sim.received(slack.name) == []

    async def test_cuts_off_over_40000_and_says_so(self, slack: Bot) -> None:
        chat = await slack.chat_with("alice")
        answer = await slack.call("chat.postMessage", channel=chat, text="x" * 40_001)
        assert len(answer["message"]["text"]) == 40_000
        assert [entry["truncated"] for entry in await slack.sim.received(slack.name)] == [True]

    async def test_refuses_where_the_bot_is_no_member(self, slack: Bot) -> None:
        made = await slack.sim.post("chats", {"channel": slack.name, "name": "#secret", "bot_member": False})
        answer = await slack.call("chat.postMessage", channel=made["chat"], text="x")
        assert answer == error("not_in_channel")

    async def test_flood_control_names_the_wait(self, slack: Bot) -> None:
        await slack.register(flood_control=True)
        chat = await slack.chat_with("alice")
        answers = [await slack.raw("chat.postMessage", channel=chat, text="x") for _ in range(5)]
        assert (answers[-1].status_code, answers[-1].json()) == (429, error("ratelimited"))
        assert int(answers[-1].headers["retry-after"]) >= 1


class TestChange:
    async def test_update_and_delete_reach_the_phone(self, slack: Bot) -> None:
        chat = await slack.chat_with("alice")
        ts = (await slack.call("chat.postMessage", channel=chat, text="one"))["ts"]
        assert (await slack.call("chat.update", channel=chat, ts=ts, text="two"))["text"] == "two"
        shown = (await slack.sim.phone(slack.name, "alice"))["chats"][0]["messages"]
        assert [(message["text"], message["edited"], message["history"]) for message in shown] == [
            ("two", True, ["one"])
        ]
        assert (await slack.call("chat.delete", channel=chat, ts=ts))["ok"] is True
        assert (await slack.sim.phone(slack.name, "alice"))["chats"][0]["messages"] == []
        kinds = [entry["kind"] for entry in await slack.sim.received(slack.name, kind="all")]
        assert kinds == ["send", "edit", "delete"]

    async def test_refuses_what_is_not_its_own(self, slack: Bot) -> None:
        said = await slack.sim.say(slack.name, "alice", "mine")
        args = {"channel": said["chat"], "ts": said["message_id"], "text": "x"}
        assert await slack.call("chat.update", **args) == error("cant_update_message")
        assert await slack.call("chat.delete", **args) == error("cant_delete_message")
        assert await slack.call("chat.update", **(args | {"ts": "1.000001"})) == error("message_not_found")

    async def test_edits_have_a_limit_of_their_own(self, slack: Bot) -> None:
        chat = await slack.chat_with("alice")
        ts = (await slack.call("chat.postMessage", channel=chat, text="one"))["ts"]
        await slack.register(flood_control=True)
        edits = [await slack.raw("chat.update", channel=chat, ts=ts, text=f"{number}") for number in range(14)]
        assert edits[0].status_code == 200
        assert (edits[-1].status_code, edits[-1].json()) == (429, error("ratelimited"))
        assert (await slack.raw("chat.postMessage", channel=chat, text="x")).status_code == 200

    async def test_an_edit_is_at_most_4000_bytes(self, slack: Bot) -> None:
        chat = await slack.chat_with("alice")
        ts = (await slack.call("chat.postMessage", channel=chat, text="one"))["ts"]
        assert await slack.call("chat.update", channel=chat, ts=ts, text="é" * 2001) == error("msg_too_long")

    async def test_reactions_are_added_once(self, slack: Bot) -> None:
        said = await slack.sim.say(slack.name, "alice", "mine")
        args = {"channel": said["chat"], "timestamp": said["message_id"], "name": "eyes"}
        assert (await slack.call("reactions.add", **args))["ok"] is True
        assert await slack.call("reactions.add", **args) == error("already_reacted")


class TestRead:
    async def test_replies_begin_with_the_root_and_give_metadata_on_request(self, slack: Bot) -> None:
        root = await slack.sim.say(slack.name, "alice", "question", chat="#help")
        args = {"channel": root["chat"], "thread_ts": root["message_id"], "metadata": METADATA}
        await slack.call("chat.postMessage", text="answer", **args)
        query = {"channel": root["chat"], "ts": root["message_id"]}
        with_metadata = await slack.call("conversations.replies", include_all_metadata=True, **query)
        assert [message["text"] for message in with_metadata["messages"]] == ["question", "answer"]
        assert with_metadata["messages"][1]["metadata"] == METADATA
        assert with_metadata["messages"][0]["reply_count"] == 1
        without = await slack.call("conversations.replies", **query)
        assert "metadata" not in without["messages"][1]
        history = await slack.call("conversations.history", channel=root["chat"])
        assert [message["text"] for message in history["messages"]] == ["question"]
        assert (await slack.call("conversations.replies", **(query | {"ts": "1.000001"}))) == error("thread_not_found")

    async def test_history_is_newest_first_in_pages(self, slack: Bot) -> None:
        chat = await slack.chat_with("alice")
        stamps = [(await slack.call("chat.postMessage", channel=chat, text=str(i)))["ts"] for i in range(5)]
        first = await slack.call("conversations.history", channel=chat, limit=2)
        assert ([message["text"] for message in first["messages"]], first["has_more"]) == (["4", "3"], True)
        cursor = first["response_metadata"]["next_cursor"]
        rest = await slack.call("conversations.history", channel=chat, limit=9, cursor=cursor)
        assert ([message["text"] for message in rest["messages"]], rest["has_more"]) == (["2", "1", "0"], False)
        between = await slack.call("conversations.history", channel=chat, oldest=stamps[1], latest=stamps[3])
        assert [message["text"] for message in between["messages"]] == ["2"]
        inclusive = await slack.call("conversations.history", channel=chat, oldest=stamps[1], inclusive=True)
        assert [message["text"] for message in inclusive["messages"]] == ["4", "3", "2", "1"]

    async def test_open_and_info(self, slack: Bot) -> None:
        said = await slack.sim.say(slack.name, "alice", "hello")
        opened = await slack.call("conversations.open", users=said["user_id"])
        assert opened["channel"]["id"] == said["chat"]
        assert (await slack.call("users.info", user=said["user_id"]))["user"]["name"] == "alice"
        assert await slack.call("users.info", user="U0000000000") == error("user_not_found")
        by_user = await slack.call("chat.postMessage", channel=said["user_id"], text="x")
        assert by_user["channel"] == said["chat"]
