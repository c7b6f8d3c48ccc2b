"""Outbound messages become rows: the AI's reply, an operator's answer, a notice, an explicit retry.

One transaction writes the conversation's message, the chat message, its parts and the outbox. A turn has one reply at
most: the unique index on `turn_id` says so, and a second writer is given the first one's message (ONCE-IN).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final
from uuid import UUID, uuid4, uuid5

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from db import outbox
from db.calls import dumps
from db.outbox import Aggregate
from db.outgoing import Outgoing
from db.rows import MESSAGE_COLUMNS, MESSAGE_TYPES, mapping, message_view
from db.session import Database
from db.turns import StepRow
from domain.sanitize import storable
from domain.views import MessageView

_RECORD: Final = text("SELECT flow.record_outgoing(app_account(), CAST(:out AS jsonb))").columns(record_outgoing=JSONB)
_REPLY: Final = "SELECT flow.record_reply($1, $2, $3)"
_FINISH: Final = "SELECT flow.finish_turn($1, $2, $3)"
_EXISTING: Final = text(
    f"""
    SELECT {MESSAGE_COLUMNS} FROM chat_messages m
    WHERE m.direction = 'outbound' AND m.session_id = :session_id
      AND (m.turn_id = :turn_id OR m.client_id = :client_id)
    """  # noqa: S608 - constant columns
).columns(**MESSAGE_TYPES)
_LOCK: Final = text("SELECT owner, status FROM chat_sessions WHERE id = :id FOR UPDATE")
DELIVER_RECORDED: Final = "deliver_recorded"
_REPLY_NAMESPACE: Final = UUID("6f6d2b1e-2d0f-4a62-9b39-0f3b9a4f6d11")


def reply_public_id(turn_id: UUID) -> str:
    """Return the public id that a turn's reply will have: deltas carry it before the reply is recorded."""
    return str(uuid5(_REPLY_NAMESPACE, str(turn_id)))


async def existing(conn: AsyncConnection, out: Outgoing) -> MessageView | None:
    """Return the message that this turn, or this client id, has stored before."""
    found = await conn.execute(
        _EXISTING, {"session_id": out.session_id, "turn_id": out.turn_id, "client_id": out.client_id}
    )
    row = found.one_or_none()
    return None if row is None else message_view(mapping(row))


async def owner_of(conn: AsyncConnection, session_id: UUID) -> tuple[str, str] | None:
    """Lock a session's row and return (owner, status); None when the account has no such session."""
    row = (await conn.execute(_LOCK, {"id": session_id})).one_or_none()
    return None if row is None else (row.owner, row.status)


def _as_json(out: Outgoing) -> dict[str, object]:
    """Return the `o` of `flow.record_outgoing`."""
    return {
        "session_id": out.session_id,
        "content": storable(out.content),
        "message_type": out.message_type.value,
        "parts": [part.as_json() for part in out.parts],
        "trace_id": out.trace_id,
        "turn_id": out.turn_id,
        "public_id": reply_public_id(out.turn_id) if out.turn_id else str(uuid4()),
        "user_id": out.user_id,
        "user_name": out.user_name,
        "client_id": out.client_id,
        "answers": out.answers,
        "handled": out.handled,
        "processed_no": out.processed_no,
        "failure": out.failure,
        "closing": out.closing,
        "signal": out.signal,
    }


async def record(conn: AsyncConnection, account_id: UUID, out: Outgoing) -> tuple[MessageView, Aggregate]:
    """Store an outbound message. The caller has locked the session (`owner_of`) and looked for an existing one."""
    stored = (await conn.execute(_RECORD, {"out": dumps(_as_json(out))})).scalar_one()
    return MessageView.model_validate(stored), outbox.session_aggregate(account_id, out.session_id)


@dataclass(frozen=True, slots=True)
class Reply:
    """A turn's stored reply."""

    message_id: str
    generation: int
    trace_id: str


async def record_reply(db: Database, account_id: UUID, out: Outgoing, *, skipped: str = "") -> Reply | None:
    """Store a turn's reply, or find it again; None when there is to be none, with the reason on the turn.

    There is none when `skipped` says why, when a human has the session by now, when it is blocked, or when there is
    nothing to say. Idempotent by `turn_id`. Raises UnavailableError.
    """
    row = await db.call(_REPLY, account_id, _as_json(out), skipped)
    return _reply(row[0] if row else None)


async def finish_turn(db: Database, account_id: UUID, step: StepRow, out: Outgoing) -> tuple[bool, Reply | None]:
    """Store the step that ends a turn and its reply, in one round trip. Returns whether the step was new, and the reply.

    A step that was stored before stands: nothing is recorded, its own text is to be. Otherwise as `record_reply`.
    """
    row = await db.call(_FINISH, account_id, asdict(step), _as_json(out))
    found: dict[str, Any] | None = row[0] if row else None
    return found is not None, _reply(found)


def _reply(found: dict[str, Any] | None) -> Reply | None:
    if found is None or "message_id" not in found:
        return None
    return Reply(found["message_id"], found["generation"], found["trace_id"])


def signal_for(view: MessageView, channel_id: UUID, platform: str) -> dict[str, object]:
    """Shape the outbox row that tells the session's workflow to deliver a message."""
    return outbox.signal_row(
        DELIVER_RECORDED,
        {
            "session_id": str(view.session_id),
            "channel_id": str(channel_id),
            "platform": platform,
            "message_id": str(view.id),
            "generation": view.generation,
        },
    )
