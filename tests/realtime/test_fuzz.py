"""Whatever a client sends is a command or a FrameError, never anything else; and what is a command keeps its bounds."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from realtime import protocol
from realtime.errors import FrameError
from realtime.protocol import Auth, Join, Perform, Subscribe, Whisper

NAMES = (
    "subscribe", "unsubscribe", "message", "history", "whisper", "join", "leave", "presence", "auth", "ping", "pong", "other",
)  # fmt: skip
ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=40),
    st.sampled_from(["", "\0", "1e999", "x" * 3000, "[" * 2000]),
)  # fmt: skip
JSON = st.recursive(
    ODD,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
POSITION = st.fixed_dictionaries({}, optional={"epoch": ODD, "offset": ODD})
HISTORY = st.fixed_dictionaries(
    {}, optional={"since": ODD, "streams": st.dictionaries(st.text(max_size=8), POSITION | JSON, max_size=3) | JSON}
)
IDENTIFIER = st.one_of(
    ODD, JSON.map(json.dumps), st.dictionaries(st.sampled_from(["channel", "id"]), JSON, max_size=2).map(json.dumps)
)
DATA = st.one_of(
    JSON, JSON.map(json.dumps), st.dictionaries(st.sampled_from(["action", "x"]), JSON, max_size=2).map(json.dumps)
)


def command_of(name: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"command": name, "identifier": IDENTIFIER},
        optional={
            "data": DATA,
            "history": HISTORY | JSON,
            "presence": st.fixed_dictionaries({"id": ODD | st.text(max_size=200)}, optional={"info": JSON}) | JSON,
            "token": ODD,
        },
    )


COMMAND = command_of(st.sampled_from(NAMES)) | command_of(JSON) | st.dictionaries(st.just("command"), JSON)
FRAME = st.one_of(
    st.text(),
    COMMAND.map(json.dumps),
    COMMAND.map(lambda one: json.dumps(one, ensure_ascii=False)),
    COMMAND.map(lambda one: json.dumps(one | {"token": "\ud800"})),
    # Cut off, and with something in the middle that does not belong there.
    st.tuples(COMMAND.map(json.dumps), st.integers(0, 200)).map(lambda cut: cut[0][: cut[1]]),
    st.tuples(COMMAND.map(json.dumps), st.integers(0, 200), st.text(max_size=3)).map(
        lambda cut: cut[0][: cut[1]] + cut[2] + cut[0][cut[1] :]
    ),
)


def bounded(command: protocol.Command) -> bool:
    """Whether what a command holds is of the size that the protocol promises to the rest of the hub."""
    identifier: Any = getattr(command, "identifier", "i")
    checks = [isinstance(identifier, str), 0 < len(identifier) <= protocol.MAX_IDENTIFIER_CHARS]
    match command:
        case Perform(_, _, data):
            checks.append("action" not in data)
        case Subscribe(_, _, member) if member is not None:
            checks.append(len(member.info) <= protocol.MAX_INFO_BYTES)
        case Join(_, member):
            checks.append(len(member.info) <= protocol.MAX_INFO_BYTES)
        case Whisper(_, data):
            json.loads(data)
        case Auth(token):
            checks.append(0 < len(token) <= protocol.MAX_FRAME_BYTES)
        case _:
            pass
    return all(checks)


def check(text: str) -> None:
    with contextlib.suppress(FrameError):
        assert bounded(protocol.parse_command(text))
    with contextlib.suppress(FrameError):
        name, params = protocol.parse_identifier(text)
        assert isinstance(name, str)
        assert "channel" not in params


class TestAnyFrame:
    @settings(max_examples=300)
    @given(FRAME)
    def test_is_a_command_or_a_frame_error(self, text: str) -> None:
        check(text)

    @pytest.mark.full
    @settings(
        max_examples=100_000,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(FRAME)
    def test_a_hundred_thousand_are(self, text: str) -> None:
        check(text)

    @pytest.mark.parametrize("name", NAMES)
    def test_the_strategies_reach_every_command(self, name: str) -> None:
        """What is never built is never tried."""
        seen: set[str] = set()

        @settings(max_examples=200, database=None)
        @given(command_of(st.just(name)))
        def build(command: dict[str, Any]) -> None:
            with contextlib.suppress(FrameError):
                seen.add(type(protocol.parse_command(json.dumps(command))).__name__)

        build()
        assert seen
