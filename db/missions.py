"""Missions as readers see them: found, listed, shown in full. What changes them: mission_changes.py."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from db.paging import fetch_page
from db.rows import mapping
from domain.errors import NotFoundError
from domain.missions import (
    MissionApprovalView,
    MissionDetailsView,
    MissionType,
    MissionView,
    gate_phases_of,
    phase_progress,
    phases_of,
)

_COLUMNS: Final = """
    m.id, m.account_id, m.name, m.mission_type, m.status, m.current_phase, m.repository, m.custom_phases,
    (SELECT t.name FROM agent_teams t WHERE t.id = m.team_id) AS team,
    (SELECT u.name FROM users u WHERE u.id = m.created_by_id) AS created_by,
    m.started_at, m.completed_at, m.duration_ms, m.mission_template_id, m.created_at, m.version, now() AS at
"""
_TYPES: Final[dict[str, Any]] = {"custom_phases": JSONB}
_LIST: Final = text(
    f"""
    SELECT {_COLUMNS}, count(*) OVER () AS total FROM ai_missions m
    WHERE (CAST(:status AS text) IS NULL OR m.status = :status)
      AND (CAST(:mission_type AS text) IS NULL OR m.mission_type = :mission_type)
    ORDER BY m.created_at DESC, m.id LIMIT :limit OFFSET :offset
    """  # noqa: S608 - constant columns
).columns(**_TYPES)
_FIND: Final = text(f"SELECT {_COLUMNS} FROM ai_missions m WHERE m.id = :id").columns(  # noqa: S608 - constant columns
    **_TYPES
)
_MORE: Final = (
    "phase_config", "analysis_result", "feature_suggestions", "selected_feature", "prd_json", "test_result",
    "review_result", "phase_history", "configuration", "error_details",
)  # fmt: skip
_DETAILS: Final = text(
    f"""
    SELECT {_COLUMNS}, m.repository_id, m.team_id, m.description, m.objective, m.branch_name, m.base_branch, m.pr_number,
        m.pr_url, m.deployed_port, m.deployed_url, m.deployed_container_id, m.error_message, m.conversation_id,
        m.ralph_loop_id, m.risk_contract_id, m.review_state_id, {", ".join(f"m.{name}" for name in _MORE)}
    FROM ai_missions m WHERE m.id = :id
    """  # noqa: S608 - constant columns
).columns(**_TYPES, **dict.fromkeys(_MORE, JSONB))
_APPROVAL: Final = """
    SELECT p.id, p.gate, p.decision, p.comment, (SELECT u.name FROM users u WHERE u.id = p.user_id) AS user, p.created_at
    FROM ai_mission_approvals p
"""
_APPROVALS: Final = text(f"{_APPROVAL} WHERE p.mission_id = :id ORDER BY p.created_at, p.id")
_ONE_APPROVAL: Final = text(f"{_APPROVAL} WHERE p.id = :id")


def mission_view(row: Row[Any]) -> MissionView:
    """Build a mission's view; its phases are its own, or those of its kind."""
    return MissionView.model_validate(_values(row, MissionView))


def _values(row: Row[Any], view: type[MissionView]) -> dict[str, Any]:
    kind = MissionType(row.mission_type)
    phases = phases_of(kind, row.custom_phases)
    values = {name: value for name, value in mapping(row).items() if name in view.model_fields}
    return values | {
        "phases": phases,
        "approval_gate_phases": gate_phases_of(kind, row.custom_phases),
        "phase_progress": phase_progress(phases, row.current_phase),
    }


async def row_of(conn: AsyncConnection, mission_id: UUID) -> Row[Any] | None:
    """Return what `mission_view` is built from, with `account_id` and the time `at`; None for no such mission."""
    return (await conn.execute(_FIND, {"id": mission_id})).one_or_none()


async def find(conn: AsyncConnection, mission_id: UUID) -> MissionView | None:
    """Return a mission; None when the entered account has no such one."""
    row = await row_of(conn, mission_id)
    return None if row is None else mission_view(row)


async def get(conn: AsyncConnection, mission_id: UUID) -> MissionDetailsView:
    """Return a mission in full. Raises NotFoundError."""
    row = (await conn.execute(_DETAILS, {"id": mission_id})).one_or_none()
    if row is None:
        raise NotFoundError("No such mission")
    values = _values(row, MissionDetailsView)
    approvals = [
        MissionApprovalView.model_validate(dict(mapping(one))) for one in await conn.execute(_APPROVALS, {"id": row.id})
    ]
    return MissionDetailsView.model_validate({**values, "approvals": approvals})


async def approval_of(conn: AsyncConnection, approval_id: UUID) -> MissionApprovalView:
    """Return a person's word at a gate, that is there."""
    row = (await conn.execute(_ONE_APPROVAL, {"id": approval_id})).one()
    return MissionApprovalView.model_validate(dict(mapping(row)))


async def listing(
    conn: AsyncConnection, *, status: str | None, mission_type: str | None, limit: int, offset: int
) -> tuple[list[MissionView], int]:
    """Return a page, the newest first, and how many there are."""
    values = {"status": status, "mission_type": mission_type}
    rows, total = await fetch_page(conn, _LIST, values, limit=limit, offset=offset)
    return [mission_view(row) for row in rows], total
