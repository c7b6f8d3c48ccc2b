"""What migrations give every table of an account: row-level security and the rights of the role that processes connect as."""

from __future__ import annotations

from alembic import context, op
from sqlalchemy import CheckConstraint, Column, ForeignKeyConstraint, Uuid, text


def app_role() -> str:
    """Return the quoted name of the role that the processes connect as."""
    role = context.config.attributes.get("app_role", "powernode_app")
    return op.get_bind().dialect.identifier_preparer.quote(str(role))


def wall(table: str) -> None:
    """Keep a table's rows within their accounts, and let the processes use it."""
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY tenant ON {table} USING (account_id = (SELECT app_account()))"
        " WITH CHECK (account_id = (SELECT app_account()))"
    )
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {app_role()}")


def key() -> Column[object]:
    """Return the id of a table whose primary key is `(id, account_id)`."""
    return Column("id", Uuid(), nullable=False)


def owned(table: str, column: str, parent: str) -> ForeignKeyConstraint:
    """Return the foreign key of `table.column` to `parent` within the same account."""
    return ForeignKeyConstraint(
        ["account_id", column],
        [f"{parent}.account_id", f"{parent}.id"],
        name=op.f(f"fk_{table}_account_id_{column}"),
    )


def one_of(table: str, column: str, values: tuple[str, ...]) -> CheckConstraint:
    """Return the check that `table.column` holds one of these values."""
    names = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(text(f"{column} IN ({names})"), name=op.f(f"ck_{table}_{column}"))
