"""Bring a database to the current schema. Called by `powernode migrate`, the compose file's migrate job and tests.

Runs as the owner of the tables; the processes themselves connect as the app role, to which row-level security
applies. The functions of the hot path are replaced every time. Safe to run twice and from two places at once: an advisory lock makes the second wait and find nothing to do.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from db import functions
from db.session import async_url

_FOLDER: Final = Path(__file__).parent / "migrations"
_LOCK: Final = 7_220_101


def alembic_config(connection: Connection) -> Config:
    """Return Alembic's configuration bound to an open connection."""
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection, app_role: str) -> None:
    connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
    config = alembic_config(connection)
    config.attributes["app_role"] = app_role
    command.upgrade(config, "head")


def _downgrade(connection: Connection, app_role: str) -> None:
    config = alembic_config(connection)
    config.attributes["app_role"] = app_role
    command.downgrade(config, "base")


async def _script(conn: AsyncConnection, script: str) -> None:
    """Run several statements at once, inside the open transaction, as only the driver can."""
    raw = await conn.get_raw_connection()
    driver = raw.driver_connection
    assert driver is not None
    await driver.execute(script)


async def _run(owner_url: str, app_role: str, *, down: bool) -> None:
    engine = create_async_engine(async_url(owner_url), poolclass=NullPool)
    quoted = engine.dialect.identifier_preparer.quote(app_role)
    try:
        async with engine.begin() as conn:
            if down:
                await _script(conn, functions.REMOVE_SCRIPT)
                await conn.run_sync(_downgrade, app_role)
            else:
                await conn.run_sync(_upgrade, app_role)
                await _script(conn, functions.install_script(quoted))
    finally:
        await engine.dispose()


def upgrade(owner_url: str, app_role: str = "powernode_app") -> None:
    """Apply all missing steps. `app_role` must exist; it is granted what the processes need, and no more."""
    asyncio.run(_run(owner_url, app_role, down=False))


def downgrade(owner_url: str, app_role: str = "powernode_app") -> None:
    """Take all steps back (tests, and a person who knows what they do)."""
    asyncio.run(_run(owner_url, app_role, down=True))
