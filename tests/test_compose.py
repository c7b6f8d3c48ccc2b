"""The compose file and what it mounts: valid by the specification's schema, and in step with the code."""

from __future__ import annotations

import base64
import importlib.util
import json
import re
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from jsonschema.validators import validator_for

from config import Settings, known_variables
from stack.paths import ROOT
from stack.temporal import DYNAMIC_CONFIG
from tests.test_config import environment

Service = dict[str, object]
COMPOSE = ROOT / "docker-compose.yml"
OURS = ("migrate", "api", "worker")
JOBS = ("temporal-schema", "temporal-namespace", "migrate")
SAMPLE = {
    "POWERNODE_CREDENTIALS_KEY": base64.b64encode(b"k" * 32).decode(),
    "POWERNODE_PUBLIC_URL": "https://chat.example",
    "POWERNODE_JWT_SECRET": "j" * 48,
}


def compose() -> dict[str, object]:
    return cast("dict[str, object]", yaml.safe_load(COMPOSE.read_text(encoding="utf-8")))


def services() -> dict[str, Service]:
    return cast("dict[str, Service]", compose()["services"])


def interpolated(text: str) -> str:
    """Do what compose does with ${NAME:-default} and ${NAME:?reason}, for a person who filled in what is required."""
    text = re.sub(r"\$\{(\w+):-([^}]*)\}", lambda found: found[2], text)
    return re.sub(r"\$\{(\w+):\?[^}]*\}", lambda found: SAMPLE.get(found[1], "secret"), text)


def environment_of(name: str) -> dict[str, str]:
    given = cast("dict[str, str]", services()[name]["environment"])
    return {variable: interpolated(value) for variable, value in given.items()}


class TestSchema:
    def test_valid_by_the_compose_specification(self) -> None:
        found = importlib.util.find_spec("check_jsonschema")
        assert found is not None
        assert found.origin is not None
        path = Path(found.origin).parent / "builtin_schemas" / "vendor" / "compose-spec.json"
        schema = json.loads(path.read_text(encoding="utf-8"))
        validator = validator_for(schema)(schema)
        assert [error.message for error in validator.iter_errors(cast("Any", compose()))] == []
        assert list(validator.iter_errors({"services": {"a": {"image": 1}}})) != []

    def test_dependencies_exist_and_can_be_waited_for(self) -> None:
        for name, service in services().items():
            needs = cast("dict[str, dict[str, str]]", service.get("depends_on", {}))
            for other, how in needs.items():
                expected = "service_completed_successfully" if other in JOBS else "service_healthy"
                assert (name, other, how["condition"]) == (name, other, expected)


class TestServices:
    @pytest.mark.parametrize("name", sorted(services()))
    def test_bounded_watched_and_without_privileges(self, name: str) -> None:
        service = services()[name]
        limits = cast("dict[str, dict[str, dict[str, str]]]", service["deploy"])["resources"]["limits"]
        assert set(limits) == {"cpus", "memory"}
        assert ("healthcheck" in service) == (name not in JOBS)
        assert "no-new-privileges:true" in cast("list[str]", service["security_opt"])
        assert re.search(r":[\w.]*\d|:local$", str(service["image"])), "an image without a version moves by itself"

    @pytest.mark.parametrize("name", sorted(services()))
    def test_published_ports_are_on_loopback(self, name: str) -> None:
        ports = cast("list[str]", services()[name].get("ports", []))
        assert [port for port in ports if not port.startswith("127.0.0.1:")] == []

    @pytest.mark.parametrize("name", OURS)
    def test_every_variable_is_a_setting(self, name: str) -> None:
        assert set(environment_of(name)) - known_variables() == set()

    @pytest.mark.parametrize("name", ["api", "worker"])
    def test_settings_load(self, name: str) -> None:
        with environment(environment_of(name)):
            settings = Settings.load()
        assert settings.temporal_connect().get("namespace") == "powernode"
        assert settings.task_queues == "split"

    @pytest.mark.parametrize("name", ["api", "worker"])
    def test_processes_do_not_know_the_owner(self, name: str) -> None:
        assert "POWERNODE_DATABASE_OWNER_URL" not in environment_of(name)
        assert "OWNER" not in str(services()[name]["environment"])


class TestFiles:
    def test_every_mounted_file_is_there(self) -> None:
        mounts = [
            mount.split(":")[0]
            for service in services().values()
            for mount in cast("list[str]", service.get("volumes", []))
            if mount.startswith("./")
        ]
        assert mounts
        assert [mount for mount in mounts if not (ROOT / mount).is_file()] == []

    def test_scripts_are_correct_shell(self) -> None:
        for script in (ROOT / "deploy").rglob("*.sh"):
            subprocess.run(["sh", "-n", str(script)], check=True)

    def test_dynamic_configuration_equals_the_embedded_servers(self) -> None:
        text = (ROOT / "deploy" / "temporal" / "dynamicconfig.yaml").read_text(encoding="utf-8")
        given = cast("dict[str, list[dict[str, object]]]", yaml.safe_load(text))
        assert {name: json.dumps(values[0]["value"]) for name, values in given.items()} == DYNAMIC_CONFIG

    def test_required_variables_are_documented(self) -> None:
        required = set(re.findall(r"\$\{(\w+):\?", COMPOSE.read_text(encoding="utf-8")))
        example = (ROOT / "deploy" / "production.env.example").read_text(encoding="utf-8")
        readme = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")
        assert [name for name in sorted(required) if f"\n{name}=" not in example or f"`{name}`" not in readme] == []

    def test_image_runs_without_root(self) -> None:
        lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
        users = [line.split()[1] for line in lines if line.startswith("USER ")]
        assert users
        assert users[-1].split(":")[0] not in {"root", "0"}

    def test_image_holds_every_package_that_runs(self) -> None:
        kept = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        packages = ["activities", "adapters", "api", "db", "domain", "realtime", "stack", "workflows", "simulator"]
        assert [name for name in [*packages, "config.py", "cli.py", "worker.py"] if f"!{name}" not in kept] == []
