"""All tables, as SQLAlchemy Core metadata; db/migrations creates them and a test keeps the two equal."""

from db.tables.accounts import accounts, memberships, revoked_tokens, service_tokens, users
from db.tables.aliases import session_aliases
from db.tables.base import metadata
from db.tables.chat import (
    chat_blacklists,
    chat_channels,
    chat_messages,
    chat_sessions,
    inbound_events,
    message_deliveries,
    webhook_deliveries,
)
from db.tables.conversations import (
    ai_agents,
    ai_budgets,
    ai_conversations,
    ai_messages,
    budget_reservations,
    tool_approvals,
    turn_steps,
    turns,
)
from db.tables.files import chat_message_attachments
from db.tables.loops import ai_batch_executions, ai_ralph_loops, circuit_breakers, worktree_sessions
from db.tables.plumbing import channel_connections, outbox, worker_heartbeats
from db.tables.previews import reply_previews
from db.tables.runs import agent_executions, ai_dashboards, ai_node_executions, ai_workflow_runs, ai_workflows
from db.tables.uploads import chat_uploads

__all__ = [
    "accounts",
    "agent_executions",
    "ai_agents",
    "ai_batch_executions",
    "ai_budgets",
    "ai_conversations",
    "ai_dashboards",
    "ai_messages",
    "ai_node_executions",
    "ai_ralph_loops",
    "ai_workflow_runs",
    "ai_workflows",
    "budget_reservations",
    "channel_connections",
    "chat_blacklists",
    "chat_channels",
    "chat_message_attachments",
    "chat_messages",
    "chat_sessions",
    "chat_uploads",
    "circuit_breakers",
    "inbound_events",
    "memberships",
    "message_deliveries",
    "metadata",
    "outbox",
    "reply_previews",
    "revoked_tokens",
    "service_tokens",
    "session_aliases",
    "tool_approvals",
    "turn_steps",
    "turns",
    "users",
    "webhook_deliveries",
    "worker_heartbeats",
    "worktree_sessions",
]
