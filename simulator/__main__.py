"""`python -m simulator --host 127.0.0.1 --port N [--state-file F]`: the simulator as a process."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from simulator.server import Server, create_app, listen


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--state-file", type=Path, help="remember channels, people and messages here")
    options = parser.parse_args()
    listener = listen(options.host, options.port)
    sys.stdout.write(f"simulator on http://{options.host}:{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    Server(create_app(options.state_file)).run(sockets=[listener])


if __name__ == "__main__":
    main()
