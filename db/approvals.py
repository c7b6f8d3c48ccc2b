"""Tool calls that wait for a person's word: asked for by a turn, resolved once by whoever comes first (ruling 14).

The row decides, never the signal: a tool that needs approval runs only where this table says `approved`. Called by
activities/agent.py, activities/sessions.py, db/session_commands.py and api/approvals.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid5

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import outbox
from db.outbox import Aggregate
from db.paging import fetch_page
from db.rows import mapping
from domain.agent import ApprovalStatus
from domain.approval import ToolApprovalView
from domain.errors import ConflictError, NotFoundError
from domain.events.chat import ToolApprovalRequired, ToolApprovalResolved

APPROVAL_RESOLVED: Final = "approval_resolved"
DEFAULT_WAIT_S: Final = 900.0
"""How long a call waits where its agent's settings do not say (`approval_timeout_s`)."""
LONGEST_WAIT_S: Final = 86_400.0

_COLUMNS: Final = """
    p.id, p.session_id, p.turn_id, p.tool, p.arguments, p.status, p.reason, p.resolved_by, p.requested_at, p.expires_at,
    p.resolved_at
"""
_MORE: Final = f"{_COLUMNS}, p.step, p.workflow_id, p.account_id, now() AS at"
_ASK: Final = text(
    f"""
    INSERT INTO tool_approvals AS p (id, account_id, turn_id, step, session_id, workflow_id, tool, arguments, expires_at)
    SELECT :id, app_account(), t.id, :step, t.session_id, :workflow_id, :tool, :arguments, now() + make_interval(secs =>
        LEAST(COALESCE(NULLIF(CAST(a.settings ->> 'approval_timeout_s' AS double precision), 0), :wait_s), :longest_s))
    FROM turns t LEFT JOIN ai_agents a ON a.id = t.agent_id WHERE t.id = :turn_id AND t.status = 'running'
    ON CONFLICT (turn_id, step) DO NOTHING RETURNING {_MORE}
    """  # noqa: S608 - constant columns
)
_LEFT: Final = text(
    "SELECT CASE status WHEN 'pending' THEN GREATEST(EXTRACT(EPOCH FROM expires_at - now()), 0.001) ELSE 0 END AS wait_s"
    " FROM tool_approvals WHERE turn_id = :turn_id AND step = :step"
)
_RESOLVE: Final = text(
    f"""
    UPDATE tool_approvals p SET status = :status, reason = :reason, resolved_by = :user_id, resolved_at = now()
    WHERE p.id = :id AND p.status = 'pending' AND p.expires_at > now() RETURNING {_MORE}
    """  # noqa: S608 - constant columns
)
_EXPIRE: Final = text(
    f"""
    UPDATE tool_approvals p SET status = 'expired', resolved_at = now()
    WHERE p.turn_id = :turn_id AND p.step = :step AND p.status = 'pending' RETURNING {_MORE}
    """  # noqa: S608 - constant columns
)
_CANCEL: Final = text(
    f"""
    UPDATE tool_approvals p SET status = 'cancelled', reason = :reason, resolved_at = now()
    WHERE p.session_id = :session_id AND p.status = 'pending' RETURNING {_MORE}
    """  # noqa: S608 - constant columns
)
_OF_STEP: Final = text(f"SELECT {_COLUMNS} FROM tool_approvals p WHERE p.turn_id = :turn_id AND p.step = :step")  # noqa: S608
_ONE: Final = text(f"SELECT {_COLUMNS} FROM tool_approvals p WHERE p.id = :id")  # noqa: S608 - constant columns
_LIST: Final = text(
    f"""
    SELECT {_COLUMNS}, count(*) OVER () AS total FROM tool_approvals p
    WHERE (CAST(:status AS text) IS NULL OR p.status = :status)
      AND (CAST(:session_id AS uuid) IS NULL OR p.session_id = :session_id)
    ORDER BY p.requested_at DESC, p.id LIMIT :limit OFFSET :offset
    """  # noqa: S608 - constant columns
)
_TOUCH: Final = text("UPDATE chat_sessions SET version = version + 1 WHERE id = :id RETURNING version, channel_id")


