"""A tool call that waits for a person's word, as REST and the events show it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from domain.views import View


class ToolApprovalView(View):
    """A tool call of an agent that runs only with a person's word; the agent's turn waits for it.

    `arguments`: JSON text as the model wrote it. `status`: `pending`, `approved`, `rejected`, `expired` (nobody answered by
    `expires_at`) or `cancelled` (the turn ended first); everything but `pending` is final.
    """

    id: UUID
    session_id: UUID
    turn_id: UUID
    tool: str
    arguments: str
    status: str
    reason: str | None
    resolved_by: UUID | None
    requested_at: datetime
    expires_at: datetime
    resolved_at: datetime | None
