"""The supervisor in the background. Started by `powernode up --detach` only, which waits for its reports on a pipe."""

from __future__ import annotations

import argparse
import sys

from config import SettingsError, StackSettings
from stack.report import PipeReport
from stack.up import run


def main() -> int:
    """Run the stack until it is told to stop."""
    parser = argparse.ArgumentParser(prog="python -m stack.daemon")
    parser.add_argument("--report", type=int, required=True, help="file descriptor for the progress")
    report = PipeReport(parser.parse_args().report)
    try:
        return run(StackSettings.load(), report)
    except SettingsError as error:
        report.fail("Settings", str(error))
        return 1


if __name__ == "__main__":
    sys.exit(main())
