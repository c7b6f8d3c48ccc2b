"""aiogram's part of bench/platforms.py, by the interpreter of .venv-oracles: µs to check a secret and parse an update.

Standard input: {"body": text, "secret": text, "rounds": n, "passes": n}. Prints the passes as a JSON list.
"""

from __future__ import annotations

import json
import secrets
import sys
import time

from aiogram.types import Update


def main() -> None:
    """Measure."""
    given = json.load(sys.stdin)
    body, secret = given["body"].encode(), given["secret"]
    found: list[float] = []
    for _ in range(given["passes"]):
        started = time.thread_time()
        for _ in range(given["rounds"]):
            # As aiogram's own webhook handler does it.
            assert secrets.compare_digest(secret, given["secret"])
            Update.model_validate(json.loads(body))
        found.append((time.thread_time() - started) / given["rounds"] * 1e6)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
