"""The very requests of every outbound kind, one transcript each, and what becomes of uploads and of the fence around them."""

from __future__ import annotations

import json
from email import message_from_bytes
from typing import Any

import httpx2
import pytest

from adapters.base import Accepted, ChannelContext, ErrorClass, Refused, RenderedPart, SendResult, Unknown
from adapters.registry import Platforms
from domain.message import ReplyAddress
from domain.outbound import Button, Buttons, Location, Payload, Reaction
from tests.adapters.support import Drop, FakeServer, Received, Reply
from tests.contract.cases import CASES
from tests.contract.outbound import BYTES, LINK, PLACE, SIZES, TEMPLATE, YES_NO, a_file, part, request_for

ADDRESS = ReplyAddress("5001", "7", "9")
HOOK = "https://powernode.example/api/v1/chat/webhooks/t"


async def send(
    http: httpx2.AsyncClient, server: FakeServer, platform: str, payload: Payload, **more: Any
) -> SendResult:
    known = CASES[platform].channel()
    channel = ChannelContext(known.channel_id, known.credentials, {}, known.identity, HOOK)
    adapter = Platforms(http, {platform: server.origin}).get(platform)
    wanted = more.pop("part", None) or part(payload)
    return await adapter.send(channel, request_for(wanted, ADDRESS, nonce="nonce-1", session_key="5001:7", **more))


def form(received: Received) -> dict[str, tuple[str | None, bytes]]:
    """Return a form's fields by name: (filename, content), read by somebody else's parser."""
    head = f"content-type: {received.headers['content-type']}\r\n\r\n".encode()
    assert received.headers["content-length"] == str(len(received.body))
    parsed: Any = message_from_bytes(head + received.body)
    return {
        str(inner.get_param("name", header="content-disposition")): (
            inner.get_filename(),
            inner.get_payload(decode=True),
        )
        for inner in parsed.get_payload()
    }


BODIES: list[tuple[str, Payload, dict[str, Any]]] = [
    (
        "whatsapp",
        YES_NO,
        {
            "type": "interactive",
            "interactive": {
                "type": "button",
                "body": {"text": "hi"},
                "action": {
                    "buttons": [
                        {"type": "reply", "reply": {"id": "yes:1", "title": "Yes, please"}},
                        {"type": "reply", "reply": {"id": "no", "title": "No"}},
                    ]
                },
            },
            "context": {"message_id": "9"},
            "biz_opaque_callback_data": "nonce-1",
        },
    ),
    (
        "whatsapp",
        Buttons(buttons=(LINK,)),
        {
            "interactive": {
                "type": "cta_url",
                "body": {"text": "hi"},
                "action": {"name": "cta_url", "parameters": {"display_text": LINK.label, "url": LINK.url}},
            }
        },
    ),
    (
        "whatsapp",
        SIZES,
        {
            "interactive": {
                "type": "list",
                "body": {"text": "hi"},
                "action": {
                    "button": "Sizes",
                    "sections": [{"rows": [{"id": f"size-{n}", "title": f"Size {n}"} for n in range(1, 6)]}],
                },
            }
        },
    ),
    (
        "whatsapp",
        PLACE,
        {
            "type": "location",
            "location": {
                "latitude": 52.5163,
                "longitude": 13.3777,
                "name": "Brandenburg Gate",
                "address": "Pariser Platz",
            },
        },
    ),
    (
        "whatsapp",
        TEMPLATE,
        {
            "type": "template",
            "template": {
                "name": "appointment",
                "language": {"code": "en_US"},
                "components": [
                    {"type": "body", "parameters": [{"type": "text", "text": one} for one in ("Ada", "two lines")]}
                ],
            },
        },
    ),
    ("whatsapp", Reaction(emoji="👍", message="wamid.X"), {"reaction": {"message_id": "wamid.X", "emoji": "👍"}}),
    (
        "telegram",
        Buttons(buttons=(*YES_NO.buttons, LINK)),
        {
            "chat_id": 5001,
            "text": "hi",
            "parse_mode": "HTML",
            "message_thread_id": 7,
            "reply_markup": {
                "inline_keyboard": [
                    [{"text": "Yes, please", "callback_data": "yes:1"}],
                    [{"text": "No", "callback_data": "no"}],
                    [{"text": LINK.label, "url": LINK.url}],
                ]
            },
        },
    ),
    ("telegram", Location(latitude=1.5, longitude=-2.5), {"chat_id": 5001, "latitude": 1.5, "longitude": -2.5}),
    ("telegram", PLACE, {"title": "Brandenburg Gate", "address": "Pariser Platz", "latitude": 52.5163}),
    (
        "telegram",
        Reaction(emoji="👍", message="9"),
        {"chat_id": 5001, "message_id": 9, "reaction": [{"type": "emoji", "emoji": "👍"}]},
    ),
    (
        "discord",
        Buttons(buttons=(*YES_NO.buttons, LINK)),
        {
            "content": "hi",
            "enforce_nonce": True,
            "allowed_mentions": {"parse": [], "replied_user": False},
            "components": [
                {
                    "type": 1,
                    "components": [
                        {"type": 2, "style": 2, "label": "Yes, please", "custom_id": "yes:1"},
                        {"type": 2, "style": 2, "label": "No", "custom_id": "no"},
                        {"type": 2, "style": 5, "label": LINK.label, "url": LINK.url},
                    ],
                }
            ],
        },
    ),
    (
        "discord",
        SIZES,
        {
            "components": [
                {
                    "type": 1,
                    "components": [
                        {
                            "type": 3,
                            "custom_id": "powernode_menu",
                            "placeholder": "Sizes",
                            "options": [{"label": f"Size {n}", "value": f"size-{n}"} for n in range(1, 6)],
                        }
                    ],
                }
            ]
        },
    ),
    (
        "slack",
        Buttons(buttons=(YES_NO.buttons[0], LINK)),
        {
            "text": "hi",
            "blocks": [
                {"type": "section", "text": {"type": "mrkdwn", "text": "hi"}},
                {
                    "type": "actions",
                    "elements": [
                        {
                            "type": "button",
                            "action_id": "powernode_button_0",
                            "text": {"type": "plain_text", "text": "Yes, please"},
                            "value": "yes:1",
                        },
                        {
                            "type": "button",
                            "action_id": "powernode_link_1",
                            "text": {"type": "plain_text", "text": LINK.label},
                            "url": LINK.url,
                        },
                    ],
                },
            ],
            "metadata": {"event_type": "powernode_part", "event_payload": {"nonce": "nonce-1"}},
        },
    ),
    ("slack", Reaction(emoji="👍", message="1.2"), {"channel": "5001", "timestamp": "1.2", "name": "thumbsup"}),
    (
        "mattermost",
        Reaction(emoji="🎉", message="p1"),
        {"user_id": "ourbotid000000000000000000", "post_id": "p1", "emoji_name": "tada"},
    ),
]
TARGETS = {"telegram": "/bot7000000001:AAtest-token/sendMessage"}


