"""Every platform's parser: recorded shapes become what they should, and no JSON makes it raise anything else."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from typing import Any, cast
from urllib.parse import urlencode

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from adapters.base import ParsedWebhook, PlatformAdapter
from adapters.registry import Platforms, platform_names
from domain.errors import PayloadError
from domain.message import EventKind, InboundEvent
from tests.contract.cases import CASES, FIXTURES, NOW, Fixture, fixtures

_AS_JSON = TypeAdapter(object)
ALL = fixtures()
POSTED = [one for one in ALL if "frame" not in one.data]
ADAPTERS = Platforms(httpx2.AsyncClient(trust_env=False))


def adapter(name: str) -> PlatformAdapter:
    return ADAPTERS.get(name)


def seen(value: object) -> Any:
    """Return an event's field in the shape of JSON."""
    return _AS_JSON.dump_python(value, mode="json")


def check_event(event: InboundEvent) -> None:
    assert event.dedup_key
    assert event.order_key.isascii()
    assert event.occurred_at.tzinfo is not None
    assert event.kind is not EventKind.STATUS or event.status is not None
    json.dumps([seen(one) for one in (event.reply_to, event.sender, event.attachments)])


def check_body(platform: str, body: bytes, content_type: str = "application/json") -> None:
    case = CASES[platform]
    try:
        parsed: ParsedWebhook = adapter(platform).parse(case.request(body, content_type), case.channel())
    except PayloadError:
        return
    for event in parsed.events:
        check_event(event)


class TestCases:
    def test_every_platform_is_tested(self) -> None:
        assert sorted(CASES) == platform_names()
        for platform in platform_names():
            assert len([one for one in ALL if one.platform == platform]) >= 25

    def test_every_payload_has_its_source_named(self) -> None:
        for platform in platform_names():
            lines = (FIXTURES / platform / "README.md").read_text(encoding="utf-8").splitlines()
            rows = [line.split("|") for line in lines if line.startswith("| `")]
            assert all(row[2].strip() for row in rows)
            patterns = [pattern for row in rows for pattern in re.findall(r"`([^`]+)`", row[1])]
            names = [one.name for one in ALL if one.platform == platform]
            assert [name for name in names if not any(fnmatchcase(name, pattern) for pattern in patterns)] == []
            assert [pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name in names)] == []


