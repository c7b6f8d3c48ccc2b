"""What people do to a session, decided here by compare-and-set (ruling 14); the workflow learns of it afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import approvals, conversations, outbox, parts
from db.outbox import Aggregate
from db.rows import SESSION_COLUMNS, mapping, session_view
from domain.errors import ConflictError, NotFoundError
from domain.events.chat import SessionUpdated
from domain.session import Owner, SessionStatus
from domain.views import SessionView

_LOCK: Final = text(
    "SELECT owner, owner_version, status, last_arrival_no, account_id FROM chat_sessions WHERE id = :id FOR UPDATE"
)
# The conversation follows its session: completed when closed, paused while blocked, resumed when unblocked.
_APPLY: Final = text(
    f"""
    WITH s AS (
        UPDATE chat_sessions s SET version = s.version + 1, owner_version = s.owner_version + 1,
            owner = COALESCE(:owner, s.owner),
            owner_user_id = CASE WHEN CAST(:owner AS text) IS NULL THEN s.owner_user_id ELSE CAST(:user_id AS uuid) END,
            status = COALESCE(CAST(:status AS text), s.status),
            closed_at = CASE :status WHEN 'closed' THEN now() WHEN 'active' THEN NULL ELSE s.closed_at END,
            assigned_agent_id = COALESCE(CAST(:agent_id AS uuid), s.assigned_agent_id),
            user_metadata = (s.user_metadata - CASE WHEN :owner = 'ai' THEN 'needs_human' ELSE '' END
                - CASE WHEN :status = 'active' THEN 'block_reason' ELSE '' END)
                || COALESCE(CAST(:note AS jsonb), '{{}}'::jsonb)
        WHERE s.id = :id RETURNING {SESSION_COLUMNS}
    ), c AS (
        UPDATE ai_conversations c SET version = c.version + 1, status =
            CASE :status WHEN 'closed' THEN 'completed' WHEN 'blocked' THEN 'paused' ELSE 'active' END
        FROM s WHERE c.id = s.ai_conversation_id
          AND ((:status = 'closed' AND c.status <> 'completed') OR (:status = 'blocked' AND c.status <> 'paused')
            OR (:status = 'active' AND c.status = 'paused'))
        RETURNING flow.conversation_view(c) AS view
    )
    SELECT s.*, now() AS at, (SELECT c.view::text FROM c) AS conversation FROM s
    """  # noqa: S608 - constant columns
)
_BAR: Final = text(
    """
    UPDATE message_deliveries d SET status = 'dead', error_code = :code, error_message = :message, settled_at = now()
    FROM chat_messages m
    WHERE m.id = d.message_id AND m.generation = d.generation AND d.session_id = :id AND d.status = 'queued'
      AND (m.turn_id IS NOT NULL OR :all)
    RETURNING m.id
    """
)
_CLAIMED: Final = text(
    "SELECT message_id, part_no FROM message_deliveries WHERE session_id = :id AND status = 'attempting'"
)
SESSION_CHANGED: Final = "session_changed"


@dataclass(frozen=True, slots=True)
class Command:
    """A change of a session. None leaves a field as it is.

    `seen_version` (of the owner) and `seen_arrival_no` refuse when somebody, or the person's next message, was faster.
    """

    session_id: UUID
    user_id: UUID
    owner: Owner | None = None
    status: SessionStatus | None = None
    agent_id: UUID | None = None
    reason: str | None = None
    seen_version: int | None = None
    seen_arrival_no: int | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """What a command led to. `claimed`: (message, part) that were being sent already and cannot be called back."""

    session: SessionView
    aggregate: Aggregate
    claimed: list[tuple[UUID, int]]


def _note(command: Command) -> str | None:
    key = {SessionStatus.CLOSED: "close_reason", SessionStatus.BLOCKED: "block_reason"}.get(
        command.status or SessionStatus.ACTIVE
    )
    return outbox.json_text({key: command.reason or ""}) if key else None


async def apply(conn: AsyncConnection, command: Command) -> Changed:
    """Apply a command. Raises NotFoundError, ConflictError when the row moved on or the change makes no sense."""
    row = (await conn.execute(_LOCK, {"id": command.session_id})).one_or_none()
    if row is None:
        raise NotFoundError("No such session")
    _check(command, row)
    session = (
        await conn.execute(
            _APPLY,
            {
                "id": command.session_id,
                "owner": command.owner,
                "user_id": command.user_id if command.owner is Owner.HUMAN else None,
                "status": command.status,
                "agent_id": command.agent_id,
                "note": _note(command),
            },
        )
    ).one()
    view = session_view(mapping(session))
    rows = [outbox.event_row(SessionUpdated(timestamp=session.at, session=view))]
    rows += conversations.updated(row.account_id, session.conversation, session.at)
    rows += await _bar(conn, command, session)
    rows.append(_changed_signal(view))
    aggregate = outbox.session_aggregate(row.account_id, view.id)
    await outbox.write(conn, aggregate, view.version, rows, "")
    if command.owner is Owner.HUMAN or command.status is not None:
        await approvals.cancel_all(
            conn, view.id, "a person took the session" if command.owner else f"session {view.status}"
        )
    claimed = [(one.message_id, one.part_no) for one in await conn.execute(_CLAIMED, {"id": view.id})]
    return Changed(view, aggregate, claimed)


def _changed_signal(view: SessionView) -> dict[str, object]:
    return outbox.signal_row(
        SESSION_CHANGED,
        {
            "session_id": str(view.id),
            "channel_id": str(view.channel_id),
            "platform": view.platform,
            "version": view.version,
        },
    )


def _check(command: Command, row: Row[Any]) -> None:
    if command.seen_version is not None and command.seen_version != row.owner_version:
        raise ConflictError("Somebody else changed this session first", details={"owner_version": row.owner_version})
    if command.seen_arrival_no is not None and command.seen_arrival_no != row.last_arrival_no:
        details: dict[str, object] = {"last_arrival_no": row.last_arrival_no}
        raise ConflictError("The person wrote meanwhile", details=details)
    if command.owner is not None and command.owner == row.owner:
        raise ConflictError(f"The session is with {'a human' if row.owner == 'human' else 'the agent'} already")
    if command.status is not None and command.status == row.status:
        raise ConflictError(f"The session is {row.status} already")


async def _bar(conn: AsyncConnection, command: Command, session: Row[Any]) -> list[dict[str, object]]:
    """End the parts that may not be sent any more, and shape the events that say so (OWNER, ruling 2)."""
    blocked = command.status is SessionStatus.BLOCKED
    if command.owner is not Owner.HUMAN and not blocked:
        return []
    code, why = ("blocked", "The session was blocked") if blocked else ("taken_over", "A human took the session over")
    barred = await conn.execute(_BAR, {"id": command.session_id, "code": code, "message": why, "all": blocked})
    message_ids = {row.id for row in barred}
    return [parts.status_event(await parts.settle_message(conn, one), session.at) for one in message_ids]


_AGENT: Final = text("SELECT id FROM ai_agents WHERE id = :id AND status = 'active'")


async def agent_exists(conn: AsyncConnection, agent_id: UUID) -> bool:
    """Whether the entered account has this agent, active."""
    return (await conn.execute(_AGENT, {"id": agent_id})).one_or_none() is not None
