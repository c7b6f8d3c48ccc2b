"""Agents, the conversations they hold, and the turns and steps by which an answer comes about.

A step is stored by the activity that made it and found again on a retry: that is what keeps a reply single (ONCE-IN).
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from db.tables.base import account, json_column, metadata, moment, one_of, owned, status_column, tenant_key, uuid_key
from domain.agent import TurnStatus
from domain.budget import BudgetPeriod

ai_agents = Table(
    "ai_agents",
    metadata,
    uuid_key(),
    account(),
    Column("name", Text, nullable=False),
    Column("slug", Text, nullable=False),
    status_column("agent_type", "assistant"),
    status_column("status", "active"),
    Column("provider", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("system_prompt", Text, nullable=False, server_default=""),
    Column("tools", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    json_column("settings"),
    moment("created_at", required=True),
    moment("updated_at", required=True),
    one_of("status", ("active", "inactive", "paused", "error", "archived")),
    UniqueConstraint("account_id", "slug"),
    tenant_key(),
)

ai_conversations = Table(
    "ai_conversations",
    metadata,
    uuid_key(),
    account(),
    Column("conversation_id", Text, nullable=False, unique=True),
    status_column("conversation_type", "agent"),
    status_column("status", "active"),
    Column("title", Text),
    Column("ai_agent_id", Uuid),
    Column("last_sequence", BigInteger, nullable=False, server_default=text("0")),
    Column("message_count", Integer, nullable=False, server_default=text("0")),
    Column("total_tokens", BigInteger, nullable=False, server_default=text("0")),
    Column("total_cost", Numeric(10, 4), nullable=False, server_default=text("0")),
    json_column("metadata"),
    moment("last_activity_at", required=True),
    moment("created_at", required=True),
    one_of("status", ("active", "paused", "completed", "archived")),
    tenant_key(),
    owned("ai_agent_id", "ai_agents"),
)

ai_messages = Table(
    "ai_messages",
    metadata,
    uuid_key(),
    account(),
    Column("conversation_id", Uuid, nullable=False),
    Column("message_id", Text, nullable=False, unique=True),
    Column("role", Text, nullable=False),
    Column("content", Text, nullable=False),
    status_column("message_type", "text"),
    status_column("status", "sent"),
    Column("sequence_number", BigInteger, nullable=False),
    Column("user_id", Uuid),
    Column("ai_agent_id", Uuid),
    Column("token_count", Integer, nullable=False, server_default=text("0")),
    Column("cost_usd", Numeric(8, 4), nullable=False, server_default=text("0")),
    json_column("content_metadata"),
    json_column("edit_history", "[]"),
    Column("is_edited", Boolean, nullable=False, server_default=text("false")),
    moment("edited_at"),
    moment("deleted_at"),
    Column("error_message", Text),
    moment("created_at", required=True),
    moment("processed_at"),
    one_of("role", ("system", "user", "assistant", "function")),
    one_of("status", ("sent", "processing", "completed", "failed")),
    CheckConstraint("sequence_number > 0", name="sequence"),
    UniqueConstraint("conversation_id", "sequence_number"),
    tenant_key(),
    owned("conversation_id", "ai_conversations"),
    owned("ai_agent_id", "ai_agents"),
)

turns = Table(
    "turns",
    metadata,
    uuid_key(),
    account(),
    Column("conversation_id", Uuid, nullable=False),
    Column("session_id", Uuid),
    Column("agent_id", Uuid),
    Column("message_ids", ARRAY(Uuid), nullable=False),
    status_column("status", "running"),
    Column("reason", Text),
    Column("input_tokens", Integer, nullable=False, server_default=text("0")),
    Column("output_tokens", Integer, nullable=False, server_default=text("0")),
    Column("trace_id", Text, nullable=False),
    moment("created_at", required=True),
    moment("finished_at"),
    one_of("status", TurnStatus),
    tenant_key(),
    owned("conversation_id", "ai_conversations"),
    owned("agent_id", "ai_agents"),
    Index("ix_turns_trace", "trace_id"),
)

turn_steps = Table(
    "turn_steps",
    metadata,
    account(),
    Column("turn_id", Uuid, primary_key=True),
    Column("step", Integer, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("request", JSONB, nullable=False),
    Column("response", JSONB, nullable=False),
    Column("input_tokens", Integer, nullable=False, server_default=text("0")),
    Column("output_tokens", Integer, nullable=False, server_default=text("0")),
    moment("created_at", required=True),
    one_of("kind", ("model", "tool")),
    owned("turn_id", "turns"),
)

ai_budgets = Table(
    "ai_budgets",
    metadata,
    uuid_key(),
    account(),
    Column("agent_id", Uuid),
    Column("period", Text, nullable=False),
    Column("cap_tokens", BigInteger, nullable=False),
    Column("spent_tokens", BigInteger, nullable=False, server_default=text("0")),
    Column("reserved_tokens", BigInteger, nullable=False, server_default=text("0")),
    moment("period_started_at", required=True),
    Column("version", BigInteger, nullable=False, server_default=text("1")),
    moment("created_at", required=True),
    one_of("period", BudgetPeriod),
    CheckConstraint("cap_tokens >= 0 AND spent_tokens >= 0 AND reserved_tokens >= 0", name="tokens"),
    tenant_key(),
    owned("agent_id", "ai_agents"),
    Index("uq_ai_budgets_scope", "account_id", "agent_id", "period", unique=True, postgresql_nulls_not_distinct=True),
)

budget_reservations = Table(
    "budget_reservations",
    metadata,
    account(),
    Column("turn_id", Uuid, primary_key=True),
    Column("step", Integer, primary_key=True),
    Column("tokens", BigInteger, nullable=False),
    Column("budget_ids", ARRAY(Uuid), nullable=False),
    moment("created_at", required=True),
    owned("turn_id", "turns"),
    Index("ix_budget_reservations_age", "created_at"),
)
