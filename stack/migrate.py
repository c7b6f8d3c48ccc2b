"""`powernode migrate`: the schema of the configured database, else of the stack that runs here, and the search attributes
of the configured Temporal. Also the migrate job of the compose file. Safe to repeat.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Final
from urllib.parse import urlsplit

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client

from config import StackSettings
from db.migrate import upgrade
from stack.paths import VarDir
from stack.state import StackState
from stack.temporal import SEARCH_ATTRIBUTES

_NOTHING: Final = "Set POWERNODE_DATABASE_OWNER_URL (or DATABASE_URL), or start the stack with `make up`\n"


def migrate(settings: StackSettings) -> int:
    """Apply what is missing; return the exit status."""
    owner, app = settings.owner_url(), settings.database_url
    app_url = app.get_secret_value() if app else None
    if owner is None:
        state = StackState.read(VarDir.at(settings.var_dir))
        if state is None:
            sys.stderr.write(_NOTHING)
            return 2
        owner, app_url = state.database_owner_url, state.database_url
    upgrade(owner, urlsplit(app_url or owner).username or "powernode_app")
    if settings.temporal_address:
        asyncio.run(_register(settings))
    return 0


async def _register(settings: StackSettings) -> None:
    await register_search_attributes(await Client.connect(**settings.temporal_connect()))


async def register_search_attributes(client: Client) -> list[str]:
    """Add the search attributes that the namespace lacks; return which."""
    known = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    missing = [name for name in SEARCH_ATTRIBUTES if name not in known.custom_attributes]
    if missing:
        keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace=client.namespace, search_attributes=dict.fromkeys(missing, keyword))
        )
    return missing
