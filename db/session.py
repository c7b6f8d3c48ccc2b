"""Connections: one pooled engine per process, transactions that know their account from the first round trip.

The hot path has a second way in, `call`: one function, one round trip (see calls.py and functions/).

Row-level security looks at `app.account_id`; it is set for the transaction only, so that a pooled connection never
carries one account into another's request. Called by api and activities; nothing else opens a connection.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from typing import Final, NewType
from uuid import UUID

import asyncpg
import orjson
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from db.calls import SERVER_SETTINGS, Calls, Connection, Record
from domain.errors import UnavailableError

AccountId = NewType("AccountId", UUID)

_entering: Final[ContextVar[UUID | None]] = ContextVar("entering", default=None)
_AWAY: Final = "The database does not answer; try again shortly"
_CONNECTION_LOST: Final = ("08", "57P", "53")
"""SQLSTATE classes that mean the server is away or full: connection, operator intervention, resources."""


class _Connection(asyncpg.Connection):
    """Enters the account in the same round trip that begins the transaction."""

    async def execute(self, query: str, *args: object, timeout: float | None = None) -> str:  # noqa: ASYNC109 - theirs
        """Run a command; `BEGIN` is followed by the account of the transaction being opened, if there is one."""
        account_id = _entering.get()
        if account_id is not None and query.startswith("BEGIN"):
            query = f"{query} SET LOCAL app.account_id = '{account_id}'"
        return await super().execute(query, *args, timeout=timeout)


def async_url(url: str) -> str:
    """Return a libpq-style URL with the asyncpg driver named, as SQLAlchemy wants it."""
    scheme, _, rest = url.partition("://")
    return f"postgresql+asyncpg://{rest}" if scheme in {"postgres", "postgresql"} else url


def _dumps(value: object) -> str:
    return orjson.dumps(value).decode()


def is_unavailable(error: BaseException) -> bool:
    """Whether the error says that Postgres cannot be reached just now, as opposed to having refused a statement."""
    if isinstance(error, OSError | TimeoutError | asyncpg.InterfaceError | asyncpg.InternalClientError):
        return True
    if isinstance(error, asyncpg.PostgresError):
        return str(error.sqlstate).startswith(_CONNECTION_LOST)
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

    def __init__(self, url: str, *, pool_size: int = 12, max_overflow: int = 0) -> None:
        self._calls = Calls(url, size=pool_size)
        self._engine: AsyncEngine = create_async_engine(
            async_url(url),
            pool_size=pool_size,
            max_overflow=max_overflow,
            pool_timeout=5,
            # The last one used first: its statements are prepared, its caches warm; the others are for bursts.
            pool_use_lifo=True,
            # Error texts reach logs; what people wrote and sealed credentials do not.
            hide_parameters=True,
            json_serializer=_dumps,
            json_deserializer=json.loads,
            connect_args={
                "connection_class": _Connection,
                "timeout": 5,
                "command_timeout": 15,
                "server_settings": SERVER_SETTINGS,
            },
        )

    def account(self, account_id: AccountId | UUID) -> AbstractAsyncContextManager[AsyncConnection]:
        """Open a transaction inside one account. Raises UnavailableError when Postgres cannot be reached."""
        return self._transaction(UUID(str(account_id)))

    def open(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Open a transaction without an account: it sees no tenant's rows until a statement enters one."""
        return self._transaction(None)

    @asynccontextmanager
    async def _transaction(self, account_id: UUID | None) -> AsyncGenerator[AsyncConnection]:
        outer = _entering.get()
        _entering.set(account_id)
        try:
            async with self._engine.begin() as conn:
                yield conn
        except Exception as error:
            if is_unavailable(error):
                raise UnavailableError(_AWAY) from error
            raise
        finally:
            _entering.set(outer)

    async def call(self, statement: str, *arguments: object) -> Record | None:
        """Call a function of `flow` and return its row. Raises UnavailableError; other driver errors as they are."""
        try:
            return await self._calls.call(statement, *arguments)
        except Exception as error:
            if is_unavailable(error):
                raise UnavailableError(_AWAY) from error
            raise

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[Connection]:
        """Hold one driver connection for several calls. Raises UnavailableError."""
        try:
            async with self._calls.connection() as conn:
                yield conn
        except Exception as error:
            if is_unavailable(error):
                raise UnavailableError(_AWAY) from error
            raise

    async def close(self) -> None:
        """Close all pooled connections."""
        await self._calls.close()
        await self._engine.dispose()
