"""ONCE-IN on every platform: copies, another order, and a listener that dies between storing and answering.

Apart from the other faults: a listener that is to die at the next stored item must hear of nothing else.
"""

from __future__ import annotations

import signal
from collections import Counter

import pytest

from tests.e2e.lines import BY_WEBHOOK, HEARD, PLATFORMS, open_line, quiet, said_in, shown, tell
from tests.e2e.system import System

WORDS = ["one", "two", "three"]
SHORT = ("discord", "slack")
"""One that is heard over a socket and one by webhook; the sockets' own deaths are in test_connections.py."""


class TestCopies:
    async def test_five_copies_in_any_order_are_answered_once_each(self, system: System) -> None:
        words = [f"word {number}." for number in range(10)]
        for platform in BY_WEBHOOK:
            talk = await system.open_talk(platform)
            report = await system.simulator.batch(
                talk.name,
                messages=[{"as": f"person-{number}", "text": word} for number, word in enumerate(words)],
                copies=5,
                shuffle=True,
                wait_s=110,
            )
            assert (report["done"], report["settled"]) == (True, 10), report
            await quiet(talk)
            texts = [one["text"] for one in await shown(talk)]
            assert Counter(said_in(texts, words)) == Counter(words), platform
            assert (await talk.rows(HEARD))[0][0] == 10


class TestKilledListener:
    @pytest.mark.parametrize("point", ["intake.stored", pytest.param("intake.heard", marks=pytest.mark.full)])
    @pytest.mark.parametrize(
        "platform", [*SHORT, *(pytest.param(one, marks=pytest.mark.full) for one in PLATFORMS if one not in SHORT)]
    )
    async def test_what_was_being_stored_is_answered_once(self, system: System, platform: str, point: str) -> None:
        talk = await open_line(system, platform)
        await tell(talk, "alice", "one")
        await quiet(talk)
        listener = system.api if platform in BY_WEBHOOK else system.worker
        await listener.kill()
        try:
            listener.start(POWERNODE_FAILPOINT=f"{point}=kill")
            await system.ready()
            await talk.say("alice", "two", wait=False)
            assert await listener.ended() == -signal.SIGKILL
            assert (await talk.rows(HEARD))[0][0] == (2 if point == "intake.stored" else 1)
        finally:
            await listener.kill()
            listener.start()
        await system.ready()
        await talk.until(HEARD, 2)
        await tell(talk, "alice", "three")
        await quiet(talk)
        texts = [one["text"] for one in await shown(talk)]
        assert Counter(said_in(texts, WORDS)) == Counter(WORDS)
        assert (await talk.rows(HEARD))[0][0] == 3
