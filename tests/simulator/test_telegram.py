"""The Bot API: answers, limits and refusals, over a real socket."""

from __future__ import annotations

import orjson
import pytest

from simulator.client import SimulatorClient
from simulator.telegram_html import MarkupError, parse_html
from simulator.telegram_markdown import parse_markdown
from tests.simulator.support import Bot


def refused(code: int, description: str) -> dict[str, object]:
    return {"ok": False, "error_code": code, "description": description}


class TestGetMe:
    async def test_tells_who_the_bot_is(self, telegram: Bot) -> None:
        me = (await telegram.call("getMe"))["result"]
        assert me["id"] == int(telegram.token.partition(":")[0])
        assert me["is_bot"] is True
        assert me["username"].endswith("_bot")

    async def test_refuses_an_unknown_token(self, telegram: Bot) -> None:
        telegram.token = "77:unknown"
        answer = await telegram.raw("getMe")
        assert answer.status_code == 401
        assert answer.json() == refused(401, "Unauthorized")

    async def test_refuses_an_unknown_method(self, telegram: Bot) -> None:
        assert await telegram.call("flyToTheMoon") == refused(404, "Not Found: method not found")


class TestSetWebhook:
    async def test_registers_a_new_token(self, telegram: Bot, sim: SimulatorClient) -> None:
        telegram.token = f"1{telegram.token}"
        wanted = {"url": telegram.hook.url, "secret_token": "S", "allowed_updates": ["message"], "max_connections": 7}
        assert await telegram.call("setWebhook", **wanted) == {
            "ok": True,
            "result": True,
            "description": "Webhook was set",
        }
        info = (await telegram.call("getWebhookInfo"))["result"]
        assert (info["url"], info["max_connections"], info["allowed_updates"]) == (telegram.hook.url, 7, ["message"])
        name = f"telegram-{telegram.token.partition(':')[0]}"
        await sim.say(name, "alice", "hello", wait=True)
        assert telegram.hook.requests[-1].headers["x-telegram-bot-api-secret-token"] == "S"

    async def test_says_when_nothing_changes(self, telegram: Bot) -> None:
        answers = [await telegram.call("setWebhook", url=telegram.hook.url, secret_token="S") for _ in range(2)]
        assert answers[1]["description"] == "Webhook is already set"

    async def test_refuses_a_secret_with_other_characters(self, telegram: Bot) -> None:
        answer = await telegram.call("setWebhook", url=telegram.hook.url, secret_token="a b")
        assert answer == refused(400, "Bad Request: secret token contains unallowed characters")

    async def test_keeps_the_allowed_updates_when_left_out(self, telegram: Bot) -> None:
        await telegram.call("setWebhook", url=telegram.hook.url, allowed_updates=["callback_query"])
        await telegram.call("setWebhook", url=telegram.hook.url, secret_token="other")
        assert (await telegram.sim.say(telegram.name, "alice", "hello"))["event_ids"] == []

    async def test_delete_stops_the_webhook(self, telegram: Bot) -> None:
        assert (await telegram.call("deleteWebhook"))["description"] == "Webhook was deleted"
        assert (await telegram.call("getWebhookInfo"))["result"]["url"] == ""

    async def test_polling_is_refused_while_it_is_set(self, telegram: Bot) -> None:
        assert (await telegram.call("getUpdates"))["error_code"] == 409


