"""Frames as pure text: what is understood, what is refused, how payloads are spliced."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime import frames, protocol
from realtime.errors import FrameError
from realtime.protocol import Perform, Ping, Subscribe, Unknown, Unsubscribe


class TestParseCommand:
    def test_the_three_commands(self) -> None:
        assert protocol.parse_command('{"command":"subscribe","identifier":"i"}') == Subscribe("i")
        assert protocol.parse_command('{"command":"unsubscribe","identifier":"i"}') == Unsubscribe("i")
        text = '{"command":"message","identifier":"i","data":"{\\"action\\":\\"say\\",\\"n\\":1}"}'
        assert protocol.parse_command(text) == Perform("i", "say", {"n": 1})

    def test_an_action_without_a_name_is_receive(self) -> None:
        assert protocol.parse_command('{"command":"message","identifier":"i","data":"{}"}') == Perform(
            "i", "receive", {}
        )

    def test_ping_and_commands_of_other_protocols(self) -> None:
        assert protocol.parse_command('{"command":"ping"}') == Ping()
        assert protocol.parse_command('{"command":"chant","identifier":"i","data":{}}') == Unknown()

    @pytest.mark.parametrize(
        "text",
        [
            "", "no", "[]", "1", "null", "{}", '{"command":1}', '{"command":"subscribe"}',
            '{"command":"subscribe","identifier":1}', '{"command":"subscribe","identifier":""}',
            '{"command":"subscribe","identifier":{"channel":"A"}}', '{"command":"message","identifier":"i"}',
            '{"command":"message","identifier":"i","data":{}}', '{"command":"message","identifier":"i","data":"[]"}',
            '{"command":"message","identifier":"i","data":"{\\"action\\":1}"}', '{"command":"subscribe","identifier":"\\ud800"}',
            '{"command":"subscribe","identifier":"' + "x" * 3000 + '"}', "[" * 60_000,
        ],
    )  # fmt: skip
    def test_anything_else_is_refused(self, text: str) -> None:
        with pytest.raises(FrameError):
            protocol.parse_command(text)

    @given(st.text())
    def test_no_text_breaks_it(self, text: str) -> None:
        with contextlib.suppress(FrameError):
            protocol.parse_command(text)


class TestParseIdentifier:
    def test_splits_name_and_params(self) -> None:
        assert protocol.parse_identifier('{"id":1,"channel":"A"}') == ("A", {"id": 1})

    @pytest.mark.parametrize("text", ["A", "[]", "{}", '{"channel":1}'])
    def test_without_a_channel_is_refused(self, text: str) -> None:
        with pytest.raises(FrameError):
            protocol.parse_identifier(text)


class TestDataFrame:
    @given(st.text().filter(lambda text: text.isprintable()))
    def test_identifier_and_payload_come_back_as_they_were(self, identifier: str) -> None:
        payload = b'{"a":  1.0, "b":"\xc3\xa9"}'
        frame = frames.data(identifier, payload, stream="s", epoch="e", offset=3)
        assert payload in frame.data
        assert json.loads(frame.text) == {
            "identifier": identifier, "message": {"a": 1.0, "b": "é"}, "stream_id": "s", "epoch": "e", "offset": 3,
        }  # fmt: skip

    def test_a_passing_event_has_no_place(self) -> None:
        assert json.loads(frames.data("i", b'"x"').text) == {"identifier": "i", "message": "x"}
