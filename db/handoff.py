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
_HAND_OVER: Final = text(
    """
    UPDATE chat_sessions SET owner = 'human', owner_version = owner_version + 1, version = version + 1
    WHERE id = :session_id AND owner = 'ai' AND user_metadata ? 'needs_human'
    """
)


async def hand_to_human(conn: AsyncConnection, session_id: UUID, reason: str) -> None:
    """Mark a session as waiting for a human. Ownership moves with `complete_handoff`, once the closing words are sent."""
    await conn.execute(_MARK, {"session_id": session_id, "reason": reason[:500]})


async def complete_handoff(conn: AsyncConnection, session_id: UUID) -> None:
    """Move a session that waits for a human into human hands: the agent answers no further message in it."""
    await conn.execute(_HAND_OVER, {"session_id": session_id})