class TestSendMessage:
    async def test_stores_what_is_seen(self, telegram: Bot) -> None:
        chat = await telegram.chat_with("alice")
        text = 'Hi <b>you &amp; <i>me</i></b> <a href="https://x.test/?a=1&amp;b=2">here</a>'
        result = (await telegram.call("sendMessage", chat_id=int(chat), text=text, parse_mode="HTML"))["result"]
        assert result["text"] == "Hi you & me here"
        assert result["entities"] == [
            {"type": "bold", "offset": 3, "length": 8},
            {"type": "italic", "offset": 9, "length": 2},
            {"type": "text_link", "offset": 12, "length": 4, "url": "https://x.test/?a=1&b=2"},
        ]
        received = await telegram.sim.received(telegram.name)
        assert [(entry["text"], entry["message_id"]) for entry in received] == [
            ("Hi you & me here", str(result["message_id"]))
        ]

    async def test_takes_a_form(self, telegram: Bot) -> None:
        chat = await telegram.chat_with("alice")
        url = f"{telegram.sim.origin}/bot{telegram.token}/sendmessage"
        answer = await telegram.http.post(url, data={"chat_id": chat, "text": "by form"})
        assert answer.json()["result"]["text"] == "by form"

    @pytest.mark.parametrize("text", ["", "  \n", "<b></b>"])
    async def test_refuses_an_empty_text(self, telegram: Bot, text: str) -> None:
        chat = await telegram.chat_with("alice")
        answer = await telegram.call("sendMessage", chat_id=chat, text=text, parse_mode="HTML")
        assert answer == refused(400, "Bad Request: message text is empty")

    async def test_counts_the_limit_after_parsing_in_utf16(self, telegram: Bot) -> None:
        chat = await telegram.chat_with("alice")
        fits = f"<b>{'x' * 4094}😀</b>"
        assert (await telegram.call("sendMessage", chat_id=chat, text=fits, parse_mode="HTML"))["ok"] is True
        answer = await telegram.call("sendMessage", chat_id=chat, text="x" * 4095 + "😀")
        assert answer == refused(400, "Bad Request: message is too long")

    async def test_refuses_an_unknown_chat(self, telegram: Bot) -> None:
        assert await telegram.call("sendMessage", chat_id=1, text="x") == refused(400, "Bad Request: chat not found")

    async def test_refuses_when_blocked(self, telegram: Bot) -> None:
        chat = await telegram.chat_with("alice")
        await telegram.sim.post("people", {"channel": telegram.name, "name": "alice", "blocked": True})
        answer = await telegram.raw("sendMessage", chat_id=chat, text="x")
        assert answer.status_code == 403
        assert answer.json() == refused(403, "Forbidden: bot was blocked by the user")

    async def test_replies_where_there_is_something_to_reply_to(self, telegram: Bot) -> None:
        said = await telegram.sim.say(telegram.name, "alice", "question")
        reply = {"message_id": int(said["message_id"])}
        sent = await telegram.call("sendMessage", chat_id=said["chat"], text="answer", reply_parameters=reply)
        assert sent["result"]["reply_to_message"]["text"] == "question"

    async def test_refuses_or_drops_a_missing_reply(self, telegram: Bot) -> None:
        chat = await telegram.chat_with("alice")
        reply = {"message_id": 99}
        answer = await telegram.call("sendMessage", chat_id=chat, text="x", reply_parameters=reply)
        assert answer == refused(400, "Bad Request: message to be replied not found")
        reply["allow_sending_without_reply"] = True
        assert (await telegram.call("sendMessage", chat_id=chat, text="x", reply_parameters=reply))["ok"] is True

    async def test_knows_topics_by_use(self, telegram: Bot) -> None:
        said = await telegram.sim.say(telegram.name, "alice", "hello", chat="team", thread="12")
        sent = await telegram.call("sendMessage", chat_id=said["chat"], text="x", message_thread_id=12)
        assert sent["result"]["message_thread_id"] == 12
        answer = await telegram.call("sendMessage", chat_id=said["chat"], text="x", message_thread_id=13)
        assert answer == refused(400, "Bad Request: message thread not found")

    async def test_refuses_bad_markup(self, telegram: Bot) -> None:
        chat = await telegram.chat_with("alice")
        answer = await telegram.call("sendMessage", chat_id=chat, text="é <x>", parse_mode="HTML")
        words = 'Bad Request: can\'t parse entities: Unsupported start tag "x" at byte offset 3'
        assert answer == refused(400, words)

    async def test_flood_control_names_the_wait(self, telegram: Bot) -> None:
        await telegram.register(flood_control=True)
        chat = await telegram.chat_with("alice")
        answers = [await telegram.raw("sendMessage", chat_id=chat, text="x") for _ in range(6)]
        last = answers[-1].json()
        assert last["error_code"] == answers[-1].status_code == 429
        assert last["description"] == f"Too Many Requests: retry after {last['parameters']['retry_after']}"


