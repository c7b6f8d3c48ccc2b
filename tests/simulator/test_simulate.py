"""`powernode simulate` as a person's own CI uses it, and the page that says how: its examples are run as they stand."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import httpx2
import pytest

from simulator.control_models import PersonInput, SayInput
from simulator.faults import FaultInput, FaultKind
from simulator.records import Options
from simulator.server import create_app
from simulator.wish import SayKind

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/simulator.md").read_text()
PROGRAM = [sys.executable, str(ROOT / "cli.py"), "simulate"]


@contextmanager
def simulating(folder: Path, *options: str) -> Generator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Run it from another folder; yields the process and what it says about itself."""
    process = subprocess.Popen([*PROGRAM, *options, "--json", "-"], cwd=folder, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def example(language: str, having: str) -> str:
    """Return the example of the page that has these words."""
    [found] = [one for one in re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL) if having in one]
    return found


def environment(folder: Path) -> dict[str, str]:
    """Return one in which `powernode` is a command."""
    command = folder / "bin" / "powernode"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{ROOT}/cli.py" "$@"\n')
    command.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return kept | {"PATH": f"{command.parent}:{os.environ['PATH']}"}


class TestCommand:
    def test_every_platform_has_a_bot_whose_credentials_its_api_takes(self, tmp_path: Path) -> None:
        with simulating(tmp_path) as (_, told), httpx2.Client(trust_env=False) as http:
            bots = told["bots"]
            asked = {
                "telegram": ("GET", "/getMe"),
                "slack": ("POST", "/auth.test"),
                "discord": ("GET", "/users/@me"),
                "mattermost": ("GET", "/users/me"),
                "whatsapp": ("GET", ""),
            }
            assert set(bots) == set(asked)
            for platform, (method, path) in asked.items():
                secret = bots[platform]["credentials"]
                token = secret.get("bot_token") or secret["access_token"]
                headers = {"Authorization": f"{'Bot' if platform == 'discord' else 'Bearer'} {token}"}
                answer = http.request(method, bots[platform]["api"] + path, headers=headers)
                assert answer.status_code == 200, platform
                assert answer.json().get("ok", True), platform
            assert http.get(told["page"]).status_code == http.get(f"{told['control']}/health").status_code == 200

    def test_credentials_are_the_same_every_time_and_others_with_another_seed(self, tmp_path: Path) -> None:
        found: list[dict[str, Any]] = []
        for seed in ("a", "a", "b"):
            with simulating(tmp_path, "slack", "--seed", seed) as (_, told):
                found.append(told["bots"]["slack"]["credentials"])
        assert found[0] == found[1] != found[2]

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_ends_in_good_order_while_somebody_waits(self, tmp_path: Path, number: signal.Signals) -> None:
        with simulating(tmp_path, "telegram") as (process, told), httpx2.Client(trust_env=False) as http:
            url = f"{told['control']}/live?platform=telegram&as=alice"
            with http.stream("GET", url) as stream:
                next(stream.iter_lines())
                process.send_signal(number)
                assert process.wait(timeout=15) == 0

    def test_what_it_cannot_do_is_said(self, tmp_path: Path) -> None:
        with simulating(tmp_path, "telegram") as (_, told):
            port = told["origin"].rpartition(":")[2]
            wrong = {
                ("pigeon",): "unknown platform 'pigeon'; one of: slack, telegram",
                ("--webhook", "telegram"): "--webhook wants platform=http://…, not 'telegram'",
                ("--port", port): f"cannot listen on 127.0.0.1 port {port}: Address already in use",
            }
            for options, words in wrong.items():
                done = subprocess.run([*PROGRAM, *options], cwd=tmp_path, capture_output=True, text=True, check=False)
                assert (done.returncode, done.stdout) == (2, "")
                assert done.stderr.startswith(words)

    def test_remembers_over_a_restart(self, tmp_path: Path) -> None:
        options = ("telegram", "--state-file", str(tmp_path / "state.json"))
        with simulating(tmp_path, *options) as (process, told), httpx2.Client(trust_env=False) as http:
            api = told["bots"]["telegram"]["api"]
            http.post(f"{api}/setWebhook", json={"url": "http://127.0.0.1:9/hook"})
            http.post(f"{told['control']}/say", json={"platform": "telegram", "as": "alice", "text": "hello"})
            process.terminate()
            process.wait(timeout=15)
        with simulating(tmp_path, *options) as (_, told), httpx2.Client(trust_env=False) as http:
            shown = http.get(f"{told['control']}/phone?platform=telegram&as=alice&format=text").text
            assert "alice: hello" in shown
            [bot] = http.get(f"{told['control']}/channels").json()["channels"]
            assert bot["webhook_url"] == "http://127.0.0.1:9/hook"


class TestPage:
    @pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
    def test_the_shell_example_runs(self, tmp_path: Path) -> None:
        script = tmp_path / "example.sh"
        script.write_text("set -em\n" + example("sh", "simulator.json &"))
        done = subprocess.run(
            ["bash", str(script)],
            cwd=tmp_path,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        for words in ('"message_id":"1"', "alice: hello", '"received":[]', '"kind":"accept_then_drop"'):
            assert words in done.stdout

    def test_the_pytest_example_passes(self, tmp_path: Path) -> None:
        (tmp_path / "test_my_bot.py").write_text(example("python", "def test_answers"))
        (tmp_path / "pytest.ini").write_text("[pytest]\n")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio"],
            cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip
        assert "2 passed" in done.stdout, done.stdout + done.stderr

    async def test_tells_of_every_route_kind_and_option(self) -> None:
        app = create_app()
        async with app.router.lifespan_context(app):
            paths = {str(getattr(route, "path", "")) for route in app.router.routes}
        wanted = {path for path in paths if path.startswith("/_sim/")}
        wanted |= {*get_args(FaultKind), *get_args(SayKind), *Options.model_fields, *FaultInput.model_fields}
        wanted |= {*PersonInput.model_fields, *SayInput.model_fields} - {"person"}
        assert [one for one in sorted(wanted) if one not in PAGE] == []
