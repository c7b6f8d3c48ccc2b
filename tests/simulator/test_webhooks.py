"""Webhooks: signatures, order, redelivery and what stops it, received on a real socket."""

from __future__ import annotations

import base64
import json
from urllib.parse import parse_qs

import httpx2
import pytest
from slack_sdk.signature import SignatureVerifier

from simulator.client import SimulatorClient
from simulator.schedule import Schedule
from tests.simulator.support import HOLD, Bot, Hook, failure, running_hook


class TestSlackSignature:
    async def test_the_official_verifier_accepts(self, slack: Bot) -> None:
        await slack.sim.say(slack.name, "alice", "héllo <&> 😀", wait=True)
        request = slack.hook.requests[0]
        assert SignatureVerifier(slack.secret).is_valid_request(request.body, request.headers)
        assert not SignatureVerifier("other").is_valid_request(request.body, request.headers)
        assert request.json["event"]["text"] == "héllo &lt;&amp;&gt; 😀"

    async def test_a_form_is_signed_as_it_is_sent(self, slack: Bot) -> None:
        await slack.sim.say(slack.name, "alice", "/ask why & how", kind="command", wait=True)
        request = slack.hook.requests[0]
        assert SignatureVerifier(slack.secret).is_valid_request(request.body, request.headers)
        form = parse_qs(request.body.decode())
        assert (form["command"], form["text"]) == (["/ask"], ["why & how"])
        answered = await slack.http.post(form["response_url"][0], json={"text": "because"})
        assert answered.text == "ok"
        assert [entry["text"] for entry in await slack.sim.received(slack.name)] == ["because"]

    async def test_a_name_with_spaces_is_no_hindrance(self, slack: Bot) -> None:
        slack.name = f"Demo of {slack.name}"
        await slack.register(echo_own=False)
        await slack.sim.say(slack.name, "alice", "/ask", kind="command", wait=True)
        form = parse_qs(slack.hook.requests[0].body.decode())
        assert (await slack.http.post(form["response_url"][0], json={"text": "because"})).text == "ok"

    async def test_sign_only_hands_the_request_out(self, slack: Bot) -> None:
        signed = await slack.sim.say(slack.name, "alice", "hello", mode="sign_only")
        body = base64.b64decode(signed["body"])
        assert SignatureVerifier(slack.secret).is_valid_request(body, signed["headers"])
        assert signed["url"] == slack.hook.url
        assert slack.hook.requests == []

    async def test_handshake(self, slack: Bot, hook: Hook) -> None:
        credentials = {"bot_token": slack.token, "signing_secret": slack.secret}
        wanted = {"platform": "slack", "name": slack.name, "webhook_url": hook.url, "credentials": credentials}
        found = await slack.sim.post("channels", wanted | {"verify": True})
        assert found["verification"] == {"ok": False, "status": 200}
        request = hook.requests[-1]
        assert request.json["type"] == "url_verification"
        assert SignatureVerifier(slack.secret).is_valid_request(request.body, request.headers)

    async def test_any_bytes_can_be_signed(self, slack: Bot) -> None:
        body = b'{"nul":"\x00","half":"\\ud800"'
        await slack.sim.post(
            "deliver", {"channel": slack.name, "body_base64": base64.b64encode(body).decode(), "wait": True}
        )
        request = slack.hook.requests[0]
        assert request.body == body
        assert SignatureVerifier(slack.secret).is_valid_request(request.body, request.headers)