class TestSendMessageDraft:
    async def test_is_seen_growing_until_the_message_comes(self, telegram: Bot) -> None:
        chat = await telegram.chat_with("alice")
        for text in ("<b>one", "<b>one</b> two"):
            await telegram.call("sendMessageDraft", chat_id=chat, draft_id=5, text=text, parse_mode="HTML")
        [shown] = (await telegram.sim.phone(telegram.name, "alice"))["chats"]
        assert (shown["draft"], shown["messages"]) == ("one two", [])
        # The first was refused: its markup is open.
        drafts = await telegram.sim.received(telegram.name, kind="draft")
        assert [(entry["text"], entry["message_id"]) for entry in drafts] == [("one two", "draft-5")]
        await telegram.call("sendMessage", chat_id=chat, text="one two three")
        [shown] = (await telegram.sim.phone(telegram.name, "alice"))["chats"]
        assert (shown["draft"], [message["text"] for message in shown["messages"]]) == (None, ["one two three"])

    async def test_refuses_a_group_and_no_number(self, telegram: Bot) -> None:
        made = await telegram.sim.post("chats", {"channel": telegram.name, "name": "crew", "kind": "group"})
        answer = await telegram.call("sendMessageDraft", chat_id=made["chat"], draft_id=5, text="x")
        assert answer == refused(400, "Bad Request: TEXTDRAFT_PEER_INVALID")
        chat = await telegram.chat_with("alice")
        answer = await telegram.call("sendMessageDraft", chat_id=chat, draft_id=0, text="x")
        assert answer["error_code"] == 400


class TestEditMessageText:
    async def test_shows_the_new_text(self, telegram: Bot) -> None:
        chat = await telegram.chat_with("alice")
        sent = (await telegram.call("sendMessage", chat_id=chat, text="one"))["result"]
        edited = await telegram.call("editMessageText", chat_id=chat, message_id=sent["message_id"], text="two")
        assert edited["result"]["text"] == "two"
        shown = (await telegram.sim.phone(telegram.name, "alice"))["chats"][0]["messages"]
        assert [(message["text"], message["edited"]) for message in shown] == [("two", True)]

    async def test_refuses_the_same_text(self, telegram: Bot) -> None:
        chat = await telegram.chat_with("alice")
        sent = (await telegram.call("sendMessage", chat_id=chat, text="one"))["result"]
        answer = await telegram.call("editMessageText", chat_id=chat, message_id=sent["message_id"], text="one")
        assert answer["description"].startswith("Bad Request: message is not modified")

    async def test_refuses_what_is_not_its_own(self, telegram: Bot) -> None:
        said = await telegram.sim.say(telegram.name, "alice", "mine")
        answer = await telegram.call("editMessageText", chat_id=said["chat"], message_id=1, text="x")
        assert answer == refused(400, "Bad Request: message can't be edited")
        answer = await telegram.call("editMessageText", chat_id=said["chat"], message_id=9, text="x")
        assert answer == refused(400, "Bad Request: message to edit not found")


class TestDeleteMessage:
    async def test_takes_it_off_the_phone(self, telegram: Bot) -> None:
        chat = await telegram.chat_with("alice")
        sent = (await telegram.call("sendMessage", chat_id=chat, text="one"))["result"]
        assert (await telegram.call("deleteMessage", chat_id=chat, message_id=sent["message_id"]))["result"] is True
        assert (await telegram.sim.phone(telegram.name, "alice"))["chats"][0]["messages"] == []
        answer = await telegram.call("deleteMessage", chat_id=chat, message_id=sent["message_id"])
        assert answer == refused(400, "Bad Request: message to delete not found")


class TestAnswerCallbackQuery:
    async def test_answers_a_press_once(self, telegram: Bot) -> None:
        chat = await telegram.chat_with("alice")
        buttons = {"inline_keyboard": [[{"text": "Yes", "callback_data": "yes"}]]}
        sent = (await telegram.call("sendMessage", chat_id=chat, text="?", reply_markup=buttons))["result"]
        target = str(sent["message_id"])
        await telegram.sim.say(telegram.name, "alice", "yes", kind="press", target=target, wait=True)
        press = telegram.hook.requests[-1].json["callback_query"]
        assert (press["data"], press["message"]["message_id"]) == ("yes", sent["message_id"])
        assert (await telegram.call("answerCallbackQuery", callback_query_id=press["id"]))["ok"] is True
        assert (await telegram.call("answerCallbackQuery", callback_query_id=press["id"]))["error_code"] == 400


