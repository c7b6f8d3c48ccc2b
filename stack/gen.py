"""Writes the documents that are made from code. Called by `make gen`; `--check` says which are stale and changes nothing.

A generated document is never edited: change what it is made from.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, cast

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from api.channel_bodies import Configuration
from config import TEMPORAL_VARIABLES, Settings, variable
from stack.gen_events import events

Json = dict[str, Any]
ROOT: Final = Path(__file__).resolve().parent.parent
_CONFIGURATION_HEAD: Final = """# Configuration

<!-- Made by `make gen` from config.py and api/channel_bodies.py; do not edit. -->

Everything is set by environment variables. `make up` needs none: it makes secrets once and starts its own services.
A variable that begins with `POWERNODE_` and is not listed here stops the start, so a typing error is seen at once.
Values of secrets never appear in logs or error texts.

| variable | default | meaning |
|---|---|---|
"""
BAR: Final = "\\|"
_CHANNEL_HEAD: Final = """
## A channel

Keys of a channel's `configuration` (`POST` and `PATCH /api/v1/chat/channels`); null takes one away. A platform's own page in
`docs/platforms` names those that only it reads.

| key | values | meaning |
|---|---|---|
"""
_TEMPORAL_HEAD: Final = """
## Temporal

Read by Temporal's own client configuration, so that its tools and Powernode can share a file.

| variable | meaning |
|---|---|
"""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required by `api` and `worker`"
    value: object = field.get_default(call_default_factory=True, validated_data={})
    if value is None or value in ((), {}):
        return "–"
    if isinstance(value, SecretStr):
        return "secret"
    if isinstance(value, tuple):
        return f"`{','.join(str(part) for part in value)}`"  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] - a tuple of names
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _values(name: str) -> str:
    """Return what a key of a channel's configuration may be: its names, or its kind with its bounds."""
    shape = cast("dict[str, list[Json]]", Configuration.model_json_schema()["properties"][name])["anyOf"][0]
    shape = (
        cast("Json", Configuration.model_json_schema()["$defs"][str(shape["$ref"]).rpartition("/")[2]])
        if "$ref" in shape
        else shape
    )
    if "enum" in shape:
        return ", ".join(f"`{one}`" for one in cast("list[str]", shape["enum"]))
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤"}
    bounds = [f"{sign} {shape[key]:.0f}" for key, sign in signs.items() if key in shape]
    return " ".join([str(shape["type"]), *bounds])


def _channel_keys() -> str:
    rows = [
        f"| `{name}` | {_values(name)} | {str(field.description).replace('|', BAR)} |"
        for name, field in Configuration.model_fields.items()
    ]
    return _CHANNEL_HEAD + "\n".join(rows) + "\n"


def configuration() -> str:
    """Return docs/configuration.md."""
    rows = [
        f"| `{variable(Settings, name)}` | {_default(field)} | {str(field.description).replace('|', BAR)} |"
        for name, field in Settings.model_fields.items()
        if variable(Settings, name) not in TEMPORAL_VARIABLES
    ]
    temporal = [f"| `{name}` | {meaning} |" for name, meaning in TEMPORAL_VARIABLES.items()]
    return _CONFIGURATION_HEAD + "\n".join(rows) + "\n" + _channel_keys() + _TEMPORAL_HEAD + "\n".join(temporal) + "\n"


DOCUMENTS: Final[Mapping[str, Callable[[], str]]] = {
    "docs/configuration.md": configuration,
    "docs/events.md": events,
}
"""Path from the repository's root → what writes it. A new generated file is one entry here."""


def stale() -> list[str]:
    """Return the documents whose text on disk is not what the code gives."""
    return [name for name, make in DOCUMENTS.items() if _read(ROOT / name) != make()]


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def write() -> None:
    """Write every generated document."""
    for name, make in DOCUMENTS.items():
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(make(), encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Write the documents, or with --check report those that are stale; return the exit status."""
    if arguments != ["--check"]:
        write()
        return 0
    names = stale()
    for name in names:
        sys.stderr.write(f"{name} is stale: run `make gen`\n")
    return 1 if names else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
