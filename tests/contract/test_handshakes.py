"""Handshakes as transcripts: what a platform asks before it sends anything, our literal answer, and whom we do not answer.

Slack signs its challenge like everything else; Discord pings with wrong signatures too, and takes the address away if one passes.
"""

from __future__ import annotations

import json
from dataclasses import replace
from urllib.parse import urlencode

import httpx2
import pytest

from adapters.base import WebhookReply, WebhookRequest
from adapters.registry import Platforms
from domain.errors import SignatureError
from tests.contract.cases import CASES, NOW

ADAPTERS = Platforms(httpx2.AsyncClient(trust_env=False))
FORM = "application/x-www-form-urlencoded"
CHALLENGE = json.dumps({"token": "old", "challenge": "3eZbrw1a<b>&", "type": "url_verification"}).encode()
PING = json.dumps({"id": "1", "application_id": "900000000000000001", "type": 1, "token": "t", "version": 1}).encode()
EVENTS_PING = json.dumps({"version": 1, "application_id": "900000000000000001", "type": 0}).encode()
SUBSCRIBE = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": "my-verify-token"}


def answer(platform: str, request: WebhookRequest) -> WebhookReply | None:
    """Return what we say; None where the sender is not believed."""
    adapter, channel = ADAPTERS.get(platform), CASES[platform].channel()
    try:
        adapter.verify(request, channel, NOW)
    except SignatureError:
        return None
    parsed = adapter.parse(request, channel)
    assert parsed.events == ()
    return parsed.reply


def asked(query: dict[str, str]) -> WebhookRequest:
    return WebhookRequest("GET", {}, query, b"", received_at=NOW)


class TestTranscripts:
    @pytest.mark.parametrize(
        ("platform", "request_", "reply"),
        [
            ("slack", CASES["slack"].request(CHALLENGE), WebhookReply(b"3eZbrw1a<b>&", "text/plain", 200)),
            ("slack", CASES["slack"].request(urlencode({"ssl_check": "1", "token": "old"}).encode(), FORM), WebhookReply(b"")),
            ("discord", CASES["discord"].request(PING), WebhookReply(b'{"type": 1}', "application/json", 200)),
            ("discord", CASES["discord"].request(EVENTS_PING), WebhookReply(b"", "text/plain", 204)),
            ("whatsapp", asked(SUBSCRIBE), WebhookReply(b"1158201444", "text/plain", 200)),
        ],
        ids=["slack-challenge", "slack-certificate", "discord-ping", "discord-events-ping", "whatsapp-subscribe"],
    )  # fmt: skip
    def test_is_answered_literally(self, platform: str, request_: WebhookRequest, reply: WebhookReply) -> None:
        assert answer(platform, request_) == reply


class TestNotBelieved:
    @pytest.mark.parametrize(("platform", "body"), [("slack", CHALLENGE), ("discord", PING), ("discord", EVENTS_PING)])
    def test_who_does_not_sign_gets_nothing(self, platform: str, body: bytes) -> None:
        case = CASES[platform]
        good = case.request(body)
        assert case.signature_header is not None
        (signature,) = good.headers[case.signature_header]
        wrong = [
            replace(good, body=body + b" "),
            replace(good, headers={**good.headers, case.signature_header: []}),
            replace(good, headers={**good.headers, case.signature_header: [signature, signature]}),
            replace(good, headers={**good.headers, case.signature_header: ["0" * len(signature)]}),
            case.request(body, at=NOW - 301),
            replace(case, credentials={**case.credentials, case.secret_name: "1" * 64}).request(body),
        ]
        assert [answer(platform, one) for one in wrong] == [None] * len(wrong)

    @pytest.mark.parametrize(
        "change",
        [
            {"hub.verify_token": "My-verify-token"},
            {"hub.verify_token": ""},
            {"hub.verify_token": "my-verify-token "},
            {"hub.mode": "unsubscribe"},
        ],
    )
    def test_nor_who_does_not_know_the_token(self, change: dict[str, str]) -> None:
        assert answer("whatsapp", asked(SUBSCRIBE | change)) is None
        assert (
            answer("whatsapp", asked({name: value for name, value in SUBSCRIBE.items() if name not in change})) is None
        )
