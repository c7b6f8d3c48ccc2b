"""The simulator as a child process: for benches and for tests that must not share a processor with it or that kill it."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final

from simulator.client import SimulatorClient

_ROOT: Final = Path(__file__).resolve().parent.parent


@contextlib.asynccontextmanager
async def simulator_process(
    *, host: str = "127.0.0.1", port: int = 0, state_file: Path | None = None
) -> AsyncGenerator[SimulatorClient]:
    """Run `python -m simulator` until the block ends; yield its client. Raises RuntimeError if it does not start."""
    state = [] if state_file is None else ["--state-file", str(state_file)]
    command = [sys.executable, "-m", "simulator", "--host", host, "--port", str(port), *state]
    child = await asyncio.create_subprocess_exec(*command, cwd=_ROOT, stdout=asyncio.subprocess.PIPE)
    assert child.stdout is not None
    try:
        line = (await child.stdout.readline()).decode()
        if not line:
            raise RuntimeError("the simulator ended before it listened")
        async with SimulatorClient(line.removeprefix("simulator on ").strip()) as client:
            await client.health()
            yield client
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.terminate()
        await child.wait()
