"""Which platforms exist: every module in adapters/platform registers itself; a mistake there stops the start.

Adding a platform is one file with `@register("name")`; nothing else names it.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import httpx2

from adapters import platform as platform_package
from adapters.base import PlatformAdapter
from adapters.guard import WayOut
from domain.channel import Platform
from domain.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class Outside:
    """What an adapter is built with: the shared HTTP client and, for tests and demos, another origin to talk to.

    `tenants`: how servers are reached whose address is a tenant's own word; None: nothing private of them.
    """

    http: httpx2.AsyncClient
    api_base: str | None = None
    tenants: WayOut | None = None


AdapterFactory = Callable[[Outside], PlatformAdapter]
_factories: dict[Platform, AdapterFactory] = {}


def register(name: str) -> Callable[[AdapterFactory], AdapterFactory]:
    """Register an adapter class under its platform's wire name. Raises RuntimeError when the name is taken."""
    platform = Platform(name)

    def add(factory: AdapterFactory) -> AdapterFactory:
        taken = _factories.get(platform)
        if taken is not None:
            raise RuntimeError(f"platform {name!r} is claimed by {taken.__module__} and {factory.__module__}")
        _factories[platform] = factory
        return factory

    return add


@cache
def _discover() -> Mapping[Platform, AdapterFactory]:
    """Import every module of adapters/platform by name order. Raises RuntimeError for a module that registers none."""
    for module in sorted(pkgutil.iter_modules(platform_package.__path__), key=lambda found: found.name):
        before = len(_factories)
        loaded = importlib.import_module(f"{platform_package.__name__}.{module.name}")
        if len(_factories) == before and not any(f.__module__ == loaded.__name__ for f in _factories.values()):
            raise RuntimeError(f"{loaded.__file__} registers no platform")
    return _factories


def platform_names() -> list[Platform]:
    """Return the names of all platforms, sorted."""
    return sorted(_discover())


class Platforms:
    """The adapters of one process, built once. Shape: platform name -> adapter."""

    def __init__(
        self, http: httpx2.AsyncClient, api_base: Mapping[str, str] | None = None, tenants: WayOut | None = None
    ) -> None:
        bases = api_base or {}
        unknown = sorted(set(bases) - set(_discover()))
        if unknown:
            raise RuntimeError(f"POWERNODE_PLATFORM_API_BASE names unknown platforms: {', '.join(unknown)}")
        self._adapters = {
            name: factory(Outside(http, bases.get(name), tenants)) for name, factory in _discover().items()
        }

    def get(self, platform: str) -> PlatformAdapter:
        """Return the adapter. Raises InvalidInputError for a name that no adapter registered."""
        adapter = self._adapters.get(Platform(platform))
        if adapter is None:
            raise InvalidInputError(f"Unknown platform; one of: {', '.join(sorted(self._adapters))}")
        return adapter
