"""An agent hands a session to the humans: it stays theirs until one of them hands it back."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_MARK: Final = text(
    """
    UPDATE chat_sessions SET user_metadata = user_metadata || jsonb_build_object(
            'needs_human', true, 'escalated_at', now(), 'escalation_reason', CAST(:reason AS text)),
        agent_handoff_count = agent_handoff_count + CASE WHEN user_metadata ? 'needs_human' THEN 0 ELSE 1 END,
        version = version + 1
    WHERE id = :session_id
    """
)


async def hand_to_human(conn: AsyncConnection, session_id: UUID, reason: str) -> None:
    """Mark a session as waiting for a human. Ownership moves when the closing words are recorded."""
    await conn.execute(_MARK, {"session_id": session_id, "reason": reason[:500]})
