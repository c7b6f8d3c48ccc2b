"""Connections: one pooled engine per process, transactions that know their account from the first round trip.

Row-level security looks at `app.account_id`; it is set for the transaction only, so that a pooled connection never
carries one account into another's request. Called by api and activities; nothing else opens a connection.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, NewType
from uuid import UUID

import orjson
from sqlalchemy import bindparam, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from domain.errors import UnavailableError

AccountId = NewType("AccountId", UUID)

_ENTER: Final = text("SELECT set_config('app.account_id', :account_id, true)").bindparams(bindparam("account_id"))
_CONNECTION_LOST: Final = ("08", "57P", "53")
"""SQLSTATE classes that mean the server is away or full: connection, operator intervention, resources."""


def async_url(url: str) -> str:
    """Return a libpq-style URL with the asyncpg driver named, as SQLAlchemy wants it."""
    scheme, _, rest = url.partition("://")
    return f"postgresql+asyncpg://{rest}" if scheme in {"postgres", "postgresql"} else url


def _dumps(value: object) -> str:
    return orjson.dumps(value).decode()


def is_unavailable(error: BaseException) -> bool:
    """Whether the error says that Postgres cannot be reached just now, as opposed to having refused a statement."""
    if isinstance(error, OSError | TimeoutError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated or isinstance(error, InterfaceError):
        return True
    state = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)
    if isinstance(state, str):
        return state.startswith(_CONNECTION_LOST)
    return isinstance(error, OperationalError)


class Database:
    """The engine of one process. Every way in is a transaction, committed when its block ends without an error."""

    def __init__(self, url: str, *, pool_size: int = 10, max_overflow: int = 10) -> None:
        self._engine: AsyncEngine = create_async_engine(
            async_url(url),
            pool_size=pool_size,
            max_overflow=max_overflow,
            pool_timeout=5,
            json_serializer=_dumps,
            json_deserializer=json.loads,
            connect_args={"timeout": 5, "command_timeout": 15, "server_settings": {"application_name": "powernode"}},
        )

    @asynccontextmanager
    async def account(self, account_id: AccountId | UUID) -> AsyncIterator[AsyncConnection]:
        """Open a transaction inside one account. Raises UnavailableError when Postgres cannot be reached."""
        async with self.open() as conn:
            await conn.execute(_ENTER, {"account_id": str(account_id)})
            yield conn

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction without an account: it sees no tenant's rows until a statement enters one."""
        try:
            async with self._engine.begin() as conn:
                yield conn
        except Exception as error:
            if is_unavailable(error):
                raise UnavailableError("The database does not answer; try again shortly") from error
            raise

    async def close(self) -> None:
        """Close all pooled connections."""
        await self._engine.dispose()
