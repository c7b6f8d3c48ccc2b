"""Which model providers exist, and the ones of this process: provider name -> adapter. Built by worker.py.

Adding a provider is one file in adapters/agent with `@register_model("name")`. Its libraries are imported when an agent
first asks for it: not every process runs turns, and they are large.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import httpx2

from adapters import agent as agent_package
from adapters.base import AgentModel
from domain.errors import ModelError


@dataclass(frozen=True, slots=True)
class Provider:
    """What an adapter is built with: the shared HTTP client, and where and as whom to reach its models."""

    http: httpx2.AsyncClient
    base_url: str | None = None
    api_key: str | None = None


ModelFactory = Callable[[Provider], AgentModel]
_factories: dict[str, ModelFactory] = {}


def register_model(name: str) -> Callable[[ModelFactory], ModelFactory]:
    """Register an adapter class under its provider's name. Raises RuntimeError when the name is taken."""

    def add(factory: ModelFactory) -> ModelFactory:
        taken = _factories.get(name)
        if taken is not None:
            raise RuntimeError(f"provider {name!r} is claimed by {taken.__module__} and {factory.__module__}")
        _factories[name] = factory
        return factory

    return add


@cache
def _discover() -> Mapping[str, ModelFactory]:
    """Import every module of adapters/agent by name order. Raises RuntimeError for a module that registers none."""
    for module in sorted(pkgutil.iter_modules(agent_package.__path__), key=lambda found: found.name):
        loaded = importlib.import_module(f"{agent_package.__name__}.{module.name}")
        if not any(factory.__module__ == loaded.__name__ for factory in _factories.values()):
            raise RuntimeError(f"{loaded.__file__} registers no provider")
    return _factories


def provider_names() -> list[str]:
    """Return the names of all providers, sorted."""
    return sorted(_discover())


class AgentModels:
    """The model adapters of one process, each built when first asked for. Shape: provider name -> adapter."""

    def __init__(self, http: httpx2.AsyncClient, base_url: str | None = None, api_key: str | None = None) -> None:
        self._provider = Provider(http, base_url, api_key)
        self._models: dict[str, AgentModel] = {}

    def get(self, provider: str) -> AgentModel:
        """Return the adapter. Raises ModelError (final) for an unknown provider or one that lacks its settings."""
        model = self._models.get(provider)
        if model is None:
            factory = _discover().get(provider)
            if factory is None:
                raise ModelError(f"Unknown provider; one of: {', '.join(provider_names())}", retryable=False)
            model = self._models[provider] = factory(self._provider)
        return model
