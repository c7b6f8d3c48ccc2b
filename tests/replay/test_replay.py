"""Histories of earlier runs replay under today's workflows, in the sandbox; and no text of anybody is in them."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from tests.replay.record import FOLDER, SECRET
from worker import WORKFLOWS, workflow_runner

HISTORIES = sorted(FOLDER.glob("*.json"))


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
class TestReplay:
    async def test_takes_the_same_decisions(self, path: Path) -> None:
        replayer = Replayer(workflows=WORKFLOWS, workflow_runner=workflow_runner(sandbox=True))
        await replayer.replay_workflow(WorkflowHistory.from_json(path.stem, path.read_text()))

    def test_holds_ids_only(self, path: Path) -> None:
        text = path.read_text()
        payloads = [base64.b64decode(found) for found in re.findall(r'"data":\s*"([A-Za-z0-9+/=]+)"', text)]
        assert payloads
        assert not any(SECRET.encode() in payload for payload in payloads)
        assert SECRET not in text


class TestRecorded:
    def test_every_workflow_has_a_history(self) -> None:
        names = {path.stem.split("-")[2] for path in HISTORIES}
        assert names == {workflow.__name__ for workflow in WORKFLOWS}

    @pytest.mark.parametrize(
        ("scenario", "ending"), [("approves", "EVENT_TYPE_TIMER_CANCELED"), ("expires", "EVENT_TYPE_TIMER_FIRED")]
    )
    def test_a_turn_waited_for_a_person(self, scenario: str, ending: str) -> None:
        [path] = [path for path in HISTORIES if f"-{scenario}-AgentResponseWorkflow-" in path.stem]
        kinds = [event["eventType"] for event in json.loads(path.read_text())["events"]]
        assert kinds.count("EVENT_TYPE_TIMER_STARTED") == kinds.count(ending) == 1

    def test_a_session_goes_on_as_a_new_run_while_messages_wait(self) -> None:
        histories = [
            WorkflowHistory.from_json(path.stem, path.read_text()) for path in HISTORIES if "-continues-" in path.stem
        ]
        followed = {
            event.workflow_execution_continued_as_new_event_attributes.new_execution_run_id
            for history in histories
            for event in history.events[-1:]
        } - {""}
        first = [history.events[0].workflow_execution_started_event_attributes for history in histories]
        assert followed
        assert followed <= {start.original_execution_run_id for start in first}
        carried = [json.loads(start.input.payloads[0].data) for start in first if start.continued_execution_run_id]
        assert any(state["pending"] for state in carried)
