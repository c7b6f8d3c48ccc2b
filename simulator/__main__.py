"""`python -m simulator`: the simulator as a process; `powernode simulate` is this with its bots (docs/simulator.md).

Ends with status 0 on SIGTERM or SIGINT, 2 where it cannot start.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from simulator.bots import Bot, describe, wanted, write
from simulator.server import Server, create_app, listen


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8090, help="0: a free one")
    parser.add_argument("--state-file", type=Path, help="remember channels, people and messages here")
    parser.add_argument("--bots", action="store_true", help="begin with bots, one of each platform or those of --bot")
    parser.add_argument("--bot", action="append", default=[], metavar="PLATFORM")
    parser.add_argument("--webhook", action="append", default=[], metavar="PLATFORM=URL", help="where its bot is told")
    parser.add_argument("--seed", default="simulated", help="what the bots' credentials are made of")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write addresses and credentials here; -: print them")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM. Returns the exit status. `arguments`: instead of the command line's."""
    options = _options(arguments)
    asked = options.bots or options.bot or options.webhook
    try:
        bots = wanted(options.bot, options.webhook, options.seed) if asked else []
        listener = listen(options.host, options.port)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"cannot listen on {options.host} port {options.port}: {error.strerror}\n")
        return 2
    origin = f"http://{options.host}:{listener.getsockname()[1]}"
    _say(origin, bots, options.json)
    # The server ends in good order by itself and then sends itself the signal again, which shall not be an accident.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _ended)
    Server(create_app(options.state_file, bots)).run(sockets=[listener])
    return 0


def _ended(_number: int, _frame: FrameType | None) -> None:
    pass


def _say(origin: str, bots: list[Bot], path: Path | None) -> None:
    """Say where everything is. Connections are taken from here on; they are answered once the server runs."""
    if path == Path("-"):
        sys.stdout.write(json.dumps(describe(origin, bots)) + "\n")
        sys.stdout.flush()
        return
    sys.stdout.write(f"simulator on {origin}\n")
    for bot in bots:
        found = bot.describe(origin)
        sys.stdout.write(f"  {bot.platform:<11} {found['api']}\n")
        sys.stdout.writelines(f"    {name} = {value}\n" for name, value in bot.credentials.items())
    sys.stdout.flush()
    if path is not None:
        write(path, describe(origin, bots))


if __name__ == "__main__":
    sys.exit(main())