@dataclass(frozen=True, slots=True)
class Question:
    """A tool call that needs a person's word."""

    turn_id: UUID
    step: int
    tool: str
    arguments: str
    workflow_id: str


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a person decided."""

    approval_id: UUID
    status: ApprovalStatus
    user_id: UUID
    reason: str | None


def approval_view(row: Row[Any]) -> ToolApprovalView:
    """Return the view of a row."""
    fields = ToolApprovalView.model_fields
    return ToolApprovalView.model_validate({name: value for name, value in mapping(row).items() if name in fields})


async def ask(conn: AsyncConnection, question: Question) -> tuple[float, Aggregate | None]:
    """Ask for a person's word; return the seconds that are left, 0 when there is nothing to wait for. Idempotent by
    (turn, step).
    """
    key = {"turn_id": question.turn_id, "step": question.step}
    values = {
        **key,
        "id": uuid5(question.turn_id, f"approval {question.step}"),
        "workflow_id": question.workflow_id,
        "tool": question.tool,
        "arguments": question.arguments,
        "wait_s": DEFAULT_WAIT_S,
        "longest_s": LONGEST_WAIT_S,
    }
    row = (await conn.execute(_ASK, values)).one_or_none()
    aggregate = None if row is None else await _tell(conn, row)
    left = (await conn.execute(_LEFT, key)).one_or_none()
    return (0.0 if left is None else float(left.wait_s)), aggregate


async def settled(conn: AsyncConnection, turn_id: UUID, step: int) -> tuple[ToolApprovalView | None, Aggregate | None]:
    """Return how a call was decided, once its turn waits no more: what is still pending expires here."""
    key = {"turn_id": turn_id, "step": step}
    expired = (await conn.execute(_EXPIRE, key)).one_or_none()
    if expired is not None:
        return approval_view(expired), await _tell(conn, expired)
    row = (await conn.execute(_OF_STEP, key)).one_or_none()
    return (None if row is None else approval_view(row)), None


async def resolve(conn: AsyncConnection, resolution: Resolution) -> tuple[ToolApprovalView, Aggregate]:
    """Approve or reject. Raises NotFoundError; ConflictError when it was resolved, or ran out of time, before."""
    values = {
        "id": resolution.approval_id,
        "status": resolution.status.value,
        "reason": resolution.reason,
        "user_id": resolution.user_id,
    }
    row = (await conn.execute(_RESOLVE, values)).one_or_none()
    if row is None:
        standing = await get(conn, resolution.approval_id)
        status = ApprovalStatus.EXPIRED if standing.status == ApprovalStatus.PENDING else standing.status
        raise ConflictError(f"The call is {status} already", details={"status": str(status)})
    return approval_view(row), await _tell(conn, row)


async def cancel_all(conn: AsyncConnection, session_id: UUID, reason: str) -> Aggregate | None:
    """Cancel what waits in a session whose turn ends for another reason; None when nothing waited."""
    aggregate = None
    for row in (await conn.execute(_CANCEL, {"session_id": session_id, "reason": reason})).all():
        aggregate = await _tell(conn, row)
    return aggregate


async def get(conn: AsyncConnection, approval_id: UUID) -> ToolApprovalView:
    """Return one. Raises NotFoundError."""
    row = (await conn.execute(_ONE, {"id": approval_id})).one_or_none()
    if row is None:
        raise NotFoundError("No such approval")
    return approval_view(row)


async def listing(
    conn: AsyncConnection, *, status: str | None, session_id: UUID | None, limit: int, offset: int
) -> tuple[list[ToolApprovalView], int]:
    """Return a page, the latest first, and how many there are."""
    rows, total = await fetch_page(
        conn, _LIST, {"status": status, "session_id": session_id}, limit=limit, offset=offset
    )
    return [approval_view(row) for row in rows], total


async def _tell(conn: AsyncConnection, row: Row[Any]) -> Aggregate:
    """Tell watchers, and the workflow that waits, in the outbox."""
    session = (await conn.execute(_TOUCH, {"id": row.session_id})).one()
    view = approval_view(row)
    pending = view.status == ApprovalStatus.PENDING
    event = (ToolApprovalRequired if pending else ToolApprovalResolved)(
        timestamp=row.at, session_id=view.session_id, channel_id=session.channel_id, approval=view
    )
    rows = [outbox.event_row(event)]
    if not pending:
        rows.append(outbox.signal_row(APPROVAL_RESOLVED, {"workflow_id": row.workflow_id, "step": row.step}))
    aggregate = outbox.session_aggregate(row.account_id, view.session_id)
    await outbox.write(conn, aggregate, session.version, rows, "")
    return aggregate