class TestSlackRetries:
    async def test_three_more_tries_signed_anew_with_number_and_reason(self, slack: Bot) -> None:
        slack.hook.usual = failure(503)
        said = await slack.sim.say(slack.name, "alice", "hello")
        attempts = await slack.sim.deliveries(slack.name, at_least=4, timeout_s=30)
        requests = await slack.hook.wait(4)
        assert [(attempt["number"], attempt["status"], attempt["outcome"]) for attempt in attempts] == [
            (0, 503, "retrying"),
            (1, 503, "retrying"),
            (2, 503, "retrying"),
            (3, 503, "dropped"),
        ]
        assert [request.headers.get("x-slack-retry-num") for request in requests] == [None, "1", "2", "3"]
        assert [request.headers.get("x-slack-retry-reason") for request in requests[1:]] == ["http_error"] * 3
        verifier = SignatureVerifier(slack.secret)
        assert all(verifier.is_valid_request(request.body, request.headers) for request in requests)
        assert {request.json["event_id"] for request in requests} == set(said["event_ids"])

    async def test_late_acknowledgement_counts_as_none(self, slack: Bot) -> None:
        await slack.register(time_factor=6000, ack_timeout_s=0.2)
        slack.hook.answers.append(HOLD)
        await slack.sim.say(slack.name, "alice", "hello")
        requests = await slack.hook.wait(2)
        assert requests[1].headers["x-slack-retry-reason"] == "http_timeout"

    async def test_no_connection_is_a_reason(self, slack: Bot) -> None:
        async with running_hook() as gone:
            await slack.sim.register(
                "slack", slack.name, gone.url, {"bot_token": slack.token, "signing_secret": "s"}, time_factor=6000
            )
        await slack.sim.say(slack.name, "alice", "hello")
        await slack.sim.deliveries(slack.name, at_least=2, timeout_s=30)
        await slack.register(time_factor=6000)
        assert (await slack.hook.wait(1))[0].headers["x-slack-retry-reason"] == "connection_failed"

    async def test_no_retry_header_stops(self, slack: Bot) -> None:
        slack.hook.usual = failure(X_Slack_No_Retry="1")
        await slack.sim.say(slack.name, "alice", "hello", wait=True)
        attempts = await slack.sim.deliveries(slack.name)
        assert [attempt["outcome"] for attempt in attempts] == ["dropped"]
        assert (await slack.sim.get("pending", channel=slack.name))["pending"] == []

    async def test_persistent_goes_on_until_2xx(self, slack: Bot) -> None:
        await slack.register(time_factor=60_000, persistent=True)
        slack.hook.answers.extend([failure()] * 8)
        await slack.sim.say(slack.name, "alice", "hello")
        attempts = await slack.sim.deliveries(slack.name, outcome="acked", timeout_s=30)
        assert [attempt["number"] for attempt in attempts] == [8]

    async def test_commands_are_not_repeated(self, slack: Bot) -> None:
        slack.hook.usual = failure()
        await slack.sim.say(slack.name, "alice", "/ask", kind="command", wait=True)
        assert [attempt["outcome"] for attempt in await slack.sim.deliveries(slack.name)] == ["dropped"]


