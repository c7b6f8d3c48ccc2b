"""What happens to missions: each function changes the row and leaves the events in the outbox, in one transaction.

They return the aggregate that the caller names to the dispatcher once its transaction is committed. Called by whoever
runs missions; what comes twice is refused (a status that may not follow) or says the same again, in a higher version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from db.missions import approval_of, mission_view, row_of
from db.outbox import Aggregate
from db.tables import ai_mission_approvals, ai_missions
from db.telling import acting_account, tell
from domain.errors import ConflictError, InvalidInputError, NotFoundError
from domain.events.base import Event
from domain.events.missions import (
    DecisionPayload,
    DeploymentPayload,
    FailurePayload,
    GatePayload,
    MissionApprovalRequired,
    MissionApprovalResolved,
    MissionDeployed,
    MissionError,
    MissionPhaseChanged,
    MissionPrCreated,
    MissionStatusChanged,
    MissionTaskStatusChanged,
    PhasePayload,
    PullRequestPayload,
    StatusPayload,
    TaskPayload,
)
from domain.missions import (
    ALLOWED_STEPS,
    MissionDecision,
    MissionGate,
    MissionStatus,
    MissionType,
    gate_of,
    gate_phases_of,
    phases_of,
)

_ENDED: Final = frozenset({MissionStatus.COMPLETED, MissionStatus.FAILED, MissionStatus.CANCELLED})


@dataclass(frozen=True, slots=True)
class MissionDraft:
    """What a mission begins with. `created_by_id`: a person of the account."""

    name: str
    mission_type: MissionType
    created_by_id: UUID
    objective: str | None = None
    description: str | None = None
    repository: str | None = None
    team_id: UUID | None = None
    custom_phases: Sequence[Mapping[str, object]] | None = None


@dataclass(frozen=True, slots=True)
class TaskChange:
    """How a task of a mission moved on."""

    task_id: str
    task_key: str
    status: str
    previous_status: str | None
    execution_type: str | None = None
    phase: str | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where a mission's result runs. `port`: 6000 to 6199, one active mission each."""

    url: str | None
    port: int | None
    container_id: str | None


@dataclass(frozen=True, slots=True)
class GateDecision:
    """A person's word at a gate."""

    user_id: UUID
    gate: MissionGate
    decision: MissionDecision
    comment: str | None = None


async def create(conn: AsyncConnection, draft: MissionDraft) -> tuple[UUID, Aggregate]:
    """Store a mission as a draft and tell the account."""
    mission_id = uuid4()
    account_id = await acting_account(conn)
    values: dict[str, object] = {
        "name": draft.name, "mission_type": draft.mission_type.value, "created_by_id": draft.created_by_id,
        "objective": draft.objective, "description": draft.description, "repository": draft.repository,
        "team_id": draft.team_id,
    }  # fmt: skip
    if draft.custom_phases is not None:
        values["custom_phases"] = [dict(phase) for phase in draft.custom_phases]
    await conn.execute(insert(ai_missions).values(id=mission_id, account_id=account_id, **values))
    row = await _row(conn, mission_id)
    return mission_id, await _tell(conn, row, _status_changed(row))


async def set_status(conn: AsyncConnection, mission_id: UUID, status: MissionStatus) -> Aggregate:
    """Move a mission on. Raises NotFoundError; ConflictError where this status may not follow."""
    row = await _step(conn, mission_id, status, {})
    return await _tell(conn, row, _status_changed(row))


async def fail(conn: AsyncConnection, mission_id: UUID, error: str) -> Aggregate:
    """End a mission because of an error that people are shown. Raises NotFoundError, ConflictError."""
    row = await _step(conn, mission_id, MissionStatus.FAILED, {"error_message": error})
    payload = FailurePayload(**_head(row), error=error, phase=row.current_phase)
    failure = MissionError(account_id=row.account_id, payload=payload, timestamp=row.at)
    return await _tell(conn, row, failure, _status_changed(row))


async def enter_phase(
    conn: AsyncConnection, mission_id: UUID, phase: str, result: Mapping[str, object] | None = None
) -> Aggregate:
    """Enter a phase; `result` is what came of the one before. At a gate a person is asked.

    Raises NotFoundError; ConflictError unless the mission is active; InvalidInputError for a phase that it does not have.
    """
    before = await _locked(conn, mission_id)
    if before.status != MissionStatus.ACTIVE:
        raise ConflictError(f"The mission is {before.status}")
    if phase not in phases_of(MissionType(before.mission_type), before.custom_phases):
        raise InvalidInputError(f"The mission has no phase {phase}")
    at = (await conn.execute(select(func.now()))).scalar_one().isoformat()
    history = [dict(entry) for entry in before.phase_history]
    if history and "exited_at" not in history[-1]:
        history[-1] |= {"exited_at": at} | ({"result": dict(result)} if result is not None else {})
    history.append({"phase": phase, "entered_at": at})
    row = await _change(conn, mission_id, {"current_phase": phase, "phase_history": history})
    view = mission_view(row)
    status = _status(row)
    payload = PhasePayload(**status.model_dump(), phase_progress=view.phase_progress)
    events: list[Event] = [MissionPhaseChanged(account_id=row.account_id, payload=payload, timestamp=row.at)]
    if phase in view.approval_gate_phases:
        asked = GatePayload(**_head(row), gate=gate_of(phase, row.custom_phases), phase=phase)
        events.append(MissionApprovalRequired(account_id=row.account_id, payload=asked, timestamp=row.at))
    return await _tell(conn, row, *events)


