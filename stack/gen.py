"""Writes the documents that are made from code. Called by `make gen`; `--check` says which are stale and changes nothing.

A generated document is never edited: change what it is made from.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from config import TEMPORAL_VARIABLES, Settings, variable
from stack.gen_events import events

ROOT: Final = Path(__file__).resolve().parent.parent
_CONFIGURATION_HEAD: Final = """# Configuration

<!-- Made by `make gen` from config.py; do not edit. -->

Everything is set by environment variables. `make up` needs none: it makes secrets once and starts its own services.
A variable that begins with `POWERNODE_` and is not listed here stops the start, so a typing error is seen at once.
Values of secrets never appear in logs or error texts.

| variable | default | meaning |
|---|---|---|
"""
BAR: Final = "\\|"
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


def configuration() -> str:
    """Return docs/configuration.md."""
    rows = [
        f"| `{variable(Settings, name)}` | {_default(field)} | {str(field.description).replace('|', BAR)} |"
        for name, field in Settings.model_fields.items()
        if variable(Settings, name) not in TEMPORAL_VARIABLES
    ]
    temporal = [f"| `{name}` | {meaning} |" for name, meaning in TEMPORAL_VARIABLES.items()]
    return _CONFIGURATION_HEAD + "\n".join(rows) + "\n" + _TEMPORAL_HEAD + "\n".join(temporal) + "\n"


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