class TestSlackEvents:
    async def test_a_mention_makes_two_events_for_one_message(self, slack: Bot) -> None:
        said = await slack.sim.say(slack.name, "alice", "help", chat="#help", mention=True, wait=True)
        events = [request.json for request in slack.hook.requests]
        assert sorted(event["event"]["type"] for event in events) == ["app_mention", "message"]
        assert {event["event"]["ts"] for event in events} == {said["message_id"]}
        assert len({event["event_id"] for event in events}) == 2

    async def test_direct_messages_make_no_app_mention(self, slack: Bot) -> None:
        said = await slack.sim.say(slack.name, "alice", "help", mention=True)
        assert said["kinds"] == ["message"]

    async def test_edits_and_deletions(self, slack: Bot) -> None:
        said = await slack.sim.say(slack.name, "alice", "one", wait=True)
        await slack.sim.say(slack.name, "alice", "two", kind="edit", target=said["message_id"], wait=True)
        await slack.sim.say(slack.name, "alice", kind="delete", target=said["message_id"], wait=True)
        changed, deleted = (request.json["event"] for request in slack.hook.requests[1:])
        assert (changed["subtype"], changed["message"]["text"]) == ("message_changed", "two")
        assert changed["previous_message"]["text"] == "one"
        assert changed["message"]["edited"]["user"] == said["user_id"]
        assert (deleted["subtype"], deleted["deleted_ts"]) == ("message_deleted", said["message_id"])

    async def test_a_deleted_root_with_replies_becomes_a_tombstone(self, slack: Bot) -> None:
        root = await slack.sim.say(slack.name, "alice", "root", chat="#help", wait=True)
        await slack.sim.say(slack.name, "bob", "reply", chat="#help", thread=root["message_id"], wait=True)
        await slack.sim.say(slack.name, "alice", kind="delete", chat="#help", target=root["message_id"], wait=True)
        event = slack.hook.requests[-1].json["event"]
        assert (event["subtype"], event["message"]["subtype"]) == ("message_changed", "tombstone")

    async def test_own_posts_come_back(self, slack: Bot) -> None:
        await slack.register()
        chat = await slack.chat_with("alice")
        posted = await slack.call("chat.postMessage", channel=chat, text="mine")
        event = (await slack.hook.wait(1))[0].json["event"]
        us = await slack.call("auth.test")
        assert (event["ts"], event["bot_id"], event["user"]) == (posted["ts"], us["bot_id"], us["user_id"])

    async def test_other_bots_are_marked(self, slack: Bot) -> None:
        await slack.sim.say(slack.name, "robot", "beep", bot=True, wait=True)
        await slack.sim.say(slack.name, "robot", "beep", kind="bot_message", wait=True)
        new, old = (request.json["event"] for request in slack.hook.requests)
        assert new["bot_id"]
        assert (old["subtype"], old["username"], "user" in old) == ("bot_message", "robot", False)

    async def test_threads_and_kinds_of_conversation(self, slack: Bot) -> None:
        root = await slack.sim.say(slack.name, "alice", "root", chat="#help", wait=True)
        await slack.sim.say(slack.name, "bob", "reply", chat="#help", thread=root["message_id"], wait=True)
        await slack.sim.say(slack.name, "bob", "all", chat="us", chat_kind="mpim", wait=True)
        reply, group = (request.json["event"] for request in slack.hook.requests[1:])
        assert (reply["thread_ts"], reply["parent_user_id"]) == (root["message_id"], root["user_id"])
        assert (reply["channel_type"], group["channel_type"]) == ("channel", "mpim")

    async def test_pressed_buttons_are_forms(self, slack: Bot) -> None:
        chat = await slack.chat_with("alice")
        ts = (await slack.call("chat.postMessage", channel=chat, text="?"))["ts"]
        action = {"action_id": "yes", "value": "1"}
        await slack.sim.say(slack.name, "alice", kind="press", target=ts, payload=action, wait=True)
        payload = json.loads(parse_qs(slack.hook.requests[0].body.decode())["payload"][0])
        assert (payload["type"], payload["actions"][0]["action_id"], payload["message"]["ts"]) == (
            "block_actions",
            "yes",
            ts,
        )


