"""AI agents as administrators see and set them. The turn reads its agent itself (db/functions/30_turns.sql)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid4

import orjson
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.outbox import Aggregate
from db.rows import mapping
from db.watched import tell
from domain.agent_view import AgentDetailView, AgentView
from domain.errors import ConflictError, NotFoundError
from domain.events.runs import AgentChanged, AgentPayload

_SUMMARY: Final = "id, name, slug, agent_type, status, provider, model, tools, created_at, updated_at, version"
_DETAIL: Final = f"{_SUMMARY}, system_prompt, settings"
_LIST: Final = text(f"SELECT {_SUMMARY} FROM ai_agents ORDER BY name, id")  # noqa: S608 - constant columns
_ONE: Final = text(f"SELECT {_DETAIL} FROM ai_agents WHERE id = :id")  # noqa: S608 - constant columns
_CREATE: Final = text(
    f"""
    INSERT INTO ai_agents (id, account_id, name, slug, status, provider, model, system_prompt, tools, settings)
    VALUES (:id, app_account(), :name, :slug, COALESCE(:status, 'active'), :provider, :model,
        COALESCE(:system_prompt, ''), COALESCE(CAST(:tools AS text[]), ARRAY[]::text[]), jsonb_strip_nulls(CAST(:settings AS jsonb)))
    ON CONFLICT (account_id, slug) DO NOTHING RETURNING {_DETAIL}
    """  # noqa: S608 - constant columns
)
_CHANGE: Final = text(
    f"""
    UPDATE ai_agents SET name = COALESCE(:name, name), status = COALESCE(:status, status),
        provider = COALESCE(:provider, provider), model = COALESCE(:model, model),
        system_prompt = COALESCE(:system_prompt, system_prompt), tools = COALESCE(CAST(:tools AS text[]), tools),
        settings = jsonb_strip_nulls(settings || CAST(:settings AS jsonb)), updated_at = now(),
        version = version + 1
    WHERE id = :id RETURNING {_DETAIL}
    """  # noqa: S608 - constant columns
)


@dataclass(frozen=True, slots=True)
class AgentChange:
    """What is to be changed of an agent: None stays as it is. `settings` are merged, those that are null removed."""

    name: str | None = None
    status: str | None = None
    provider: str | None = None
    model: str | None = None
    system_prompt: str | None = None
    tools: Sequence[str] | None = None
    settings: Mapping[str, object] | None = None


def _values(change: AgentChange) -> dict[str, object]:
    return {
        "name": change.name,
        "status": change.status,
        "provider": change.provider,
        "model": change.model,
        "system_prompt": change.system_prompt,
        "tools": None if change.tools is None else list(change.tools),
        "settings": orjson.dumps(dict(change.settings or {})).decode(),
    }


def _detail(row: Row[Any]) -> AgentDetailView:
    return AgentDetailView.model_validate(dict(mapping(row)))


async def listing(conn: AsyncConnection) -> list[AgentView]:
    """Return all agents of the entered account."""
    return [AgentView.model_validate(dict(mapping(row))) for row in await conn.execute(_LIST)]


async def get(conn: AsyncConnection, agent_id: UUID) -> AgentDetailView:
    """Return one. Raises NotFoundError."""
    row = (await conn.execute(_ONE, {"id": agent_id})).one_or_none()
    if row is None:
        raise NotFoundError("No such agent")
    return _detail(row)


async def announce(conn: AsyncConnection, account_id: UUID, agent: AgentDetailView) -> Aggregate:
    """Tell who watches the agents of an agent that the caller's transaction has just made or changed."""
    view = AgentView.model_validate(agent.model_dump(include=set(AgentView.model_fields)))
    event = AgentChanged(
        account_id=account_id,
        timestamp=agent.updated_at,
        event="agent.created" if agent.version == 1 else "agent.updated",
        resource_id=str(agent.id),
        payload=AgentPayload(agent=view),
    )
    return await tell(conn, Aggregate(account_id, f"agent:{agent.id}"), agent.version, [event])


async def create(conn: AsyncConnection, slug: str, first: AgentChange) -> AgentDetailView:
    """Create one; name, provider and model must be given. Raises ConflictError when the slug is taken."""
    row = (await conn.execute(_CREATE, {**_values(first), "id": uuid4(), "slug": slug})).one_or_none()
    if row is None:
        raise ConflictError(f"There is an agent {slug} already", details={"field": "agent.slug"})
    return _detail(row)


async def change(conn: AsyncConnection, agent_id: UUID, wanted: AgentChange) -> AgentDetailView:
    """Change what is given. Raises NotFoundError."""
    row = (await conn.execute(_CHANGE, {**_values(wanted), "id": agent_id})).one_or_none()
    if row is None:
        raise NotFoundError("No such agent")
    return _detail(row)
