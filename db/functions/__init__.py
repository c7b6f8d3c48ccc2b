"""The hot transactions as functions in Postgres, one round trip each (docs/adr/0007). Their text is the .sql files beside.

Every function enters its account before its first statement, runs with the caller's rights under row-level security,
and is idempotent, so that a call may be repeated after a lost connection. `powernode migrate` replaces them all; one
whose arguments or meaning change gets a new name, because old processes still call the old one while a new version
rolls out.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Final

SCHEMA: Final = "flow"
_FOLDER: Final = Path(__file__).parent


@cache
def definitions() -> str:
    """Return all definitions as one script, in the order in which they use each other."""
    return "\n".join(path.read_text() for path in sorted(_FOLDER.glob("*.sql")))


@cache
def fingerprint() -> str:
    """Return what tells one set of definitions from another; `flow.version()` answers it in a database."""
    return hashlib.sha256(definitions().encode()).hexdigest()[:16]


def install_script(app_role: str) -> str:
    """Return the script that brings a database's functions to this version. `app_role`: a quoted identifier."""
    return f"""
        CREATE SCHEMA IF NOT EXISTS {SCHEMA};
        {definitions()}
        CREATE OR REPLACE FUNCTION {SCHEMA}.version() RETURNS text LANGUAGE sql IMMUTABLE
            AS $$ SELECT '{fingerprint()}' $$;
        REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {SCHEMA} FROM PUBLIC;
        GRANT USAGE ON SCHEMA {SCHEMA} TO {app_role};
        GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {SCHEMA} TO {app_role};
    """  # noqa: S608 - our own files and a quoted role


REMOVE_SCRIPT: Final = f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE"
