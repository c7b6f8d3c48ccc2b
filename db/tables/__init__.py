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
from db.tables.devops import (
    code_factory_contracts,
    code_factory_review_states,
    code_factory_runs,
    devops_pipeline_runs,
    devops_pipelines,
    devops_step_executions,
    git_job_logs,
    git_jobs,
    git_repositories,
    git_webhook_deliveries,
)
from db.tables.files import chat_message_attachments
from db.tables.garbage import file_garbage
from db.tables.loops import ai_batch_executions, ai_ralph_loops, circuit_breakers, worktree_sessions
from db.tables.missions import ai_mission_approvals, ai_missions
from db.tables.people import account_subscriptions, analytics_alerts, notifications, plans
from db.tables.plumbing import channel_connections, outbox, worker_heartbeats
from db.tables.previews import reply_previews
from db.tables.runs import agent_executions, ai_dashboards, ai_node_executions, ai_workflow_runs, ai_workflows
from db.tables.teams import agent_team_members, agent_teams, team_channels, team_executions, team_messages
from db.tables.uploads import chat_uploads

__all__ = [
    "account_subscriptions",
    "accounts",
    "agent_executions",
    "agent_team_members",
    "agent_teams",
    "ai_agents",
    "ai_batch_executions",
    "ai_budgets",
    "ai_conversations",
    "ai_dashboards",
    "ai_messages",
    "ai_mission_approvals",
    "ai_missions",
    "ai_node_executions",
    "ai_ralph_loops",
    "ai_workflow_runs",
    "ai_workflows",
    "analytics_alerts",
    "budget_reservations",
    "channel_connections",
    "chat_blacklists",
    "chat_channels",
    "chat_message_attachments",
    "chat_messages",
    "chat_sessions",
    "chat_uploads",
    "circuit_breakers",
    "code_factory_contracts",
    "code_factory_review_states",
    "code_factory_runs",
    "devops_pipeline_runs",
    "devops_pipelines",
    "devops_step_executions",
    "file_garbage",
    "git_job_logs",
    "git_jobs",
    "git_repositories",
    "git_webhook_deliveries",
    "inbound_events",
    "memberships",
    "message_deliveries",
    "metadata",
    "notifications",
    "outbox",
    "plans",
    "reply_previews",
    "revoked_tokens",
    "service_tokens",
    "session_aliases",
    "team_channels",
    "team_executions",
    "team_messages",
    "tool_approvals",
    "turn_steps",
    "turns",
    "users",
    "webhook_deliveries",
    "worker_heartbeats",
    "worktree_sessions",
]
