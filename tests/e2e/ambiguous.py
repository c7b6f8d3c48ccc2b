"""What becomes of a send whose outcome is not known, on every platform: found by doing it, written into the docs.

`python -m tests.e2e.ambiguous` (`make gen-reliability`) runs every situation against the simulator and writes the rows
between the marks of docs/reliability.md; test_ambiguous.py fails when a run finds anything else than what stands there.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from db.migrate import upgrade
from simulator.server import running_simulator
from stack.embedded import EmbeddedServices
from stack.paths import ROOT
from tests.conftest import DatabaseUrls
from tests.e2e.lines import PARTS, PLATFORMS, STATUS, open_line, restart, script, sends, settled, shown, tell
from tests.e2e.system import System, Talk, start_system

DOCUMENT: Final = ROOT / "docs" / "reliability.md"
BEGIN: Final = "<!-- ambiguous sends: made by `make gen-reliability` -->"
END: Final = "<!-- end of ambiguous sends -->"
_TIMES: Final = {0: "not at all", 1: "once", 2: "twice"}


@dataclass(frozen=True, slots=True)
class Case:
    """A platform, and what its channel is configured to do."""

    platform: str
    policy: str | None = None

    @property
    def title(self) -> str:
        """Return the row's first cell."""
        return self.platform if self.policy is None else f"{self.platform}, `{self.policy}`"

    async def open(self, system: System) -> Talk:
        """Open a talk of this kind."""
        return await open_line(system, self.platform, **({"ambiguous_policy": self.policy} if self.policy else {}))


CASES: Final = (*(Case(platform) for platform in PLATFORMS), Case("telegram", "at_least_once"))


@dataclass(frozen=True, slots=True)
class Situation:
    """What goes wrong. `fault`: what the platform's side does; `kill`: the worker is killed while the call is held there;
    `point`: or kills itself there."""

    title: str
    fault: str | None = None
    kill: bool = False
    point: str | None = None


ANSWER_LOST: Final = Situation("taken, and the answer was lost", "accept_then_drop")
REQUEST_LOST: Final = Situation("not taken, and the connection broke", "drop_before_accept")
ERROR_AFTER: Final = Situation("taken, and answered with a 5xx", "accept_then_error")
KILLED_AFTER: Final = Situation("taken, and the worker was killed before the answer", "accept_then_hold", kill=True)
KILLED_BEFORE: Final = Situation("the worker was killed before the request left", point="deliver.before_write")
KILLED_UNWRITTEN: Final = Situation(
    "answered, and the worker was killed before it was written down", point="deliver.sent"
)
AT_ONCE: Final = (ANSWER_LOST, REQUEST_LOST, ERROR_AFTER, KILLED_AFTER)
"""Those that can happen to all platforms together."""
ONE_BY_ONE: Final = (KILLED_BEFORE, KILLED_UNWRITTEN)
SITUATIONS: Final = (*AT_ONCE, *ONE_BY_ONE)
Cells = dict[tuple[str, str], str]
"""(row's title, column's title) -> what was found."""


async def happen(system: System, situation: Situation, cases: Sequence[Case] = CASES) -> Cells:
    """Let it happen to every case, and return what became of it."""
    if situation.point is not None:
        return {key: cell for case in cases for key, cell in (await _at_point(system, situation, case)).items()}
    talks = [await case.open(system) for case in cases]
    faults = [await script(talk, situation.fault or "") for talk in talks]
    for talk in talks:
        await tell(talk, "alice", "hello")
    if situation.kill:
        for fault in faults:
            assert await system.simulator.held(fault)
        await system.worker.kill()
        for fault in faults:
            await system.simulator.release(fault)
        system.worker.start()
    found = await asyncio.gather(*(_found(talk) for talk in talks))
    return {(case.title, situation.title): cell for case, cell in zip(cases, found, strict=True)}


async def _at_point(system: System, situation: Situation, case: Case) -> Cells:
    talk = await case.open(system)
    await restart(system, POWERNODE_FAILPOINT=f"{situation.point}=kill")
    await tell(talk, "alice", "hello")
    assert await system.worker.ended() == -signal.SIGKILL
    await restart(system)
    return {(case.title, situation.title): await _found(talk)}


async def _found(talk: Talk) -> str:
    await talk.until(PARTS, 1)
    await settled(talk)
    [(status,)] = await talk.rows(STATUS)
    copies, requests = len(await shown(talk)), len(await sends(talk))
    return f"`{status}`; shown {_TIMES[copies]}; {requests} request{'' if requests == 1 else 's'}"


def table(cells: Cells) -> str:
    """Return the table in Markdown: a row a situation, a column a case."""
    head = ["", *(case.title for case in CASES)]
    lines = [head, ["---"] * len(head)]
    lines += [[one.title, *(cells[case.title, one.title] for case in CASES)] for one in SITUATIONS]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def documented() -> Cells:
    """Return what the document says."""
    written = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    lines = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in written.strip().splitlines()]
    titles = lines[0][1:]
    return {(title, line[0]): cell for line in lines[2:] for title, cell in zip(titles, line[1:], strict=True)}


def write(cells: Cells) -> None:
    """Put the table between the marks."""
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    DOCUMENT.write_text(f"{before}{BEGIN}\n{table(cells)}\n{END}{after}", encoding="utf-8")


async def generate() -> None:
    """Run everything on services of its own, and write the table."""
    with tempfile.TemporaryDirectory(prefix="powernode-reliability-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)  # Postgres's own user walks through
        async with EmbeddedServices(folder) as urls, running_simulator() as simulator:
            await asyncio.to_thread(upgrade, urls.database_owner_url)
            database = DatabaseUrls("reliability", urls.database_url, urls.database_owner_url)
            system = await start_system(urls, database, urls.redis_url, simulator.origin, folder)
            try:
                cells: Cells = {}
                for situation in SITUATIONS:
                    sys.stderr.write(f"{situation.title}\n")
                    cells |= await happen(system, situation)
            finally:
                await system.close()
    write(cells)


if __name__ == "__main__":
    asyncio.run(generate())
