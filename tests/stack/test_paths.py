"""The var folder: what is private, what a reset removes, and what it leaves alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from stack.paths import VarDir, write_private
from stack.postgres_place import Account, passable, place
from stack.reset import wipe


class TestVarDir:
    def test_only_search_is_open(self, tmp_path: Path) -> None:
        root = VarDir.at(tmp_path / "var").root
        assert stat.S_IMODE(root.stat().st_mode) & 0o066 == 0
        assert stat.S_IMODE((root / "log").stat().st_mode) == 0o700

    def test_folder_that_exists_is_not_narrowed(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o755)
        VarDir.at(tmp_path)
        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


class TestWritePrivate:
    def test_replaces_at_once_and_leaves_nothing_beside(self, tmp_path: Path) -> None:
        path = tmp_path / "stack.json"
        path.write_text("old")
        path.chmod(0o644)
        write_private(path, "new")
        assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", 0o600)
        assert [item.name for item in tmp_path.iterdir()] == ["stack.json"]


class TestWipe:
    def test_leaves_what_is_not_the_stacks(self, tmp_path: Path) -> None:
        var = VarDir.at(tmp_path / "var")
        (var.root / "mine.txt").write_text("kept")
        (var.data("postgres") / "PG_VERSION").write_text("18")
        var.keys.write_text("{}")
        wipe(var)
        assert [item.name for item in var.root.iterdir()] == ["mine.txt"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands folders to another user")
class TestPlace:
    def test_private_parent_moves_the_data_and_reset_finds_it(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o700)
        var = VarDir.at(tmp_path / "var")
        account = Account(uid=65534, gid=65534)
        assert not passable(var.root, account)
        folder = place(var, account)
        assert not folder.is_relative_to(tmp_path)
        assert passable(folder, account)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert place(var, account) == folder
        wipe(var)
        assert not folder.exists()
