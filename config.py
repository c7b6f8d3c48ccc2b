"""Settings: environment → typed values, with a description each, from which docs/configuration.md is made.

Read once by api/app.py, worker.py, cli.py and stack/, then handed down; no other package imports this. Not a place for
defaults that depend on a request, an account or a channel: those are rows.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import os
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from config_files import FileSettings, Names, split_names

if TYPE_CHECKING:
    from temporalio.envconfig import ClientConnectConfig
    from temporalio.service import GrpcCompression

    class TemporalConnect(ClientConnectConfig, total=False):
        """Arguments of `temporalio.client.Client.connect`."""

        grpc_compression: GrpcCompression


PREFIX: Final = "POWERNODE_"
TEMPORAL_VARIABLES: Final = {
    "TEMPORAL_ADDRESS": "host:port of the Temporal frontend. Default: 127.0.0.1:7233",
    "TEMPORAL_NAMESPACE": "Temporal namespace. Default: default",
    "TEMPORAL_API_KEY": "API key sent to Temporal; switches TLS on.",
    "TEMPORAL_TLS": "true or false: whether to use TLS to Temporal.",
    "TEMPORAL_TLS_CLIENT_CERT_PATH": "Client certificate for mutual TLS (also _DATA).",
    "TEMPORAL_TLS_CLIENT_KEY_PATH": "Key of the client certificate (also _DATA).",
    "TEMPORAL_TLS_SERVER_CA_CERT_PATH": "Certificate authority of the Temporal server (also _DATA).",
    "TEMPORAL_TLS_SERVER_NAME": "Server name to expect in Temporal's certificate.",
    "TEMPORAL_CONFIG_FILE": "A Temporal client configuration file (TOML) to read before the variables.",
    "TEMPORAL_PROFILE": "Which profile of that file.",
}
"""What temporalio.envconfig reads; listed here so that the documentation names them all."""


class SettingsError(ValueError):
    """The environment does not make valid settings; the message names each variable and holds no value of a secret."""


def _origins(value: dict[str, str]) -> dict[str, str]:
    return {platform: origin.rstrip("/") for platform, origin in value.items()}


def _keys(value: SecretStr) -> SecretStr:
    for key in value.get_secret_value().split(","):
        try:
            size_bytes = len(base64.b64decode(key.strip(), validate=True))
        except binascii.Error as error:
            raise ValueError("must be base64") from error
        if size_bytes != 32:
            raise ValueError("each key must be base64 of exactly 32 bytes")
    return value


Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(split_names)]


class StackSettings(BaseSettings):
    """What `make up` and the other commands may be told; every value has a default.

    Where an address is given, that service is used and nothing is embedded for it.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, populate_by_name=True, hide_input_in_errors=True, env_ignore_empty=True
    )

    var_dir: Path = Field(
        default=Path("var"),
        description="Where data, logs, secrets and stack.json live; another folder is another stack.",
    )
    host: str = Field(default="127.0.0.1", description="Address that the api listens on.")
    port: int = Field(
        default=8000, ge=0, le=65535, description="Port of the api. `make up` takes a free one if it is busy."
    )
    real_platforms: Names = Field(
        default=(),
        description="Platforms that `make up` does not simulate, separated by commas: their channels talk to the real ones.",
    )
    public_url: str | None = Field(
        default=None, description="Origin under which the platforms reach the api; the base of every `webhook_url`."
    )
    temporal_ui_url: str | None = Field(
        default=None, description="Origin of the Temporal UI, for links shown to people."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level that is logged."
    )
    database_url: SecretStr | None = Field(
        default=None,
        validation_alias="DATABASE_URL",
        description="Postgres 15 or newer, as the app role: `postgresql://user:password@host:port/name`.",
    )
    database_owner_url: SecretStr | None = Field(
        default=None,
        description="The same database as the role that owns the tables and migrates. Default: `DATABASE_URL`.",
    )
    redis_url: SecretStr | None = Field(
        default=None,
        validation_alias="REDIS_URL",
        description="Redis 7 or Valkey 8, or newer: `redis://:password@host:port/0`.",
    )
    temporal_address: str | None = Field(
        default=None, validation_alias="TEMPORAL_ADDRESS", description=TEMPORAL_VARIABLES["TEMPORAL_ADDRESS"]
    )
    temporal_compression: bool = Field(
        default=False,
        description="Compress (gzip) what goes to and from Temporal: worth its CPU on both sides over a long line only.",
    )
    temporal_namespace: str = Field(
        default="default", validation_alias="TEMPORAL_NAMESPACE", description=TEMPORAL_VARIABLES["TEMPORAL_NAMESPACE"]
    )

    @classmethod
    def load(cls) -> Self:
        """Read the environment. Raises SettingsError, which names every variable that is missing, wrong or unknown."""
        refuse_unknown(os.environ)
        try:
            return cls.model_validate({})
        except ValidationError as error:
            raise SettingsError(explain(cls, error)) from None

    def temporal_connect(self) -> TemporalConnect:
        """Return the arguments for `temporalio.client.Client.connect`: address, namespace, TLS and key."""
        # Here, because it takes as long to load as all the rest.
        from temporalio.envconfig import ClientConfig
        from temporalio.service import GrpcCompression

        config = ClientConfig.load_client_connect_config()
        config["target_host"] = self.temporal_address or config.get("target_host") or "127.0.0.1:7233"
        config["namespace"] = config.get("namespace") or self.temporal_namespace
        compression = GrpcCompression.GZIP if self.temporal_compression else GrpcCompression.NONE
        return {**config, "grpc_compression": compression}

    def owner_url(self) -> str | None:
        """Return the URL of the role that migrates, or None where the stack brings its own Postgres."""
        url = self.database_owner_url or self.database_url
        return url.get_secret_value() if url else None