class TestTelegram:
    async def test_repeats_the_secret_and_describes_the_message(self, telegram: Bot) -> None:
        said = await telegram.sim.say(telegram.name, "alice", "/start 😀 @someone", wait=True)
        request = telegram.hook.requests[0]
        assert request.headers["x-telegram-bot-api-secret-token"] == telegram.secret
        message = request.json["message"]
        assert str(request.json["update_id"]) == said["event_ids"][0]
        assert (message["chat"]["type"], str(message["from"]["id"])) == ("private", said["user_id"])
        assert [(entity["type"], entity["offset"], entity["length"]) for entity in message["entities"]] == [
            ("bot_command", 0, 6),
            ("mention", 10, 8),
        ]

    async def test_a_failing_update_holds_back_its_chat_only(self, telegram: Bot) -> None:
        telegram.hook.answers.append(failure())
        telegram.hook.answers.append(HOLD)
        await telegram.sim.say(telegram.name, "alice", "first")
        await telegram.hook.wait(2)
        await telegram.sim.say(telegram.name, "alice", "second")
        await telegram.sim.say(telegram.name, "bob", "other", wait=True)
        texts = [request.json["message"]["text"] for request in telegram.hook.requests]
        assert texts == ["first", "first", "other"]
        telegram.hook.gate.set()
        texts = [request.json["message"]["text"] for request in await telegram.hook.wait(4)]
        assert texts == ["first", "first", "other", "second"]

    async def test_edits_wait_for_the_message(self, telegram: Bot) -> None:
        telegram.hook.answers.extend([failure()] * 3)
        said = await telegram.sim.say(telegram.name, "alice", "one")
        await telegram.sim.say(telegram.name, "alice", "two", kind="edit", target=said["message_id"])
        bodies = [request.json for request in await telegram.hook.wait(5)]
        assert ["edited_message" in body for body in bodies] == [False] * 4 + [True]
        assert bodies[4]["edited_message"]["text"] == "two"

    async def test_topics_replies_and_groups(self, telegram: Bot) -> None:
        first = await telegram.sim.say(telegram.name, "alice", "one", chat="team", thread="7", wait=True)
        await telegram.sim.say(
            telegram.name, "bob", "two", chat="team", thread="7", reply_to=first["message_id"], wait=True
        )
        message = telegram.hook.requests[1].json["message"]
        assert (message["chat"]["type"], message["chat"]["is_forum"]) == ("supergroup", True)
        assert (message["message_thread_id"], message["is_topic_message"]) == (7, True)
        assert message["reply_to_message"]["text"] == "one"

    async def test_privacy_mode_shows_only_what_speaks_to_the_bot(self, telegram: Bot) -> None:
        await telegram.register(privacy_mode=True)
        quiet = await telegram.sim.say(telegram.name, "alice", "hello all", chat="team")
        loud = await telegram.sim.say(telegram.name, "alice", "hello", chat="team", mention=True)
        assert (len(quiet["event_ids"]), len(loud["event_ids"])) == (0, 1)

    async def test_unknown_kinds_can_be_sent(self, telegram: Bot) -> None:
        await telegram.sim.say(telegram.name, "alice", kind="raw", payload={"brand_new": {"x": 1}}, wait=True)
        assert telegram.hook.requests[0].json["brand_new"] == {"x": 1}

    async def test_copies_come_at_once_with_one_id(self, telegram: Bot) -> None:
        said = await telegram.sim.say(telegram.name, "alice", "hello", copies=20, wait=True)
        assert said["statuses"] == [200] * 20
        assert {str(request.json["update_id"]) for request in telegram.hook.requests} == set(said["event_ids"])

    async def test_webhook_info_tells_the_last_error(self, telegram: Bot) -> None:
        telegram.hook.usual = failure()
        await telegram.sim.say(telegram.name, "alice", "hello", wait=True)
        info = (await telegram.call("getWebhookInfo"))["result"]
        assert (info["last_error_message"], info["pending_update_count"]) == ("Wrong response from the webhook: 500", 1)
        await telegram.sim.reset(telegram.name)

    async def test_event_ids_can_be_chosen(self, telegram: Bot) -> None:
        said = await telegram.sim.say(telegram.name, "alice", "hello", event_id="4242", at=1_700_000_000, wait=True)
        update = telegram.hook.requests[0].json
        assert (said["event_ids"], update["update_id"], update["message"]["date"]) == (["4242"], 4242, 1_700_000_000)


class TestSchedule:
    def test_slack_gives_up_after_three_retries(self) -> None:
        schedule = Schedule("slack", persistent=False, lifetime_s=None)
        assert [schedule.next_wait(0) for _ in range(4)] == [0, 60, 300, None]

    def test_slack_persistent_goes_on(self) -> None:
        schedule = Schedule("slack", persistent=True, lifetime_s=None)
        assert [schedule.next_wait(0) for _ in range(5)] == [0, 60, 300, 60, 60]

    def test_telegram_doubles_up_to_a_minute_or_two(self) -> None:
        schedule = Schedule("telegram", persistent=False, lifetime_s=86_400)
        waits = [schedule.next_wait(0) for _ in range(12)]
        assert waits[:7] == [0, 2, 4, 8, 16, 32, pytest.approx(62, abs=2)]
        assert all(wait is not None and 60 <= wait <= 120 for wait in waits[7:])

    def test_telegram_takes_our_wait_up_to_an_hour(self) -> None:
        schedule = Schedule("telegram", persistent=False, lifetime_s=86_400)
        assert [schedule.next_wait(30), schedule.next_wait(9_999), schedule.next_wait(0)] == [30, 3600, 2]

    def test_telegram_drops_when_the_life_is_over(self) -> None:
        schedule = Schedule("telegram", persistent=False, lifetime_s=150)
        assert [schedule.next_wait(100), schedule.next_wait(100)] == [100, None]


class TestRetryAfter:
    async def test_is_honoured_by_telegram(self, telegram: Bot, sim: SimulatorClient, http: httpx2.AsyncClient) -> None:
        await telegram.register(time_factor=1)
        telegram.hook.answers.append(failure(503, Retry_After="3600"))
        await sim.say(telegram.name, "alice", "hello", wait=True)
        pending = (await sim.get("pending", channel=telegram.name))["pending"]
        assert [delivery["event_id"] for delivery in pending] == [
            str(request.json["update_id"]) for request in telegram.hook.requests
        ]
        await sim.reset(telegram.name)
        assert (await sim.get("pending", channel=telegram.name))["pending"] == []
