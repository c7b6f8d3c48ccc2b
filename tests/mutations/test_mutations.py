"""Each patch beside this file breaks one promise in the code, and the test that it names must fail because of it.

A patch begins with a `Breaks:` line (the promise) and a `Must fail:` line (the test); git ignores both. When the code
moves on and a patch applies no more, make it anew: change the code, `git diff -U1`, and put the two lines on top.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

from stack.paths import ROOT

PATCHES = sorted(Path(__file__).parent.glob("*.patch"))
LEFT_OUT = shutil.ignore_patterns(".git", ".venv*", "var", "node_modules", "__pycache__", ".*_cache", "*.patch")
MINUTES = 5 * 60


@dataclass(frozen=True, slots=True)
class Ran:
    """How a run of pytest ended."""

    status: int
    failed: int
    errors: int
    out: str


def header(path: Path, name: str) -> str:
    """Return a patch's `Breaks` or `Must fail`."""
    return next(line for line in path.read_text().splitlines() if line.startswith(f"{name}: ")).partition(": ")[2]


def apply(folder: Path, patch: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", "apply", *more, str(patch)], cwd=folder, capture_output=True, text=True, check=False)


def run(folder: Path, *nodes: str) -> Ran:
    """Run tests of a tree by themselves, on services of their own."""
    report = folder / "report.xml"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junit-xml={report}", *nodes],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        capture_output=True,
        text=True,
        timeout=MINUTES,
        check=False,
    )
    suite = ElementTree.parse(report).find("testsuite") if report.exists() else None
    counts = suite.attrib if suite is not None else {}
    return Ran(done.returncode, int(counts.get("failures", 0)), int(counts.get("errors", 0)), done.stdout + done.stderr)


def copy_of(folder: Path) -> Path:
    return Path(shutil.copytree(ROOT, folder / "tree", ignore=LEFT_OUT))


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.stem)
class TestPatch:
    def test_applies(self, patch: Path) -> None:
        assert header(patch, "Breaks")
        assert (ROOT / header(patch, "Must fail").partition("::")[0]).is_file()
        checked = apply(ROOT, patch, "--check")
        assert checked.returncode == 0, checked.stderr

    @pytest.mark.full
    def test_is_caught(self, patch: Path, tmp_path: Path) -> None:
        tree = copy_of(tmp_path)
        applied = apply(tree, patch)
        assert applied.returncode == 0, applied.stderr
        ran = run(tree, header(patch, "Must fail"))
        # 1 is a test that failed; not found, not collected or not started are other numbers, or errors.
        assert (ran.status, ran.errors) == (1, 0), ran.out
        assert ran.failed, ran.out


class TestWithoutPatch:
    @pytest.mark.full
    def test_all_of_them_pass(self, tmp_path: Path) -> None:
        ran = run(copy_of(tmp_path), *sorted({header(patch, "Must fail") for patch in PATCHES}))
        assert (ran.status, ran.failed, ran.errors) == (0, 0, 0), ran.out
