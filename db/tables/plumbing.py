"""The outbox (what must leave Postgres for Temporal and Redis), who holds which socket, and the workers' sign of life."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKeyConstraint, Identity, Index, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from db.tables.base import account, json_column, metadata, moment, one_of, status_column
from domain.connection import ConnectionState

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    account(),
    Column("aggregate", Text, nullable=False),
    Column("aggregate_version", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("streams", ARRAY(Text), nullable=False),
    Column("data", JSONB, nullable=False),
    Column("trace_id", Text, nullable=False),
    moment("created_at", required=True),
    one_of("kind", ("signal", "event", "arrival")),
    Index("ix_outbox_order", "aggregate", "aggregate_version", "id"),
)

worker_heartbeats = Table(
    "worker_heartbeats",
    metadata,
    Column("worker_id", Text, primary_key=True),
    Column("queues", ARRAY(Text), nullable=False),
    moment("started_at", required=True),
    moment("seen_at", required=True),
)

channel_connections = Table(
    "channel_connections",
    metadata,
    Column("channel_id", Uuid, primary_key=True),
    account(),
    Column("fence", BigInteger, nullable=False, server_default=text("0")),
    status_column("state", "connecting"),
    json_column("position"),
    Column("last_error", Text),
    moment("last_error_at"),
    moment("connected_at"),
    moment("heard_at"),
    moment("held_at", required=True),
    one_of("state", ConnectionState),
    ForeignKeyConstraint(
        ["account_id", "channel_id"], ["chat_channels.account_id", "chat_channels.id"], ondelete="CASCADE"
    ),
)
