"""What all tables share: the metadata, column shorthands, and foreign keys that carry the account.

A foreign key that includes `account_id` makes a row of one account unable to point at a row of another (TENANT),
whatever the code above does.
"""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    MetaData,
    PrimaryKeyConstraint,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def uuid_key() -> Column[object]:
    """Return the usual primary key: a UUID made by the writer, so that it is known before the insert."""
    return Column("id", Uuid, primary_key=True)


def uuid_id() -> Column[object]:
    """Return the same UUID for a table whose primary key is `tenant_key`."""
    return Column("id", Uuid, nullable=False)


def account() -> Column[object]:
    """Return the tenant column that row-level security looks at."""
    return Column("account_id", Uuid, nullable=False)


def moment(name: str, *, required: bool = False) -> Column[object]:
    """Return a timestamp column; a required one defaults to now."""
    return Column(name, DateTime(timezone=True), nullable=not required, server_default=func.now() if required else None)


def json_column(name: str, default: str = "{}") -> Column[object]:
    """Return a JSON column that is never null."""
    return Column(name, JSONB, nullable=False, server_default=text(f"'{default}'::jsonb"))


def one_of(column: str, values: type[StrEnum] | tuple[str, ...]) -> CheckConstraint:
    """Return a check that `column` holds one of the enum's values."""
    names = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(text(f"{column} IN ({names})"), name=column)


def status_column(name: str, default: str) -> Column[object]:
    """Return a text column with a default, to be paired with `one_of`."""
    return Column(name, Text, nullable=False, server_default=default)


def tenant_key() -> PrimaryKeyConstraint:
    """Return the primary key of a table that `owned` foreign keys point at: one index for both, since every insert pays
    for each.

    `id` comes first: led by the account, the index would tempt the planner of a young table, whose statistics say
    nothing yet, to read a whole account where row-level security names it.
    """
    return PrimaryKeyConstraint("id", "account_id")


def owned(column: str, parent: str) -> ForeignKeyConstraint:
    """Return a foreign key to `parent` within the same account."""
    return ForeignKeyConstraint(["account_id", column], [f"{parent}.account_id", f"{parent}.id"])


def person(column: str) -> ForeignKeyConstraint:
    """Return a foreign key to a person of the same account; the row goes when they leave it."""
    return ForeignKeyConstraint(
        ["account_id", column], ["memberships.account_id", "memberships.user_id"], ondelete="CASCADE"
    )
