"""Processes killed with -9 under load: nothing answered 2xx is lost, nothing is said twice."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter

import pytest

from tests.e2e.checker import Verdict, check, judge
from tests.e2e.lines import BY_SOCKET, HEARD, PLATFORMS, open_line, settled
from tests.e2e.system import Process, System, Talk

LOG = logging.getLogger(__name__)
PEOPLE = 20
CAN_BE_ASKED = frozenset({"discord", "mattermost", "slack"})
"""Where a send whose outcome is not known is found, or repeated safely: nothing may end `unknown` there."""


async def storm(talk: Talk, count: int, rate_per_s: float) -> list[str]:
    """Let twenty people write at a steady rate; waits until everything is stored. Returns the texts."""
    report = await talk.system.simulator.batch(
        talk.name, count=count, people=PEOPLE, text="question {i}. from {person}", rate_per_s=rate_per_s, wait_s=110
    )
    while not report["done"]:
        report = await talk.system.simulator.get(f"batch/{report['batch']}", timeout_s=100)
    if talk.platform not in BY_SOCKET:
        assert report["settled"] == count, str(report)[:600]
    await talk.until(HEARD, count, timeout_s=120)
    return [f"question {number}. from person-{number % PEOPLE}" for number in range(count)]


async def kill_repeatedly(system: System, victim: Process, every_s: float, times: int) -> None:
    """Kill a process and start it again at once, as a supervisor would."""
    for _ in range(times):
        await asyncio.sleep(every_s)
        await victim.kill()
        victim.start()
    await system.ready()


async def survive(
    system: System, victim: Process, *, count: int, rate_per_s: float, every_s: float, times: int
) -> dict[str, Verdict]:
    """Load all platforms while a process is killed, and judge what came of it."""
    talks = [await open_line(system, platform) for platform in PLATFORMS]
    killing = asyncio.create_task(kill_repeatedly(system, victim, every_s, times))
    asked = await asyncio.gather(*(storm(talk, count, rate_per_s) for talk in talks))
    await killing
    verdicts: dict[str, Verdict] = {}
    for talk, texts in zip(talks, asked, strict=True):
        await settled(talk)
        verdict = verdicts[talk.platform] = await check(talk, texts)
        assert verdict.asked == count
        assert (verdict.lost, verdict.doubled, verdict.unstored, verdict.called_twice) == ([], [], [], []), verdict
        assert verdict.answered_once + verdict.unknown == count
        if talk.platform in CAN_BE_ASKED:
            assert verdict.unknown == 0, verdict
    return verdicts


class TestJudge:
    def test_finds_what_is_lost_doubled_or_stored_twice(self) -> None:
        verdict = judge(
            ["a.", "b.", "c.", "d."],
            ["a.", "b.", "b.", "c.", "d."],
            Counter({"c.": 2}),
            ["> a.", "> a.", "> c."],
            {"d."},
        )
        assert verdict == Verdict(4, 1, 1, ["b."], ["a."], ["b."], ["c."])


class TestShort:
    async def test_one_kill_of_each_under_load(self, system: System) -> None:
        for victim in (system.worker, system.api):
            await survive(system, victim, count=10, rate_per_s=2.5, every_s=2, times=1)


@pytest.mark.full
class TestMinute:
    @pytest.mark.parametrize("victim", ["worker", "api"])
    async def test_killed_every_five_seconds(self, system: System, victim: str) -> None:
        process = system.worker if victim == "worker" else system.api
        verdicts = await survive(system, process, count=120, rate_per_s=2, every_s=5, times=12)
        for platform, found in verdicts.items():
            LOG.info(
                "%s killed, %s: %d answered once, %d unknown", victim, platform, found.answered_once, found.unknown
            )
