"""Who may do what: accounts, people, their roles, and tokens."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, LargeBinary, Table, Text, Uuid, func, text
from sqlalchemy.dialects.postgresql import ARRAY

from db.tables.base import account, metadata, moment, one_of, status_column, uuid_key
from domain.people import AccountStatus
from domain.permissions import Role

accounts = Table(
    "accounts",
    metadata,
    uuid_key(),
    Column("name", Text, nullable=False),
    Column("slug", Text, nullable=False, unique=True),
    status_column("status", "active"),
    Column("version", BigInteger, nullable=False, server_default=text("1")),
    moment("created_at", required=True),
    moment("updated_at", required=True),
    one_of("status", AccountStatus),
)

users = Table(
    "users",
    metadata,
    uuid_key(),
    Column("email", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("is_active", Boolean, nullable=False, server_default=text("true")),
    Column("platform_admin", Boolean, nullable=False, server_default=text("false")),
    moment("tokens_valid_after"),
    moment("created_at", required=True),
    Index("uq_users_email", func.lower(text("email")), unique=True),
)

memberships = Table(
    "memberships",
    metadata,
    Column("account_id", Uuid, ForeignKey("accounts.id"), primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id"), primary_key=True),
    Column("role", Text, nullable=False),
    moment("created_at", required=True),
    one_of("role", Role),
)

revoked_tokens = Table(
    "revoked_tokens",
    metadata,
    Column("token_id", Text, primary_key=True),
    moment("expires_at", required=True),
    moment("revoked_at", required=True),
)

service_tokens = Table(
    "service_tokens",
    metadata,
    uuid_key(),
    account(),
    Column("name", Text, nullable=False),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("permissions", ARRAY(Text), nullable=False),
    Column("stream_prefixes", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    moment("created_at", required=True),
    moment("last_used_at"),
    moment("revoked_at"),
)
