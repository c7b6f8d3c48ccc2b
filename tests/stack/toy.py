"""A stack on real embedded services with two small programs of its own: the supervisor's tests must not wait for, or
break with, the product. Run as `python -m tests.stack.toy`, it does what `powernode up` does.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from config import StackSettings
from stack.plan import Launch, StackState
from stack.ports import Ports
from stack.programs import HttpService
from stack.report import PipeReport
from stack.supervisor import Job, Stage
from stack.up import run

SERVE = "import sys,http.server as h; h.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), h.SimpleHTTPRequestHandler).serve_forever()"


def programs(launch: Launch, state: StackState, ports: Ports) -> Sequence[Stage]:
    async def work() -> str:
        return state.api_url

    def serve(name: str, port: int) -> HttpService:
        return HttpService(launch, name, ("-c", SERVE, str(port)), ready_url=f"http://127.0.0.1:{port}/")

    port = int(state.api_url.rpartition(":")[2])
    return ((Job("Work", work),), (serve("api", port), serve("simulator", ports.pick("simulator"))))


if __name__ == "__main__":
    status = run(StackSettings.load(), PipeReport(os.dup(1)), programs)
    sys.exit(status)
