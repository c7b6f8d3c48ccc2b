"""Messages in teams' channels: written under the channel's lock, so that their numbers have no gaps; read by page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import Row, insert, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from db.outbox import Aggregate
from db.paging import fetch_page
from db.rows import mapping
from db.tables import team_messages
from db.telling import tell
from domain.errors import NotFoundError
from domain.events.teams import TeamMessageCreated
from domain.teams import Priority, TeamMessageType, TeamMessageView

_ROLE: Final = """
    (SELECT jsonb_build_object('id', r.id, 'role_name', r.role, 'agent_name', a.name)
     FROM agent_team_members r JOIN ai_agents a ON a.id = r.agent_id WHERE r.id = m.{column}) AS {name}
"""
_COLUMNS: Final = f"""
    m.id, m.content, m.message_type, m.priority, {_ROLE.format(column="from_role_id", name="from_role")},
    {_ROLE.format(column="to_role_id", name="to_role")},
    (SELECT jsonb_build_object('id', u.id, 'name', u.name, 'email', u.email) FROM users u WHERE u.id = m.user_id) AS user,
    m.requires_response, m.responded_at, m.sequence_number, m.created_at, m.version
"""  # noqa: S608 - constant columns
_TYPES: Final[dict[str, Any]] = {"from_role": JSONB, "to_role": JSONB, "user": JSONB}
_ONE: Final = text(f"SELECT {_COLUMNS} FROM team_messages m WHERE m.id = :id").columns(  # noqa: S608 - constant columns
    **_TYPES
)
_LIST: Final = text(
    f"""
    SELECT {_COLUMNS}, count(*) OVER () AS total FROM team_messages m
    WHERE m.channel_id = :channel_id ORDER BY m.sequence_number DESC LIMIT :limit OFFSET :offset
    """  # noqa: S608 - constant columns
).columns(**_TYPES)
_NEXT: Final = text(
    "UPDATE team_channels SET last_sequence = last_sequence + 1, version = version + 1 WHERE id = :id"
    " RETURNING account_id, last_sequence, version, now() AS at"
)


@dataclass(frozen=True, slots=True)
class TeamMessageDraft:
    """What is to be written. Said by a member (`from_role_id`) or a person (`user_id`) of the account."""

    content: str
    message_type: TeamMessageType = TeamMessageType.TASK_UPDATE
    priority: Priority = Priority.NORMAL
    from_role_id: UUID | None = None
    to_role_id: UUID | None = None
    user_id: UUID | None = None
    team_execution_id: UUID | None = None
    in_reply_to_id: UUID | None = None
    requires_response: bool = False


def _view(row: Row[Any]) -> TeamMessageView:
    names = TeamMessageView.model_fields
    return TeamMessageView.model_validate({name: value for name, value in mapping(row).items() if name in names})


async def post(conn: AsyncConnection, channel_id: UUID, draft: TeamMessageDraft) -> tuple[TeamMessageView, Aggregate]:
    """Write a message and tell who watches the channel. Raises NotFoundError for no such channel."""
    channel = (await conn.execute(_NEXT, {"id": channel_id})).one_or_none()
    if channel is None:
        raise NotFoundError("No such channel")
    message_id = uuid4()
    values = {
        "id": message_id, "account_id": channel.account_id, "channel_id": channel_id,
        "sequence_number": channel.last_sequence, "content": draft.content, "message_type": draft.message_type.value,
        "priority": draft.priority.value, "from_role_id": draft.from_role_id, "to_role_id": draft.to_role_id,
        "user_id": draft.user_id, "team_execution_id": draft.team_execution_id,
        "in_reply_to_id": draft.in_reply_to_id, "requires_response": draft.requires_response,
    }  # fmt: skip
    await conn.execute(insert(team_messages).values(values))
    view = _view((await conn.execute(_ONE, {"id": message_id})).one())
    event = TeamMessageCreated(channel_id=channel_id, message=view, timestamp=channel.at)
    aggregate = Aggregate(channel.account_id, f"team_channel:{channel_id}")
    return view, await tell(conn, aggregate, channel.version, event)


async def listing(
    conn: AsyncConnection, channel_id: UUID, *, limit: int, offset: int
) -> tuple[list[TeamMessageView], int]:
    """Return a page, the latest first, and how many there are."""
    rows, total = await fetch_page(conn, _LIST, {"channel_id": channel_id}, limit=limit, offset=offset)
    return [_view(row) for row in rows], total
