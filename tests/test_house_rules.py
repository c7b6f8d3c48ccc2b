"""The rules of CONTRIBUTING.md that no other tool checks. Each failure names file and line, and what to do."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from stack.gen import stale
from stack.paths import ROOT

FILE_LINES, TEST_FILE_LINES, FUNCTION_LINES = 300, 500, 40
PLATFORMS = re.compile(r"slack|telegram|discord|whatsapp|mattermost", re.IGNORECASE)
PLATFORM_ROOMS = ("adapters/platform/", "simulator/", "tests/", "bench/", "stack/seed.py")
"""Where platforms may be named: their adapters, what plays them, and the demo's list of what is played."""
MACHINE_PATH = re.compile(r"(^|[^A-Za-z0-9_./-])/(work|root|farm|tmp|home)/")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX)\b(?!\(#\d+\))")
ADDRESS = re.compile(r"https?://")
LOCK_FILES = ("requirements.txt", "requirements-dev.txt", "package-lock.json", ".npmrc")


@cache
def files(*endings: str) -> list[Path]:
    """Return the repository's files with these endings, those not yet committed too."""
    done = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "--deduplicate"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found = [ROOT / name for name in done.stdout.splitlines() if name.endswith(endings)]
    return [path for path in found if path.is_file()]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def is_test(path: Path) -> bool:
    return name(path).startswith("tests/")


def is_history(path: Path) -> bool:
    """Migrations that ran somewhere are not edited again, however long they are."""
    return name(path).startswith("db/migrations/versions/")


def documented(node: ast.AST) -> bool:
    return isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and bool(
        ast.get_docstring(node)
    )


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def code_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines from `def` to the end, the docstring not counted: explaining is not length."""
    first = node.body[0]
    text = first.end_lineno - first.lineno + 1 if documented(node) and first.end_lineno else 0
    return (node.end_lineno or node.lineno) - node.lineno + 1 - text


def matches(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    return [
        f"{name(path)}:{number}: {line.strip()[:120]}"
        for path in paths
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]


def none_of(found: list[str]) -> None:
    assert not found, "\n" + "\n".join(found)


class TestSize:
    def test_files(self) -> None:
        limits = {
            path: TEST_FILE_LINES if is_test(path) else FILE_LINES for path in files(".py") if not is_history(path)
        }
        lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in limits}
        none_of(
            [
                f"{name(path)}: {lines[path]} lines, {limit} allowed"
                for path, limit in limits.items()
                if lines[path] > limit
            ]
        )

    def test_functions(self) -> None:
        none_of(
            [
                f"{name(path)}:{node.lineno} {node.name}: {code_lines(node)} lines, {FUNCTION_LINES} allowed"
                for path in files(".py")
                if not is_history(path)
                for node in functions(path)
                if code_lines(node) > FUNCTION_LINES
            ]
        )


class TestDocstrings:
    def test_every_module_says_what_it_is(self) -> None:
        none_of([name(path) for path in files(".py") if tree(path).body and not documented(tree(path))])

    def test_public_functions_and_classes(self) -> None:
        none_of(
            [
                f"{name(path)}:{node.lineno} {node.name} has no docstring"
                for path in files(".py")
                if not is_test(path) and not is_history(path) and not name(path).startswith("bench/")
                for node in tree(path).body
                if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
                if not node.name.startswith("_") and not documented(node)
            ]
        )


class TestPlatformNames:
    def test_only_where_platforms_live(self) -> None:
        paths = [path for path in files(".py") if not name(path).startswith(PLATFORM_ROOMS)]
        none_of(matches(PLATFORMS, paths))


class TestText:
    def test_unfinished_work_has_an_issue_number(self) -> None:
        paths = [
            path for path in files(".py", ".ts", ".tsx", ".sh", ".yml", ".yaml", "Makefile") if path != Path(__file__)
        ]
        none_of(matches(UNFINISHED, paths))

    def test_no_path_of_one_machine(self) -> None:
        paths = files(".py", ".toml", ".txt", ".yml", ".yaml", ".sh", ".ci/run", "Makefile", ".md", ".json")
        none_of(matches(MACHINE_PATH, [path for path in paths if path != Path(__file__)]))

    def test_lock_files_name_no_registry(self) -> None:
        none_of(matches(ADDRESS, files(*LOCK_FILES)))

    def test_every_pinned_package_has_hashes(self) -> None:
        for path in files("requirements.txt", "requirements-dev.txt"):
            pinned = re.findall(r"^([a-z0-9][^ ]*==[^ ]+.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            assert len(pinned) > 20
            assert [line for line in pinned if not line.endswith("\\")] == []


class TestGenerated:
    def test_documents_are_fresh(self) -> None:
        none_of(stale())
