"""Webhooks of git platforms: what they say, and that no body whatever makes the parser break."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import git
from domain.devops import PipelineRunReport, WorkflowJobReport
from domain.errors import PayloadError

FIXTURES = sorted((Path(__file__).parent.parent / "fixtures").glob("git*/workflow_*.json"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def inner(value: object) -> list[tuple[Any, Any]]:
    """A value's parts with their keys."""
    if isinstance(value, dict):
        return list(cast("dict[Any, Any]", value).items())
    return list(enumerate(cast("list[Any]", value))) if isinstance(value, list) else []


def places(value: object, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """All places in a body that parsing may look at."""
    return [at, *(place for key, one in inner(value) for place in places(one, (*at, key)))]


def put(value: object, place: tuple[Any, ...], new: object) -> object:
    """The same body with something else in one place."""
    if not place:
        return new
    parts = {key: put(one, place[1:], new) if key == place[0] else one for key, one in inner(value)}
    return parts if isinstance(value, dict) else list(parts.values())


def event(path: Path) -> str:
    return "workflow_run" if path.stem.startswith("workflow_run") else "workflow_job"


class TestParse:
    @pytest.mark.parametrize("path", FIXTURES, ids=lambda path: f"{path.parent.name}-{path.stem}")
    def test_every_recorded_shape_is_understood(self, path: Path) -> None:
        parsed = git.parse(event(path), path.read_bytes(), uuid4())
        assert parsed is not None
        repository, report = parsed
        assert repository.full_name in {"octo-org/octo-repo", "ada/hello"}
        kind = PipelineRunReport if event(path) == "workflow_run" else WorkflowJobReport
        assert isinstance(report, kind)

    def test_there_are_some_of_both_platforms(self) -> None:
        assert {path.parent.name for path in FIXTURES} == {"github", "gitea"}

    @given(st.sampled_from(FIXTURES), st.data())
    def test_nothing_in_a_body_breaks_the_parser(self, path: Path, data: st.DataObject) -> None:
        body = json.loads(path.read_text())
        place = data.draw(st.sampled_from(places(body)))
        changed = json.dumps(put(body, place, data.draw(JSON))).encode()
        # Any other error than this one fails the test.
        with contextlib.suppress(PayloadError):
            git.parse(event(path), changed, uuid4())

    @given(st.sampled_from(["workflow_run", "workflow_job"]), st.binary(max_size=200))
    def test_bytes_that_are_no_json_are_unreadable(self, name: str, body: bytes) -> None:
        with pytest.raises(PayloadError):
            git.parse(name, body, uuid4())
