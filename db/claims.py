"""What becomes of a claimed part that has not ended: given back, tried again later, held, or ended with the rest (ruling 1).

Written only while the claim is still the same. Called by activities/outcomes.py; claims are taken in deliveries.py.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.part_rows import Change

_REQUEUE: Final = text(
    """
    UPDATE message_deliveries SET status = 'queued', claim_id = NULL, next_attempt_at = now() + make_interval(secs => :wait_s),
        as_plain = as_plain OR :as_plain, payload = COALESCE(CAST(:payload AS jsonb), payload), error_code = :error_code, error_message = :error_message
    WHERE id = :id AND claim_id = :claim_id
    """
)
_GIVE_BACK: Final = text(
    """
    UPDATE message_deliveries SET status = 'queued', claim_id = NULL, attempts = attempts - 1,
        first_attempt_at = CASE WHEN attempts > 1 THEN first_attempt_at END, next_attempt_at = now() + make_interval(secs => :wait_s)
    WHERE id = :id AND claim_id = :claim_id
    """
)
_KEEP_REF: Final = text(
    "UPDATE message_deliveries SET upload_ref = :upload_ref WHERE id = :id AND claim_id = :claim_id RETURNING id"
)
_HOLD: Final = text(
    "UPDATE message_deliveries SET error_code = :error_code, error_message = :error_message"
    " WHERE id = :id AND claim_id = :claim_id"
)
_KILL_REST: Final = text(
    """
    UPDATE message_deliveries SET status = 'dead', error_code = :error_code, error_message = :error_message,
        settled_at = now(), claim_id = NULL
    WHERE message_id = :message_id AND generation = :generation AND status = 'queued'
    """
)


async def requeue(conn: AsyncConnection, part_id: UUID, claim_id: UUID, error: tuple[str, str], change: Change) -> None:
    """Give a part back, to be tried again; no effect when the claim is not ours any more."""
    await conn.execute(
        _REQUEUE,
        {
            "id": part_id,
            "claim_id": claim_id,
            "wait_s": change.wait_s,
            "as_plain": change.as_plain,
            "payload": None if change.payload is None else change.payload.model_dump_json(),
            "error_code": error[0],
            "error_message": error[1][:1000],
        },
    )


async def give_back(conn: AsyncConnection, part_id: UUID, claim_id: UUID, wait_s: float) -> None:
    """Undo a claim under which nothing was sent: it counts as no attempt; no effect when the claim is not ours any more."""
    await conn.execute(_GIVE_BACK, {"id": part_id, "claim_id": claim_id, "wait_s": wait_s})


async def keep_ref(conn: AsyncConnection, part_id: UUID, claim_id: UUID, upload_ref: str) -> bool:
    """Note what a part's upload is called at the platform; False when the claim is not ours any more."""
    kept = await conn.execute(_KEEP_REF, {"id": part_id, "claim_id": claim_id, "upload_ref": upload_ref})
    return kept.one_or_none() is not None


async def hold(conn: AsyncConnection, part_id: UUID, claim_id: UUID, error: tuple[str, str]) -> None:
    """Note why a claimed part has no result yet; it stays claimed until its deadline and grace are over."""
    await conn.execute(
        _HOLD, {"id": part_id, "claim_id": claim_id, "error_code": error[0], "error_message": error[1][:1000]}
    )


async def kill_rest(conn: AsyncConnection, message_id: UUID, generation: int, error: tuple[str, str]) -> None:
    """End all parts that were not tried: nobody sends the second half of a message whose first half was refused."""
    await conn.execute(
        _KILL_REST,
        {"message_id": message_id, "generation": generation, "error_code": error[0], "error_message": error[1][:1000]},
    )
