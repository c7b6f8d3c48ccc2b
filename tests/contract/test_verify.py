"""Every platform's signature check: each thing that its scheme covers is changed, one at a time (ruling: all refused)."""

from __future__ import annotations

import json
from dataclasses import replace

import httpx2
import pytest
from slack_sdk.signature import SignatureVerifier

from adapters.base import WebhookRequest
from adapters.registry import Platforms, platform_names
from domain.errors import SignatureError
from tests.contract.cases import CASES, NOW, Headers, PlatformCase

ADAPTERS = Platforms(httpx2.AsyncClient(trust_env=False))
BODY = json.dumps({"update_id": 1, "type": "event_callback", "text": "grün / \u2603"}).encode()
SIGNING_BODY = [name for name in CASES if CASES[name].signs_body]
SIGNING_TIME = [name for name in CASES if CASES[name].signs_time]


def accepts(platform: str, request: WebhookRequest, case: PlatformCase | None = None, now: float = NOW) -> bool:
    try:
        ADAPTERS.get(platform).verify(request, (case or CASES[platform]).channel(), now)
    except SignatureError:
        return False
    return True


def with_headers(request: WebhookRequest, changes: Headers) -> WebhookRequest:
    return replace(request, headers={**request.headers, **changes})


@pytest.mark.parametrize("platform", platform_names())
class TestVerify:
    def test_a_good_one_is_accepted(self, platform: str) -> None:
        assert accepts(platform, CASES[platform].request(BODY))

    def test_a_missing_header_is_refused(self, platform: str) -> None:
        request = CASES[platform].request(BODY)
        for name in CASES[platform].sign(BODY, CASES[platform].credentials, NOW):
            assert not accepts(platform, with_headers(request, {name: []}))
            assert not accepts(platform, with_headers(request, {name: [""]}))

    def test_a_repeated_header_is_refused_even_with_equal_values(self, platform: str) -> None:
        request = CASES[platform].request(BODY)
        for name, values in CASES[platform].sign(BODY, CASES[platform].credentials, NOW).items():
            assert not accepts(platform, with_headers(request, {name: values * 2}))
            assert not accepts(platform, with_headers(request, {name: ["x", *values]}))

    def test_a_changed_signature_is_refused(self, platform: str) -> None:
        case = CASES[platform]
        if case.signature_header is None:
            return
        (value,) = case.sign(BODY, case.credentials, NOW)[case.signature_header]
        last = "0" if value[-1] != "0" else "1"
        for changed in (
            value.upper(), value.swapcase(), value[:-1], f"{value}0", f" {value}", f"{value}\u00e9", value[:-1] + last,
        ):  # fmt: skip
            assert not accepts(platform, with_headers(case.request(BODY), {case.signature_header: [changed]}))

    def test_another_channels_secret_is_refused(self, platform: str) -> None:
        case = CASES[platform]
        other = replace(case, credentials={**case.credentials, case.secret_name: "another-channels-secret"})
        assert not accepts(platform, other.request(BODY))

    @pytest.mark.parametrize("empty", [True, False])
    def test_a_channel_without_a_secret_accepts_nothing(self, platform: str, empty: bool) -> None:
        case = CASES[platform]
        secrets = {case.secret_name, "command_token"}
        without = {name: value for name, value in case.credentials.items() if name not in secrets}
        bare = replace(case, credentials={**without, case.secret_name: ""} if empty else without)
        forged = replace(case, credentials={**without, case.secret_name: ""})
        assert not accepts(platform, forged.request(BODY), bare)
        assert not accepts(platform, case.request(BODY), bare)


@pytest.mark.parametrize("platform", SIGNING_BODY)
class TestVerifyBody:
    def test_every_changed_byte_is_refused(self, platform: str) -> None:
        request = CASES[platform].request(BODY)
        for index in range(len(BODY)):
            changed = BODY[:index] + bytes([BODY[index] ^ 1]) + BODY[index + 1 :]
            assert not accepts(platform, replace(request, body=changed))

    def test_a_shorter_longer_or_written_anew_body_is_refused(self, platform: str) -> None:
        request = CASES[platform].request(BODY)
        anew = json.dumps(json.loads(BODY), ensure_ascii=False).encode()
        assert anew != BODY
        for changed in (BODY[:-1], b"", BODY + b"\n", anew):
            assert not accepts(platform, replace(request, body=changed))


