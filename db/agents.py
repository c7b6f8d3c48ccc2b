"""AI agents as readers see them."""

from __future__ import annotations

from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.rows import mapping
from domain.views import AgentView

_LIST: Final = text(
    "SELECT id, name, slug, agent_type, status, provider, model, tools, created_at FROM ai_agents ORDER BY name, id"
)


async def listing(conn: AsyncConnection) -> list[AgentView]:
    """Return all agents of the entered account."""
    return [AgentView.model_validate(dict(mapping(row))) for row in await conn.execute(_LIST)]