class TestParse:
    @pytest.mark.parametrize("fixture", ALL, ids=lambda one: f"{one.platform}-{one.name}")
    def test_golden_payloads(self, fixture: Fixture) -> None:
        parsed = fixture.read(adapter(fixture.platform))
        reply = parsed.reply.body.decode() if parsed.reply else None
        assert reply == fixture.data.get("reply")
        assert len(parsed.events) == len(fixture.data["events"])
        for event, expected in zip(parsed.events, fixture.data["events"], strict=True):
            check_event(event)
            assert {name: seen(getattr(event, name)) for name in expected} == expected

    @pytest.mark.parametrize("fixture", POSTED, ids=lambda one: f"{one.platform}-{one.name}")
    def test_golden_payloads_are_signed_as_they_should(self, fixture: Fixture) -> None:
        request = fixture.request()
        adapter(fixture.platform).verify(request, CASES[fixture.platform].channel(), request.received_at)

    @pytest.mark.parametrize("fixture", ALL, ids=lambda one: f"{one.platform}-{one.name}")
    def test_a_repeat_has_the_same_keys(self, fixture: Fixture) -> None:
        first, again = (fixture.read(adapter(fixture.platform)) for _ in range(2))
        assert [event.dedup_key for event in first.events] == [event.dedup_key for event in again.events]

    @pytest.mark.parametrize("platform", platform_names())
    @pytest.mark.parametrize(
        "body",
        [b"", b"{", b"[]", b"null", b"1", b'"x"', b"\xff\xfe", b"[" * 100_000, b'{"a":' * 100_000, b'{"update_id":1e999}',
         b'{"update_id":' + b"9" * 5000 + b"}", b"{}"],
    )  # fmt: skip
    def test_bodies_that_cannot_be_read(self, platform: str, body: bytes) -> None:
        check_body(platform, body)
        check_body(platform, body, "application/x-www-form-urlencoded")
        check_body(platform, b"payload=" + body, "application/x-www-form-urlencoded")
        check_frame(platform, body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["im", "message"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def named(value: Any) -> set[str]:
    """Return every field's name in a JSON value."""
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        return set(fields).union(*(named(one) for one in fields.values()))
    return set[str]().union(*(named(one) for one in cast("list[Any]", value))) if isinstance(value, list) else set()


FIELDS = st.sampled_from(sorted(set[str]().union(*(named(one.data.get("body")) for one in ALL)))) | st.text(max_size=5)
"""Names that platforms use: what is only noise gets no further than the first model."""

DEEP = st.recursive(
    JSON,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=5),
    max_leaves=20,
)


def paths(value: Any, here: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the paths of everything in a JSON value."""
    items: dict[Any, Any] = {}
    if isinstance(value, dict):
        items = cast("dict[Any, Any]", value)
    elif isinstance(value, list):
        items = dict(enumerate(cast("list[Any]", value)))
    inside = [path for name, inner in items.items() for path in paths(inner, (*here, name))]
    return ([here] if here else []) + inside


def put(value: Any, path: tuple[str | int, ...], new: object) -> Any:
    """Return a copy with the value at `path` replaced."""
    copied = json.loads(json.dumps(value))
    inner = copied
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = new
    return copied


@st.composite
def mutated(draw: st.DrawFn) -> tuple[Fixture, Any, bool]:
    """A known payload in which up to three values are something else."""
    fixture = draw(st.sampled_from([one for one in ALL if "query" not in one.data]))
    form = "form" in fixture.data
    body = fixture.data[next(name for name in ("form", "frame", "body") if name in fixture.data)]
    if form and "payload" in body:
        body = json.loads(body["payload"])
    for _ in range(draw(st.integers(1, 3))):
        known = paths(body)
        if known:
            body = put(body, draw(st.sampled_from(known)), draw(JSON))
    return fixture, body, form


def check_frame(platform: str, frame: bytes) -> None:
    """A frame of a socket: what cannot be read raises PayloadError, as a body does."""
    read_frame = CASES[platform].read_frame
    if read_frame is None:
        return
    try:
        events = read_frame(frame, CASES[platform].channel(), NOW)
    except PayloadError:
        return
    for event in events:
        check_event(event)


def check_mutated(fixture: Fixture, body: Any, form: bool) -> None:
    if "frame" in fixture.data:
        check_frame(fixture.platform, json.dumps(body).encode())
        return
    if not form:
        check_body(fixture.platform, json.dumps(body).encode())
        return
    fields_of_form = {"payload": json.dumps(body)} if "payload" in fixture.data["form"] else body
    encoded = urlencode({name: str(value) for name, value in fields_of_form.items()}, errors="replace").encode()
    check_body(fixture.platform, encoded, "application/x-www-form-urlencoded")


class TestParseProperties:
    @settings(max_examples=150)
    @given(mutated())
    def test_changed_payloads_never_raise_anything_else(self, case: tuple[Fixture, Any, bool]) -> None:
        check_mutated(*case)

    @settings(max_examples=60)
    @given(st.sampled_from(platform_names()), st.dictionaries(st.text(max_size=5), JSON, max_size=4))
    def test_any_json_never_raises_anything_else(self, platform: str, body: dict[str, Any]) -> None:
        check_body(platform, json.dumps(body).encode())
        check_frame(platform, json.dumps(body).encode())

    @pytest.mark.full
    @settings(max_examples=40_000)
    @given(st.sampled_from(platform_names()), st.dictionaries(FIELDS, DEEP, max_size=6))
    def test_any_json_never_raises_anything_else_at_length(self, platform: str, body: dict[str, Any]) -> None:
        check_body(platform, json.dumps(body).encode())
        check_frame(platform, json.dumps(body).encode())

    @pytest.mark.full
    @settings(max_examples=60_000)
    @given(mutated())
    def test_changed_payloads_never_raise_anything_else_at_length(self, case: tuple[Fixture, Any, bool]) -> None:
        check_mutated(*case)
