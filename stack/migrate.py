"""`powernode migrate`: the schema of the configured database, else of the stack that runs here, and Temporal's search
attributes. Also the migrate job of the compose file.
"""

from __future__ import annotations

import sys
from urllib.parse import urlsplit

from config import StackSettings
from db.migrate import upgrade
from stack.paths import VarDir
from stack.state import StackState


def migrate(settings: StackSettings) -> int:
    """Apply what is missing; return the exit status."""
    owner, app = settings.owner_url(), settings.database_url
    app_url = app.get_secret_value() if app else None
    if owner is None:
        state = StackState.read(VarDir.at(settings.var_dir))
        if state is None:
            sys.stderr.write("Set POWERNODE_DATABASE_OWNER_URL (or DATABASE_URL), or start the stack with `make up`\n")
            return 2
        owner, app_url = state.database_owner_url, state.database_url
    upgrade(owner, urlsplit(app_url or owner).username or "powernode_app")
    return 0