class TestBodies:
    @pytest.mark.parametrize(("platform", "payload", "body"), BODIES)
    async def test_golden(
        self, http: httpx2.AsyncClient, server: FakeServer, platform: str, payload: Payload, body: dict[str, Any]
    ) -> None:
        server.will(Reply(200, CASES[platform].accepted))
        assert isinstance(await send(http, server, platform, payload), Accepted)
        [received] = server.received
        assert {name: received.json.get(name) for name in body} == body

    async def test_the_methods_of_telegram(self, http: httpx2.AsyncClient, server: FakeServer) -> None:
        server.will(Reply(200, CASES["telegram"].accepted))
        kinds = [YES_NO, PLACE, Location(latitude=1, longitude=2), Reaction(emoji="👍", message="9")]
        files = [a_file("image"), a_file("audio"), a_file("audio").model_copy(update={"voice": False}),
                 a_file("video"), a_file("document"), a_file("sticker")]  # fmt: skip
        for payload in (*kinds, *files):
            await send(http, server, "telegram", payload)
        assert [one.target.rpartition("/")[2] for one in server.received] == [
            "sendMessage", "sendVenue", "sendLocation", "setMessageReaction",
            "sendPhoto", "sendVoice", "sendAudio", "sendVideo", "sendDocument", "sendSticker",
        ]  # fmt: skip

    async def test_discords_reaction_is_put(self, http: httpx2.AsyncClient, server: FakeServer) -> None:
        server.will(Reply(204, b""))
        assert isinstance(await send(http, server, "discord", Reaction(emoji="👍", message="77")), Accepted)
        [received] = server.received
        target = "/api/v10/channels/5001/messages/77/reactions/%F0%9F%91%8D/@me"
        assert (received.method, received.target) == ("PUT", target)

    async def test_mattermosts_actions_carry_our_address_and_seal(
        self, http: httpx2.AsyncClient, server: FakeServer
    ) -> None:
        server.will(Reply(201, CASES["mattermost"].accepted))
        await send(http, server, "mattermost", Buttons(buttons=(Button(label="Yes", value="y"),)))
        body: Any = server.received[0].json
        [action] = body["props"]["attachments"][0]["actions"]
        assert (action["id"], action["name"], action["type"]) == ("button0", "Yes", "button")
        assert action["integration"]["url"] == HOOK
        sealed = action["integration"]["context"]["powernode"]
        assert (sealed["session"], sealed["thread"], sealed["choices"]) == ("5001:7", "7", [["y", "Yes"]])
        assert len(sealed["seal"]) == 64

    @pytest.mark.parametrize("platform", ["slack", "mattermost"])
    async def test_an_emoji_without_a_name_is_refused_in_words(
        self, http: httpx2.AsyncClient, server: FakeServer, platform: str
    ) -> None:
        refused = await send(http, server, platform, Reaction(emoji="🦑", message="1"))
        assert isinstance(refused, Refused)
        assert (refused.code, server.received) == ("unknown_emoji", [])


