"""Two workers and one socket: who stood still gives way. Apart from the other tests, whose worker would hold it too."""

from __future__ import annotations

import signal
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from simulator.server import running_simulator
from stack.embedded import StackUrls
from tests.conftest import DatabaseUrls
from tests.e2e.sockets import FENCE, connected, heard, listeners
from tests.e2e.system import start_system


@pytest.mark.parametrize("platform", ["discord", pytest.param("mattermost", marks=pytest.mark.full)])
class TestHolders:
    async def test_a_worker_that_stood_still_gives_way(
        self, platform: str, stack_urls: StackUrls, database_urls: DatabaseUrls, redis_url: str, tmp_path: Path
    ) -> None:
        async with running_simulator() as simulator, AsyncExitStack() as stack:
            system = await start_system(stack_urls, database_urls, redis_url, simulator.origin, tmp_path, workers=2)
            stack.push_async_callback(system.close)
            first, second = system.workers
            await second.kill()
            talk, _ = await connected(system, platform)
            await heard(talk, "alice", "one")
            await talk.replies(1)
            [(fence,)] = await talk.rows(FENCE)
            first.send(signal.SIGSTOP)
            second.start()
            await talk.until(f"SELECT fence > {fence} AND state = 'connected' FROM channel_connections", True)
            [(newer,)] = await talk.rows(FENCE)
            await heard(talk, "alice", "two")
            first.send(signal.SIGCONT)
            await listeners(talk, 1)
            await heard(talk, "alice", "three")
            assert len(await talk.replies(3)) == 3
            assert await talk.rows(FENCE) == [(newer,)]