async def record_task(conn: AsyncConnection, mission_id: UUID, task: TaskChange) -> Aggregate:
    """Tell that a task of a mission moved on; the task's own row is its owner's. Raises NotFoundError."""
    row = await _change(conn, mission_id, {})
    payload = TaskPayload(
        **_head(row), task_id=task.task_id, task_key=task.task_key, status=task.status,
        previous_status=task.previous_status, execution_type=task.execution_type, phase=task.phase,
    )  # fmt: skip
    event = MissionTaskStatusChanged(account_id=row.account_id, payload=payload, timestamp=row.at)
    return await _tell(conn, row, event)


async def record_pull_request(conn: AsyncConnection, mission_id: UUID, number: int, url: str) -> Aggregate:
    """Keep where a mission's changes can be looked at. Raises NotFoundError."""
    row = await _change(conn, mission_id, {"pr_number": number, "pr_url": url})
    payload = PullRequestPayload(**_head(row), pr_number=number, pr_url=url)
    return await _tell(conn, row, MissionPrCreated(account_id=row.account_id, payload=payload, timestamp=row.at))


async def record_deployment(conn: AsyncConnection, mission_id: UUID, where: Deployment) -> Aggregate:
    """Keep where a mission's result runs. Raises NotFoundError; ConflictError where another active one has the port."""
    values = {
        "deployed_url": where.url, "deployed_port": where.port, "deployed_container_id": where.container_id,
    }  # fmt: skip
    row = await _change(conn, mission_id, values)
    payload = DeploymentPayload(**_head(row), url=where.url, port=where.port, container_id=where.container_id)
    return await _tell(conn, row, MissionDeployed(account_id=row.account_id, payload=payload, timestamp=row.at))


async def resolve(conn: AsyncConnection, mission_id: UUID, word: GateDecision) -> Aggregate:
    """Keep a person's word at the gate where the mission waits.

    Raises NotFoundError; ConflictError where it does not wait at this gate.
    """
    before = await _locked(conn, mission_id)
    if before.status != MissionStatus.ACTIVE or not _waits_at(before, word.gate):
        raise ConflictError("The mission does not wait at this gate")
    approval_id = uuid4()
    values = {
        "id": approval_id, "account_id": before.account_id, "mission_id": mission_id, "user_id": word.user_id,
        "gate": word.gate.value, "decision": word.decision.value, "comment": word.comment,
    }  # fmt: skip
    await conn.execute(insert(ai_mission_approvals).values(values))
    row = await _change(conn, mission_id, {})
    approval = await approval_of(conn, approval_id)
    payload = DecisionPayload(**_head(row), gate=word.gate, decision=word.decision, approval=approval)
    event = MissionApprovalResolved(account_id=row.account_id, payload=payload, timestamp=row.at)
    return await _tell(conn, row, event)


async def _step(
    conn: AsyncConnection, mission_id: UUID, status: MissionStatus, values: Mapping[str, object]
) -> Row[Any]:
    before = await _locked(conn, mission_id)
    if status not in ALLOWED_STEPS[MissionStatus(before.status)]:
        raise ConflictError(f"The mission is {before.status}", details={"status": before.status})
    changed: dict[str, object] = {"status": status.value, **values}
    if status in _ENDED:
        began = func.coalesce(ai_missions.c.started_at, func.now())
        changed |= {
            "completed_at": func.now(),
            "duration_ms": func.floor(func.extract("epoch", func.now() - began) * 1000),
        }
    elif status is MissionStatus.ACTIVE:
        changed |= {
            "started_at": func.coalesce(ai_missions.c.started_at, func.now()), "completed_at": None,
            "duration_ms": None, "error_message": None,
        }  # fmt: skip
    return await _change(conn, mission_id, changed)


def _waits_at(row: Row[Any], gate: MissionGate) -> bool:
    phase: str | None = row.current_phase
    gates = gate_phases_of(MissionType(row.mission_type), row.custom_phases)
    return phase in gates and gate_of(str(phase), row.custom_phases) is gate


async def _locked(conn: AsyncConnection, mission_id: UUID) -> Row[Any]:
    row = (
        await conn.execute(select(ai_missions).where(ai_missions.c.id == mission_id).with_for_update())
    ).one_or_none()
    if row is None:
        raise NotFoundError("No such mission")
    return row


async def _change(conn: AsyncConnection, mission_id: UUID, values: Mapping[str, object]) -> Row[Any]:
    touched = {"version": ai_missions.c.version + 1, "updated_at": func.now(), **values}
    try:
        async with conn.begin_nested():
            await conn.execute(update(ai_missions).where(ai_missions.c.id == mission_id).values(touched))
    except IntegrityError as error:  # two active missions have one port when it is recorded, or when one goes on
        raise ConflictError("The mission's port is taken, or is none of 6000 to 6199") from error
    return await _row(conn, mission_id)


async def _row(conn: AsyncConnection, mission_id: UUID) -> Row[Any]:
    row = await row_of(conn, mission_id)
    if row is None:
        raise NotFoundError("No such mission")
    return row


def _head(row: Row[Any]) -> dict[str, Any]:
    return {"mission_id": row.id, "mission": mission_view(row)}


def _status(row: Row[Any]) -> StatusPayload:
    return StatusPayload(**_head(row), status=row.status, current_phase=row.current_phase)


def _status_changed(row: Row[Any]) -> MissionStatusChanged:
    return MissionStatusChanged(account_id=row.account_id, payload=_status(row), timestamp=row.at)


async def _tell(conn: AsyncConnection, row: Row[Any], *events: Event) -> Aggregate:
    return await tell(conn, Aggregate(row.account_id, f"mission:{row.id}"), row.version, *events)
