"""The registries of providers and platforms."""

from __future__ import annotations

import subprocess
import sys

import httpx2
import pytest

from adapters import models, registry
from adapters.models import AgentModels
from adapters.registry import Platforms
from domain.errors import InvalidInputError, ModelError


class TestAgentModels:
    def test_names(self) -> None:
        assert models.provider_names() == ["local", "openai_compatible"]

    async def test_builds_each_once(self, http: httpx2.AsyncClient) -> None:
        known = AgentModels(http)
        assert known.get("local") is known.get("local")

    async def test_an_unknown_provider_is_final(self, http: httpx2.AsyncClient) -> None:
        with pytest.raises(ModelError, match="one of: local, openai_compatible") as refused:
            AgentModels(http).get("oracle")
        assert not refused.value.retryable

    async def test_a_provider_without_its_address_is_final(self, http: httpx2.AsyncClient) -> None:
        with pytest.raises(ModelError, match="POWERNODE_AGENT_BASE_URL") as refused:
            AgentModels(http).get("openai_compatible")
        assert not refused.value.retryable

    def test_the_large_libraries_are_imported_only_when_asked_for(self) -> None:
        code = (
            "import sys, httpx2; from adapters.models import AgentModels;"
            "AgentModels(httpx2.AsyncClient(trust_env=False)).get('local');"
            "sys.exit('pydantic_ai' in sys.modules or 'openai' in sys.modules)"
        )
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

    def test_a_name_is_claimed_once(self) -> None:
        models.provider_names()
        with pytest.raises(RuntimeError, match=r"adapters\.agent\.local"):
            models.register_model("local")(lambda _provider: pytest.fail("never built"))


class TestPlatforms:
    def test_names(self) -> None:
        assert registry.platform_names() == ["discord", "mattermost", "slack", "telegram", "whatsapp"]

    async def test_unknown_names_are_refused(self, http: httpx2.AsyncClient) -> None:
        with pytest.raises(InvalidInputError, match="slack, telegram"):
            Platforms(http).get("carrier pigeon")
        with pytest.raises(RuntimeError, match="carrier pigeon"):
            Platforms(http, {"carrier pigeon": "http://x"})

    def test_a_name_is_claimed_once(self) -> None:
        registry.platform_names()
        with pytest.raises(RuntimeError, match=r"adapters\.platform\.slack"):
            registry.register("slack")(lambda _outside: pytest.fail("never built"))
