"""One thing of an account for every channel of the hub, and the params that lead to it; the matrix of
tests/api/test_channel_isolation.py is made of them.

Each module `examples_*.py` beside this file has `examples()`. Shape: a channel's wire name -> a coroutine that is given the
database and an account's id (and, where it asks for a third, a user's id), makes one thing in that account, and returns
the params of a subscription to it, or a list of them where there are several ways of naming it.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from db.session import Database

Params = dict[str, Any]
Example = Callable[..., Awaitable[Mapping[str, Any] | Sequence[Mapping[str, Any]]]]


def found() -> dict[str, Example]:
    """Return all examples. Raises AssertionError for a channel that has two."""
    gathered: dict[str, Example] = {}
    for module in sorted(pkgutil.iter_modules([str(Path(__file__).parent)]), key=lambda one: one.name):
        if module.name.startswith("examples_"):
            made = cast("Mapping[str, Example]", importlib.import_module(f"tests.realtime.{module.name}").examples())
            assert not gathered.keys() & made.keys(), f"{module.name} repeats an example"
            gathered |= made
    return gathered


async def make(example: Example, db: Database, account_id: UUID, user_id: UUID) -> list[Params]:
    """Make the thing and return each way of naming it."""
    asked = (db, account_id, user_id)[: len(inspect.signature(example).parameters)]
    named = await example(*asked)
    forms = [named] if isinstance(named, Mapping) else named
    return [dict(form) for form in forms]
