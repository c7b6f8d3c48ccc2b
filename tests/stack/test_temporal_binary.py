"""Getting the Temporal server: the order, the race, the lock, and what is said when nothing works."""

from __future__ import annotations

import io
import os
import platform
import tarfile
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from stack.temporal_binary import TemporalUnavailableError, go_version, locate, obtain

TOOL = "#!/bin/sh\necho temporal version 9.9.9\n"
NOWHERE = "http://127.0.0.1:9"


def silent(_line: str) -> None:
    return


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@contextmanager
def only_path(folder: Path) -> Generator[None]:
    """Run with a PATH of this folder and the shell's own; the real one comes back."""
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{folder}:/bin"
    try:
        yield
    finally:
        os.environ["PATH"] = before


@contextmanager
def archive_server(text: str) -> Generator[tuple[str, list[str]]]:
    """Serve an archive with this executable; yields the origin and the paths asked for."""
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as archive:
        item = tarfile.TarInfo("temporal")
        item.size = len(text)
        archive.addfile(item, io.BytesIO(text.encode()))
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body.getvalue())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class TestLocate:
    def test_path_comes_before_the_cache(self, tmp_path: Path) -> None:
        on_path = program(tmp_path / "bin" / "temporal", TOOL)
        kept = program(tmp_path / "cache" / "temporal", TOOL)
        with only_path(on_path.parent):
            assert locate(kept.parent) == on_path
        with only_path(tmp_path / "empty"):
            assert locate(kept.parent) == kept

    def test_another_tool_of_that_name_does_not_count(self, tmp_path: Path) -> None:
        with only_path(program(tmp_path / "bin" / "temporal", "#!/bin/sh\necho something else\n").parent):
            assert locate(tmp_path / "cache") is None


class TestObtain:
    def test_download_is_kept_and_not_repeated(self, tmp_path: Path) -> None:
        with only_path(tmp_path / "empty"), archive_server(TOOL) as (origin, asked):
            path = obtain(silent, tmp_path / "cache", origin)
            assert path == tmp_path / "cache" / "temporal"
            assert obtain(silent, tmp_path / "cache", origin) == path
        machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
        assert len(asked) == 1
        assert asked[0].endswith(f"arch={machine}")
        assert [item.name for item in path.parent.iterdir() if item.is_dir()] == []

    def test_build_wins_where_the_download_fails(self, tmp_path: Path) -> None:
        go = """#!/bin/sh
            if [ "$1" = version ]; then echo go version go1.26.8 linux/amd64; exit; fi
            /bin/mkdir -p "$GOBIN"; printf '#!/bin/sh\\necho temporal version built\\n' > "$GOBIN/temporal"
            /bin/chmod +x "$GOBIN/temporal"
        """
        said: list[str] = []
        with only_path(program(tmp_path / "bin" / "go", go).parent):
            assert obtain(said.append, tmp_path / "cache", NOWHERE) == tmp_path / "cache" / "temporal"
        assert any("building" in line for line in said)

    def test_slow_build_ends_when_the_download_wins(self, tmp_path: Path) -> None:
        go = f"""#!/bin/sh
            if [ "$1" = version ]; then echo go version go1.26.8 linux/amd64; exit; fi
            echo $$ > {tmp_path}/pid; exec /bin/sleep 600
        """
        with (
            only_path(program(tmp_path / "bin" / "go", go).parent),
            archive_server(TOOL) as (origin, _),
        ):
            obtain(silent, tmp_path / "cache", origin)
        pid = (tmp_path / "pid").read_text() if (tmp_path / "pid").exists() else ""
        if pid:  # it may have been ended before, or within, its first line
            with pytest.raises(ProcessLookupError):
                os.kill(int(pid), 0)

    def test_old_go_is_reported_not_tried(self, tmp_path: Path) -> None:
        go = "#!/bin/sh\necho go version go1.19.8 linux/amd64\n"
        with (
            only_path(program(tmp_path / "bin" / "go", go).parent),
            pytest.raises(TemporalUnavailableError, match=r"go1\.19\.8 linux/amd64 is older than 1\.25"),
        ):
            obtain(silent, tmp_path / "cache", NOWHERE)

    def test_nothing_works_says_what_to_do(self, tmp_path: Path) -> None:
        with only_path(tmp_path / "empty"), pytest.raises(TemporalUnavailableError, match="TEMPORAL_ADDRESS") as caught:
            obtain(silent, tmp_path / "cache", NOWHERE)
        assert "no Go on PATH" in str(caught.value)
        assert "download: " in str(caught.value)

    def test_what_does_not_run_is_not_kept(self, tmp_path: Path) -> None:
        with (
            only_path(tmp_path / "empty"),
            archive_server("#!/bin/sh\nexit 1\n") as (origin, _),
            pytest.raises(TemporalUnavailableError, match="does not run here"),
        ):
            obtain(silent, tmp_path / "cache", origin)
        assert not (tmp_path / "cache" / "temporal").exists()

    def test_two_at_once_get_it_once(self, tmp_path: Path) -> None:
        with only_path(tmp_path / "empty"), archive_server(TOOL) as (origin, asked):
            threads = [threading.Thread(target=obtain, args=(silent, tmp_path / "cache", origin)) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert len(asked) == 1


class TestGoVersion:
    @pytest.mark.parametrize(
        ("text", "version"),
        [
            ("go version go1.26.8 linux/amd64", (1, 26)),
            ("go version go1.25rc1 linux/arm64", (1, 25)),
            ("go version devel", None),
            ("", None),
        ],
    )
    def test_reads(self, text: str, version: tuple[int, int] | None) -> None:
        assert go_version(text) == version