def uploads(platform: str, origin: str) -> list[Reply]:
    """Return what is answered before the request that makes the file visible."""
    return {
        "whatsapp": [Reply(200, {"id": "M1"})],
        "slack": [Reply(200, {"ok": True, "upload_url": f"{origin}/up", "file_id": "F1"}), Reply(200, b"OK - 1")],
        "mattermost": [Reply(201, {"file_infos": [{"id": "f1"}]})],
    }.get(platform, [])


SHOWN = {name: Reply(200, case.accepted) for name, case in CASES.items()} | {
    "slack": Reply(200, {"ok": True, "files": [{"id": "F1"}]})
}


def script(server: FakeServer, platform: str, *last: Reply | Drop) -> None:
    """Let the uploads go well, and the rest as given."""
    server.will(*uploads(platform, server.origin), *last)


@pytest.mark.parametrize("platform", sorted(CASES))
class TestFiles:
    async def test_the_form_holds_the_very_bytes(
        self, http: httpx2.AsyncClient, server: FakeServer, platform: str
    ) -> None:
        script(server, platform, SHOWN[platform])
        assert isinstance(await send(http, server, platform, a_file("document")), Accepted)
        forms = [form(one) for one in server.received if "multipart" in one.headers.get("content-type", "")]
        [uploaded] = [one for fields in forms for one in fields.values() if one[0] is not None]
        assert (str(uploaded[0]).replace("%22", '"'), uploaded[1]) == ('Q3 "final".pdf', BYTES)
        last = server.received[-1]
        seen: Any = form(last) if last.headers["content-type"].startswith("multipart") else last.json
        told = {
            "whatsapp": lambda: (seen["document"]["id"], seen["document"]["caption"]) == ("M1", "hi"),
            "telegram": lambda: (seen["chat_id"][1], seen["caption"][1]) == (b"5001", b"hi"),
            "discord": lambda: json.loads(seen["payload_json"][1])["content"] == "hi",
            "slack": lambda: (
                (seen["files"][0]["id"], seen["channel_id"], seen["thread_ts"], seen["initial_comment"])
                == ("F1", "5001", "7", "hi")
            ),
            "mattermost": lambda: (seen["file_ids"], seen["message"]) == (["f1"], "hi"),
        }
        assert told[platform]()

    async def test_a_lost_answer_to_what_shows_it_is_unknown(
        self, http: httpx2.AsyncClient, server: FakeServer, platform: str
    ) -> None:
        script(server, platform, Drop())
        assert isinstance(await send(http, server, platform, a_file("document")), Unknown)

    async def test_a_failed_upload_is_tried_again_and_a_refused_one_is_not(
        self, http: httpx2.AsyncClient, server: FakeServer, platform: str
    ) -> None:
        if not uploads(platform, ""):
            return
        for line, wanted in ((Drop(), ErrorClass.TRANSIENT), (Reply(500, {}), ErrorClass.TRANSIENT)):
            server.will(line)
            refused = await send(http, server, platform, a_file("document"))
            assert isinstance(refused, Refused)
            assert refused.error_class is wanted
        server.will(Reply(413, {"ok": False, "error": "too_large", "id": "api.file.too_large"}))
        refused = await send(http, server, platform, a_file("document"))
        assert isinstance(refused, Refused)
        assert refused.error_class is ErrorClass.PERMANENT

    async def test_a_claim_that_ran_out_during_the_upload_shows_nothing(
        self, http: httpx2.AsyncClient, server: FakeServer, platform: str
    ) -> None:
        def refuse() -> None:
            raise TimeoutError("the claim ran out")

        script(server, platform, SHOWN[platform])
        with pytest.raises(TimeoutError, match="ran out"):
            await send(http, server, platform, a_file("document"), before_write=refuse)
        assert len(server.received) == len(uploads(platform, ""))

    async def test_a_caption_is_plain_where_markup_was_refused(
        self, http: httpx2.AsyncClient, server: FakeServer, platform: str
    ) -> None:
        script(server, platform, SHOWN[platform])
        marked = RenderedPart("<b>hi</b>", "hi", a_file("document"))
        wanted = request_for(marked, ADDRESS)
        plain = type(wanted)(wanted.address, marked, "n", wanted.before_write, as_plain=True, file=wanted.file)
        adapter = Platforms(http, {platform: server.origin}).get(platform)
        assert isinstance(await adapter.send(CASES[platform].channel(), plain), Accepted)
        assert b"<b>" not in server.received[-1].body


class TestSlacksAddress:
    @pytest.mark.parametrize("url", ["http://169.254.169.254/x", "https://slack.com.evil.test/x", "x"])
    async def test_the_bytes_go_nowhere_else(self, http: httpx2.AsyncClient, server: FakeServer, url: str) -> None:
        server.will(Reply(200, {"ok": True, "upload_url": url, "file_id": "F1"}))
        refused = await send(http, server, "slack", a_file("document"))
        assert isinstance(refused, Refused)
        assert (refused.error_class, len(server.received)) == (ErrorClass.TRANSIENT, 1)
