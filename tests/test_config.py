"""Settings: what is read, what is refused, and that a secret never shows."""

from __future__ import annotations

import base64
import os
from collections.abc import Generator
from contextlib import contextmanager
from ipaddress import IPv4Network

import pytest
from temporalio.service import GrpcCompression

from config import PREFIX, TEMPORAL_VARIABLES, Settings, SettingsError, StackSettings, known_variables, variable
from stack.gen import configuration

REQUIRED = {
    "DATABASE_URL": "postgresql://app:hidden-db@127.0.0.1/powernode",
    "REDIS_URL": "redis://:hidden-redis@127.0.0.1/0",
    "POWERNODE_JWT_SECRET": "hidden-jwt-" + "x" * 32,
    "POWERNODE_CREDENTIALS_KEY": base64.b64encode(b"k" * 32).decode(),
}


@contextmanager
def environment(values: dict[str, str]) -> Generator[None]:
    """Run with exactly these of our variables; the real environment comes back."""
    ours = (PREFIX, "TEMPORAL_", "DATABASE_URL", "REDIS_URL")
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith(ours)]:
        del os.environ[name]
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def load(**values: str) -> Settings:
    with environment({**REQUIRED, **values}):
        return Settings.load()


def refusal(values: dict[str, str]) -> str:
    with environment(values), pytest.raises(SettingsError) as caught:
        Settings.load()
    return str(caught.value)


class TestLoad:
    def test_names_every_missing_variable(self) -> None:
        text = refusal({})
        assert [name for name in REQUIRED if f"{name} is missing" not in text] == []

    def test_stack_needs_nothing(self) -> None:
        with environment({}):
            assert StackSettings.load().database_url is None

    def test_empty_counts_as_unset(self) -> None:
        assert load(POWERNODE_AGENT_BASE_URL="").agent_base_url is None

    def test_lists_are_separated_by_commas(self) -> None:
        settings = load(POWERNODE_QUEUES="chat, ops", POWERNODE_TRUSTED_PROXIES="10.0.0.0/8,127.0.0.1")
        assert settings.queues == ("chat", "ops")
        assert settings.trusted_proxies == (IPv4Network("10.0.0.0/8"), IPv4Network("127.0.0.1/32"))

    def test_origins_lose_their_slash(self) -> None:
        assert load(POWERNODE_PLATFORM_API_BASE='{"a": "http://b/"}').platform_api_base == {"a": "http://b"}

    def test_several_keys(self) -> None:
        key = REQUIRED["POWERNODE_CREDENTIALS_KEY"]
        assert load(POWERNODE_CREDENTIALS_KEY=f"{key}, {key}").credentials_keys() == [key, key]

    def test_address_of_webhooks(self) -> None:
        assert load(POWERNODE_PORT="1234").base_url() == "http://127.0.0.1:1234"
        assert load(POWERNODE_PUBLIC_URL="https://chat.example/").base_url() == "https://chat.example"


class TestRefusals:
    def test_unknown_variable_with_the_nearest_name(self) -> None:
        text = refusal({**REQUIRED, "POWERNODE_TRUSTED_PROXY": "10.0.0.0/8"})
        assert text == "POWERNODE_TRUSTED_PROXY is not a setting; POWERNODE_TRUSTED_PROXIES is"

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("POWERNODE_CREDENTIALS_KEY", "not base64!"),
            ("POWERNODE_CREDENTIALS_KEY", base64.b64encode(b"too short").decode()),
            ("POWERNODE_JWT_SECRET", "too-short"),
            ("POWERNODE_PORT", "70000"),
            ("POWERNODE_FAILPOINT", "Rm -rf"),
            ("POWERNODE_TRUSTED_PROXIES", "everyone"),
            ("POWERNODE_TASK_QUEUES", "both"),
            ("POWERNODE_LOG_LEVEL", "loud"),
        ],
    )
    def test_wrong_value_is_named_and_not_shown(self, name: str, value: str) -> None:
        text = refusal({**REQUIRED, name: value})
        assert text.startswith(f"{name}: ")
        assert value not in text


class TestSecrets:
    def test_no_secret_in_the_representation(self) -> None:
        settings = load(
            POWERNODE_AGENT_API_KEY="hidden-agent", POWERNODE_DATABASE_OWNER_URL="postgresql://o:hidden@h/d"
        )
        text = repr(settings) + str(settings) + settings.model_dump_json()
        assert "hidden" not in text
        assert REQUIRED["POWERNODE_CREDENTIALS_KEY"] not in text


class TestTemporalConnect:
    def test_defaults(self) -> None:
        assert load().temporal_connect() == {
            "target_host": "127.0.0.1:7233",
            "namespace": "default",
            "grpc_compression": GrpcCompression.NONE,
        }

    def test_compression_can_be_had(self) -> None:
        connect = load(POWERNODE_TEMPORAL_COMPRESSION="true").temporal_connect()
        assert connect.get("grpc_compression") == GrpcCompression.GZIP

    def test_address_namespace_and_key_come_from_temporals_own_variables(self) -> None:
        values = {"TEMPORAL_ADDRESS": "t:1", "TEMPORAL_NAMESPACE": "n", "TEMPORAL_API_KEY": "k"}
        with environment({**REQUIRED, **values}):
            found = Settings.load().temporal_connect()
        assert (found.get("target_host"), found.get("namespace"), found.get("api_key")) == ("t:1", "n", "k")


class TestDocumentation:
    def test_every_setting_is_described_and_listed(self) -> None:
        assert [name for name, field in Settings.model_fields.items() if not field.description] == []
        text = configuration()
        assert [name for name in known_variables() if f"`{name}`" not in text] == []

    def test_temporals_names_are_its_own(self) -> None:
        assert {variable(Settings, name) for name in ("temporal_address", "temporal_namespace")} <= set(
            TEMPORAL_VARIABLES
        )
