"""What a tool is, and which there are: every module of api/mcp/tools has some; a mistake stops the start.

A tool is called in the account of its caller and no other; it says which permission it needs, or cannot be declared.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Generic, TypeVar, cast

from pydantic import BaseModel, ConfigDict

from api.deps import Principal
from api.services import Services
from domain.permissions import Permission

A = TypeVar("A", bound=BaseModel)
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{1,62}")


class Args(BaseModel):
    """Base of what tools take: nothing but what they declare."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Result(BaseModel):
    """Base of what tools answer; an object, because structured content must be one up to MCP 2025-11-25."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class Call:
    """Who calls, and what they may use. `follow` (uri, stream) lets this caller hear of changes; None where nobody can."""

    services: Services
    principal: Principal
    follow: Callable[[str, str], Awaitable[None]] | None = None
    unfollow: Callable[[str], Awaitable[None]] | None = None

    def may(self, permission: Permission) -> bool:
        """Whether the caller has it."""
        return permission in self.principal.permissions


@dataclass(frozen=True, slots=True)
class Tool(Generic[A]):
    """`run` may raise domain errors, whose words the caller is shown. `writes`: whether it changes anything."""

    name: str
    description: str
    args: type[A]
    result: type[Result]
    permission: Permission
    run: Callable[[Call, A], Awaitable[Result]]
    writes: bool = False

    async def __call__(self, call: Call, arguments: Mapping[str, object]) -> Result:
        """Check the arguments and run. Raises pydantic.ValidationError, domain errors."""
        return await self.run(call, self.args.model_validate(arguments))


def gather(tools: Mapping[str, list[Tool[Any]]]) -> dict[str, Tool[Any]]:
    """Return tools by name. Shape of `tools`: module -> what it has. Raises RuntimeError for a mistake."""
    found: dict[str, Tool[Any]] = {}
    for module, declared in tools.items():
        if not declared:
            raise RuntimeError(f"{module} has no TOOLS")
        for tool in declared:
            if not _NAME.fullmatch(tool.name) or tool.name in found:
                raise RuntimeError(f"{module}: the name {tool.name!r} is taken, or is none")
            if not tool.description or cast("object", tool.permission) not in set(Permission):
                raise RuntimeError(f"{module}: {tool.name} needs a description, and a permission of the catalogue")
            if tool.args.model_config.get("extra") != "forbid":
                raise RuntimeError(f"{module}: {tool.name} must forbid arguments that it does not know")
            found[tool.name] = tool
    return found


@cache
def discover() -> Mapping[str, Tool[Any]]:
    """Import every module of api/mcp/tools by name order. Raises RuntimeError. Shape: name -> tool."""
    package = importlib.import_module("api.mcp.tools")
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    modules = [importlib.import_module(f"{package.__name__}.{name}") for name in names]
    return gather({module.__name__: list(getattr(module, "TOOLS", ())) for module in modules})