class TestObey:
    async def test_carries_out_what_a_webhook_was_answered_with(self, telegram: Bot) -> None:
        chat = await telegram.chat_with("alice")
        telegram.hook.answers.append((200, {}, orjson.dumps({"method": "sendMessage", "chat_id": chat, "text": "hi"})))
        await telegram.sim.say(telegram.name, "alice", "hello", wait=True)
        [call] = await telegram.sim.calls(channel=telegram.name, method="sendMessage")
        assert (call["status"], call["accepted"]) == (200, True)
        messages = (await telegram.sim.phone(telegram.name, "alice"))["chats"][0]["messages"]
        assert [message["text"] for message in messages] == ["hello", "hi"]

    async def test_lets_any_other_answer_be(self, telegram: Bot) -> None:
        for answer in (b"", b"ok", b"[]", b'{"ok": true}', b'{"method": 1}'):
            telegram.hook.answers.append((200, {}, answer))
            await telegram.sim.say(telegram.name, "alice", "hello", wait=True)
        assert await telegram.sim.calls(channel=telegram.name, at_least=0) == []


class TestUpgrade:
    async def test_a_group_gets_another_id_and_says_so_twice(self, telegram: Bot) -> None:
        group = await telegram.sim.say(telegram.name, "alice", "/start", chat="Team", chat_kind="group", wait=True)
        moved = await telegram.sim.say(telegram.name, "alice", chat="Team", kind="upgrade", wait=True)
        old, new = int(group["chat"]), int(moved["chat"])
        told = [request.json["message"] for request in telegram.hook.requests[-2:]]
        assert [message["chat"]["id"] for message in told] == [old, new]
        assert (told[0]["migrate_to_chat_id"], told[1]["migrate_from_chat_id"]) == (new, old)
        refusal = await telegram.call("sendMessage", chat_id=old, text="hi")
        assert (refusal["error_code"], refusal["parameters"]) == (400, {"migrate_to_chat_id": new})
        assert (await telegram.call("sendMessage", chat_id=new, text="hi"))["ok"] is True
        later = await telegram.sim.say(telegram.name, "alice", "/start", chat="Team", wait=True)
        assert int(later["chat"]) == new


class TestParseHtml:
    @pytest.mark.parametrize(
        ("source", "words"),
        [
            ("a <b", "Unclosed start tag at byte offset 2"),
            ("1 < 2 > 0", 'Unsupported start tag "" at byte offset 2'),
            ("<b>x", 'Can\'t find end tag corresponding to start tag "b"'),
            ("x</b>", "Unexpected end tag at byte offset 1"),
            ("<b>x</i>", 'Unmatched end tag at byte offset 4, expected "</b>", found "</i>"'),
            ("<span>x</span>", 'Tag "span" must have class "tg-spoiler" at byte offset 0'),
            ("<b x<y>z</b>", 'Unclosed start tag "b" at byte offset 0'),
        ],
    )
    def test_refuses(self, source: str, words: str) -> None:
        with pytest.raises(MarkupError) as caught:
            parse_html(source)
        assert str(caught.value) == words

    def test_decodes_only_the_named_entities(self) -> None:
        assert parse_html("&lt;&#65;&#x42;&nbsp;&copy; &").text == "<AB&nbsp;&copy; &"

    def test_knows_code_languages_and_quotes(self) -> None:
        parsed = parse_html('<pre><code class="language-py">x</code></pre><blockquote expandable>q</blockquote>')
        assert [entity["type"] for entity in parsed.entities] == ["pre", "expandable_blockquote"]
        assert parsed.entities[0]["language"] == "py"


class TestParseMarkdown:
    def test_shows_the_text(self) -> None:
        source = "*bold _both_* `co.de` [a\\.b](https://x.test/1.2) ||no||\n>quote\\!"
        assert parse_markdown(source).text == "bold both co.de a.b no\nquote!"

    @pytest.mark.parametrize(
        ("source", "words"),
        [
            ("a.b", "Character '.' is reserved and must be escaped with the preceding '\\'"),
            ("é *b", "Can't find end of Bold entity at byte offset 3"),
            ("`b", "Can't find end of Code entity at byte offset 0"),
        ],
    )
    def test_refuses(self, source: str, words: str) -> None:
        with pytest.raises(MarkupError) as caught:
            parse_markdown(source)
        assert str(caught.value) == words