class Settings(FileSettings, StackSettings):
    """What the api and the worker run with. Secrets and addresses have no default: a process without them stops."""

    database_url: SecretStr = Field(  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues] - required here
        validation_alias="DATABASE_URL", description=str(StackSettings.model_fields["database_url"].description)
    )
    redis_url: SecretStr = Field(  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues] - required here
        validation_alias="REDIS_URL", description=str(StackSettings.model_fields["redis_url"].description)
    )
    jwt_secret: SecretStr = Field(min_length=32, description="Signs access tokens; at least 32 characters.")
    credentials_key: Annotated[SecretStr, AfterValidator(_keys)] = Field(
        description="Seals channel credentials: base64 of 32 bytes. Several, separated by commas: the first seals, "
        "all open, so a key can be replaced while the processes run."
    )
    platform_api_base: Annotated[dict[str, str], AfterValidator(_origins)] = Field(
        default_factory=dict,
        description="JSON map platform → origin that its adapter calls instead of the real one (the simulator).",
    )
    simulator_url: str | None = Field(default=None, description="Origin of the simulator, where one runs.")
    agent_base_url: str | None = Field(
        default=None, description="OpenAI-compatible endpoint of a real model, such as one of Ollama or vLLM."
    )
    agent_api_key: SecretStr | None = Field(default=None, description="Key for that endpoint.")
    agent_model: str | None = Field(default=None, description="Model name at that endpoint.")
    queues: Names = Field(
        default=("all",), description="Task queues that this worker serves, separated by commas; `all` for every one."
    )
    connections_per_worker: int = Field(
        500,
        ge=1,
        le=10_000,
        description="Sockets of channels that one worker holds at most, where a platform speaks over one.",
    )
    chat_queue: str = Field(
        "chat",
        pattern=r"^[A-Za-z0-9_.-]{1,100}$",
        description="Name of the sessions' task queue, from which the others' names are made; the same for api and "
        "workers, and another one for each installation that shares a Temporal namespace.",
    )
    claim_s: float = Field(
        20.0,
        ge=1,
        le=120,
        description="Seconds that a worker has to send one part; a quarter of it later its outcome counts as unknown.",
    )
    history_cap: int = Field(
        2_000,
        ge=50,
        le=20_000,
        description="Events after which a session's workflow goes on as a new run, with what it remembers.",
    )
    task_queues: Literal["single", "split"] = Field(
        default="single",
        description="`single`: turns and deliveries share the session's queue (lowest latency); `split`: a queue per "
        "class of work, so that a slow provider or platform holds up nobody else.",
    )
    workflow_sandbox: bool = Field(
        default=False, description="Run workflows in the SDK's sandbox (on in tests; costs a fifth of the throughput)."
    )
    allowed_origins: Names = Field(
        default=(),
        description="Origins of pages, besides our own host, that may open `/cable` and `/events`, separated by commas; `*` for all.",
    )
    metrics_token: SecretStr | None = Field(
        default=None,
        min_length=16,
        description="Bearer token for `GET /metrics`, at least 16 characters. Default: none, and no such page.",
    )
    trusted_proxies: Networks = Field(
        default=(), description="Networks whose `X-Forwarded-For` counts, separated by commas. Default: none."
    )
    failpoint: str | None = Field(
        default=None,
        pattern=r"^[a-z][a-z0-9_.]*(=(kill|stop))?$",
        description="Tests only: `name[=kill|stop]`, where the process ends or stops itself.",
    )

    def credentials_keys(self) -> list[str]:
        """Return the keys for channel credentials; the first one seals."""
        return [key.strip() for key in self.credentials_key.get_secret_value().split(",")]

    def files_folder(self) -> Path:
        """Return the folder of kept files, where they are not in a bucket."""
        return self.files_dir or self.var_dir / "files"

    def base_url(self) -> str:
        """Return the origin under which webhooks arrive, without a trailing slash."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")


def variable(model: type[BaseSettings], name: str) -> str:
    """Return the environment variable of a field."""
    alias = model.model_fields[name].validation_alias
    return alias if isinstance(alias, str) else f"{PREFIX}{name.upper()}"


def known_variables() -> frozenset[str]:
    """Return every variable that a process of ours reads."""
    return frozenset(variable(Settings, name) for name in Settings.model_fields) | frozenset(TEMPORAL_VARIABLES)


def refuse_unknown(environ: Mapping[str, str]) -> None:
    """Raise SettingsError for a POWERNODE_ variable that nothing reads: a typing error there would pass unseen."""
    known = known_variables()
    lines: list[str] = []
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            lines.append(f"{name} is not a setting" + (f"; {near[0]} is" if near else ""))
    if lines:
        raise SettingsError("\n".join(lines))


def explain(model: type[BaseSettings], error: ValidationError) -> str:
    """Return one line per wrong variable, without its value."""
    by_alias = {variable(model, name): name for name in model.model_fields}
    lines: list[str] = []
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        first = str(item["loc"][0]) if item["loc"] else ""
        name = first if first in by_alias else variable(model, first) if first in model.model_fields else first
        if item["type"] == "missing":
            field = model.model_fields[by_alias.get(name, first)]
            lines.append(f"{name} is missing: {field.description}")
        else:
            lines.append(f"{name}: {item['msg']}")
    return "\n".join(lines)
