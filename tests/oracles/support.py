"""Asks other people's readers, which live in a virtual environment of their own (`make oracles`, part of `make test`)."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from stack.paths import ROOT

INTERPRETER = ROOT / ".venv-oracles" / "bin" / "python"
SCRIPTS = Path(__file__).parent / "foreign"


def ask(script: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Return what a script of foreign/ makes of every entry."""
    assert INTERPRETER.exists(), "run `make oracles` first"
    done = subprocess.run(
        [INTERPRETER, SCRIPTS / script],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
