"""A worker that stood still while it held a claim does not send what another has sent meanwhile.

Its connections to Temporal are cut while it stands still: else its polls are handed tasks for a minute longer, each until it is
late, which shows nothing of claims.
"""

from __future__ import annotations

import signal
from pathlib import Path

from simulator.server import running_simulator
from stack.embedded import StackUrls
from tests.conftest import DatabaseUrls
from tests.e2e.gate import gate_before
from tests.e2e.system import start_system


class TestStoppedWorker:
    async def test_its_late_send_is_given_up(
        self, stack_urls: StackUrls, database_urls: DatabaseUrls, redis_url: str, tmp_path: Path
    ) -> None:
        temporal = f"http://{stack_urls.temporal_address}"
        async with running_simulator() as simulator, gate_before(temporal) as gate:
            system = await start_system(stack_urls, database_urls, redis_url, simulator.origin, tmp_path, workers=2)
            first, second = system.workers
            await second.kill()
            await first.kill()
            first.start(
                POWERNODE_FAILPOINT="deliver.before_write=stop", TEMPORAL_ADDRESS=gate.origin.removeprefix("http://")
            )
            await system.ready()
            talk = await system.open_talk("slack")
            await talk.say("alice", "hello")
            await first.stopped()
            await gate.shut()
            second.start()
            await talk.until("SELECT delivery_status FROM chat_messages WHERE direction = 'outbound'", "sent", 90)
            assert len(await talk.replies(1)) == 1
            calls = await simulator.calls(channel=talk.name, method="chat.postMessage")
            await gate.open()
            first.send(signal.SIGCONT)
            # It works again when it takes part in the next answer; by then its late send would have arrived.
            await second.kill()
            await talk.say("alice", "and again")
            await talk.until(
                "SELECT count(*) FROM chat_messages WHERE direction = 'outbound' AND delivery_status = 'sent'", 2, 90
            )
            assert len(await simulator.calls(channel=talk.name, method="chat.postMessage")) == len(calls) + 1
            await system.close()
