"""The supervisor on real processes: what it writes, what it brings back, what it leaves behind (nothing)."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import stat
from collections.abc import AsyncGenerator
from pathlib import Path

import asyncpg
import pytest

from config import StackSettings
from realtime.client import ask, redis_client
from stack.down import down, reset
from stack.keys import StackKeys
from stack.ownership import Roster, Seat
from stack.paths import VarDir
from stack.ports import Ports, any_free
from stack.process import send
from stack.service import http_status
from stack.state import StackState
from tests.stack.stacks import ToyStack, alive, family, toy_folder, toy_stack, until, until_true

SERVICES = ("postgres", "valkey", "temporal", "api", "simulator")


@pytest.fixture(scope="module")
async def running() -> AsyncGenerator[ToyStack]:
    async with toy_stack() as stack:
        yield stack


async def _serves(stack: ToyStack, name: str) -> bool:
    state = stack.state()
    if name == "postgres":
        try:
            connection = await asyncpg.connect(state.database_url, timeout=2)
        except (OSError, TimeoutError, asyncpg.PostgresError):
            return False
        await connection.close()
        return True
    if name == "valkey":
        client = redis_client(state.redis_url)
        try:
            return await ask(client, "PING") is True
        finally:
            await client.aclose()
    url = {"api": state.api_url, "simulator": state.simulator_url, "temporal": state.temporal_ui_url}[name]
    return await http_status(url or "") == 200


async def _until_serves(stack: ToyStack, name: str) -> None:
    await until_true(lambda: _serves(stack, name))


def _changed(stack: ToyStack, name: str, old: int) -> StackState | None:
    state = StackState.read(stack.folder)
    return state if state and state.pids.get(name) not in {None, old} else None


def _listening_elsewhere(pids: set[int]) -> list[str]:
    """Return listening TCP addresses of these processes that are not on loopback (from /proc/net)."""
    sockets: set[str] = set()
    for pid in pids:
        for handle in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                sockets.add(str(handle.readlink()))
    found: list[str] = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            address = fields[1].partition(":")[0]
            local = address == "0100007F" or address.endswith(("0100007F", "00000000000000000000000001000000"))
            if fields[3] == "0A" and not local and f"socket:[{fields[9]}]" in sockets:
                found.append(fields[1])
    return found


class TestStart:
    async def test_reports_every_step_and_then_ready(self, running: ToyStack) -> None:
        done = {report[1] for report in running.reports if report[0] == "done"}
        assert done == {"Postgres", "Valkey", "Temporal", "Work", "API", "Simulator"}
        assert running.reports[-1] == ["ready"]

    async def test_state_is_private_and_complete(self, running: ToyStack) -> None:
        state = running.state()
        assert stat.S_IMODE((running.folder / "stack.json").stat().st_mode) == 0o600
        assert stat.S_IMODE((running.folder / "secrets.json").stat().st_mode) == 0o600
        assert set(state.pids) == {*SERVICES, "supervisor"}
        assert state.pids["supervisor"] == running.pid
        assert state.cable_url == f"{state.api_url.replace('http', 'ws')}/cable"
        assert state.temporal_namespace == "default"

    async def test_every_service_serves(self, running: ToyStack) -> None:
        assert [name for name in SERVICES if not await _serves(running, name)] == []

    async def test_nothing_listens_beyond_loopback(self, running: ToyStack) -> None:
        assert _listening_elsewhere(set(family(running.pid))) == []

    async def test_postgres_trusts_nobody(self, running: ToyStack) -> None:
        url = running.state().database_url
        password = StackKeys.keep(VarDir.at(running.folder)).app_password
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(url.replace(password, "wrong"))


class TestRestart:
    @pytest.mark.parametrize("name", SERVICES)
    async def test_killed_process_comes_back_on_its_address(self, running: ToyStack, name: str) -> None:
        before = running.state()
        send(before.pids[name], signal.SIGKILL)
        after = await until(lambda: _changed(running, name, before.pids[name]))
        await _until_serves(running, name)
        assert {**after.pids, name: 0} == {**before.pids, name: 0}
        assert after.model_copy(update={"pids": {}}) == before.model_copy(update={"pids": {}})
        assert stat.S_IMODE((running.folder / "stack.json").stat().st_mode) == 0o600

    async def test_data_survives(self, running: ToyStack) -> None:
        url = running.state().database_owner_url
        connection = await asyncpg.connect(url)
        await connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        await connection.close()
        old = running.state().pids["postgres"]
        send(old, signal.SIGKILL)
        await until(lambda: _changed(running, "postgres", old))
        await _until_serves(running, "postgres")
        connection = await asyncpg.connect(url)
        assert await connection.fetchval("SELECT answer FROM kept") == 42
        await connection.close()


class TestStop:
    async def test_down_leaves_no_process_and_keeps_data(self) -> None:
        async with toy_stack() as stack:
            everything = family(stack.pid)
            assert len(everything) > len(SERVICES)
            assert await asyncio.to_thread(down, StackSettings(var_dir=stack.folder))
            assert alive(everything) == []
            assert await stack.ended() == 0
            assert StackState.read(stack.folder) is None
            assert (stack.folder / "postgres").is_dir()
            await asyncio.to_thread(reset, StackSettings(var_dir=stack.folder))
            assert not stack.folder.exists()

    async def test_down_without_a_stack_says_so(self) -> None:
        async with toy_folder() as folder:
            assert not await asyncio.to_thread(down, StackSettings(var_dir=folder))

    async def test_children_die_with_a_killed_supervisor(self) -> None:
        async with toy_stack() as stack:
            everything = family(stack.pid)
            await stack.end(signal.SIGKILL)
            await until(lambda: not alive(everything))
            # What it left in the folder does not hinder the next start.
            again = await ToyStack(stack.folder).start()
            assert again.reports[-1] == ["ready"]
            assert await again.end(signal.SIGINT) == 0
            assert (stack.folder / "stack.json").exists() is False

    @pytest.mark.full
    async def test_interrupted_start_leaves_no_process(self) -> None:
        async with toy_folder() as folder:
            stack = ToyStack(folder)
            starting = asyncio.create_task(stack.start())
            await until(lambda: stack.process and len(family(stack.pid)) > 1)
            everything = family(stack.pid)
            await stack.end(signal.SIGINT)
            await starting
            assert alive(everything) == []


class TestTakeOver:
    async def test_second_start_replaces_the_first(self) -> None:
        async with toy_stack() as first:
            everything = family(first.pid)
            ports = (first.folder / "ports.json").read_text()
            second = await ToyStack(first.folder).start()
            assert second.reports[-1] == ["ready"]
            assert alive(everything) == []
            assert (first.folder / "ports.json").read_text() == ports
            await second.end()

    async def test_reused_process_id_is_not_signalled(self, running: ToyStack) -> None:
        async with toy_folder() as folder:
            var = VarDir.at(folder)
            seat = Seat(pid=running.pid, started="another time")
            Roster(supervisor=seat, children={"api": seat}).write(var)
            await asyncio.to_thread(down, StackSettings(var_dir=folder))
            assert len(alive(family(running.pid))) > len(SERVICES)


class TestSideBySide:
    async def test_another_folder_is_another_stack_on_free_ports(self, running: ToyStack) -> None:
        async with toy_stack() as other:
            mine, theirs = running.state(), other.state()
            assert mine.api_url != theirs.api_url
            assert set(mine.pids.values()).isdisjoint(theirs.pids.values())
            assert [name for name in SERVICES if not await _serves(other, name)] == []
        assert [name for name in SERVICES if not await _serves(running, name)] == []

    async def test_busy_port_is_replaced_and_the_choice_kept(self) -> None:
        async with toy_folder() as folder:
            with socket.create_server(("127.0.0.1", 0)) as taken:
                busy = taken.getsockname()[1]
                ports = Ports(VarDir.at(folder))
                chosen = ports.pick("api", preferred=busy)
                assert chosen != busy
                assert ports.pick("api", preferred=busy) == chosen
                ports.release()
            again = Ports(VarDir.at(folder))
            assert again.pick("api", preferred=busy) == chosen
            again.release()

    async def test_two_that_start_together_choose_different_ports(self) -> None:
        async with toy_folder() as one, toy_folder() as two:
            first, second = Ports(VarDir.at(one)), Ports(VarDir.at(two))
            wanted = any_free()
            assert first.pick("api", preferred=wanted) == wanted
            assert second.pick("api", preferred=wanted) != wanted  # nobody listens there yet
            first.release()
            second.release()

    async def test_given_services_are_used_and_not_embedded(self, running: ToyStack) -> None:
        state = running.state()
        env = {
            "DATABASE_URL": state.database_url,
            "REDIS_URL": state.redis_url,
            "TEMPORAL_ADDRESS": state.temporal_address,
        }
        async with toy_stack(**env) as stack:
            assert set(stack.state().pids) == {"api", "simulator", "supervisor"}
            assert stack.state().database_url == state.database_url