@pytest.mark.parametrize("platform", SIGNING_TIME)
class TestVerifyTime:
    @pytest.mark.parametrize(("off_s", "accepted"), [(0, True), (299, True), (-299, True), (301, False), (-301, False)])
    def test_the_window_is_five_minutes_both_ways(self, platform: str, off_s: int, accepted: bool) -> None:
        request = CASES[platform].request(BODY, at=NOW - off_s)
        assert accepts(platform, request) is accepted


class TestVerifySlack:
    @pytest.mark.parametrize(
        "timestamp", ["", "soon", "1e9", "-1", "+1767225700", "1767225700.0", " 1767225700", "٣", "9" * 400]
    )
    def test_an_odd_timestamp_is_refused(self, timestamp: str) -> None:
        request = with_headers(CASES["slack"].request(BODY), {"x-slack-request-timestamp": [timestamp]})
        assert not accepts("slack", request)

    @pytest.mark.parametrize("body", [BODY, b"", b"payload=%7B%7D&x=%F0%9F%91%8D", "☃".encode()])
    def test_agrees_with_the_platforms_own_library(self, body: bytes) -> None:
        case = CASES["slack"]
        verifier = SignatureVerifier(case.credentials["signing_secret"])
        generated = verifier.generate_signature(timestamp=str(int(NOW)), body=body)
        request = case.request(body)
        assert request.headers["x-slack-signature"] == [generated]
        assert accepts("slack", request)

    def test_the_documented_example(self) -> None:
        # https://docs.slack.dev/authentication/verifying-requests-from-slack
        body = (
            b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
            b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
            b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
            b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
        )
        headers = {
            "x-slack-request-timestamp": ["1531420618"],
            "x-slack-signature": ["v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"],
        }
        request = WebhookRequest("POST", headers, {}, body)
        assert accepts("slack", request, now=1531420618.0)


def posted(content: str, headers: Headers | None = None, content_type: str = "application/json") -> WebhookRequest:
    return WebhookRequest("POST", {"content-type": [content_type], **(headers or {})}, {}, content.encode())


TOKEN = CASES["mattermost"].credentials["webhook_token"]
COMMAND = CASES["mattermost"].credentials["command_token"]
FORM = "application/x-www-form-urlencoded"


class TestVerifyMattermost:
    @pytest.mark.parametrize("token", [TOKEN, COMMAND])
    def test_either_token_in_either_form_is_accepted(self, token: str) -> None:
        assert accepts("mattermost", posted(json.dumps({"token": token, "inner": {"token": "x"}})))
        assert accepts("mattermost", posted(f"a=b&token={token}", content_type=FORM))
        assert accepts("mattermost", posted(f"token={token}", {"authorization": [f"Token {token}"]}, FORM))
        assert accepts("mattermost", WebhookRequest("GET", {}, {"token": token}, b""))

    @pytest.mark.parametrize(
        "content",
        [
            "", "{}", "[]", "null", "{", f'["{TOKEN}"]', f'{{"token":["{TOKEN}"]}}', f'{{"inner":{{"token":"{TOKEN}"}}}}',
            f'{{"token":"{TOKEN.upper()}"}}', f'{{"token":"{TOKEN[:-1]}"}}', f'{{"token":" {TOKEN}"}}', '{"token":"\\ud800"}',
            f'{{"token":"{TOKEN}","token":"{TOKEN}"}}', f'{{"token":"x","token":"{TOKEN}"}}', '{"token":""}', '{"token":1}',
            f'[{{"token":"{TOKEN}"}}]', "[" * 100_000,
        ],
    )  # fmt: skip
    def test_json_that_does_not_prove_it(self, content: str) -> None:
        assert not accepts("mattermost", posted(content))

    @pytest.mark.parametrize(
        "content", ["", f"token={TOKEN}&token={TOKEN}", f"token=x&token={TOKEN}", "token=", f"Token={TOKEN}",
                    f'payload={{"token":"{TOKEN}"}}', "&" * 1000],
    )  # fmt: skip
    def test_forms_that_do_not_prove_it(self, content: str) -> None:
        assert not accepts("mattermost", posted(content, content_type=FORM))

    @pytest.mark.parametrize(
        "values", [["Token x"], [f"Bearer {TOKEN}"], [TOKEN], [f"Token {COMMAND}"], [f"Token {TOKEN}"] * 2, [""]]
    )
    def test_a_header_that_says_something_else(self, values: list[str]) -> None:
        assert not accepts("mattermost", posted(f"token={TOKEN}", {"authorization": values}, FORM))
