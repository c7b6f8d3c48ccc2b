"""Time-outs and retry policies of every activity that the workflows call, by name.

Heartbeats are tight, because a killed worker is only noticed when one is missing; what talks to Postgres alone is
retried until Postgres answers.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from temporalio.common import RetryPolicy

DATABASE_TIMEOUT: Final = timedelta(seconds=10)
DATABASE_RETRY: Final = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=5))

MODEL_TIMEOUT: Final = timedelta(minutes=5)
MODEL_TOTAL: Final = timedelta(minutes=10)
MODEL_RETRY: Final = RetryPolicy(
    initial_interval=timedelta(milliseconds=500), maximum_interval=timedelta(seconds=30), maximum_attempts=8
)

TOOL_TIMEOUT: Final = timedelta(seconds=60)
TOOL_RETRY: Final = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_attempts=3)

DELIVER_TIMEOUT: Final = timedelta(seconds=120)
DELIVER_ONCE: Final = RetryPolicy(maximum_attempts=1)
"""Ruling 1: an attempt is claimed in Postgres; whether it is repeated is decided there, not by Temporal."""

HOLD_TIMEOUT: Final = timedelta(days=3650)
"""A socket is held until something ends it; missing heartbeats tell of a dead holder."""
HOLD_RETRY: Final = RetryPolicy(
    initial_interval=timedelta(milliseconds=500), maximum_interval=timedelta(seconds=10), backoff_coefficient=1.5
)

HEARTBEAT: Final = timedelta(seconds=5)
TASK_TIMEOUT: Final = timedelta(seconds=5)

FETCH_TIMEOUT: Final = timedelta(minutes=10)
"""One attempt: the download has a limit of its own, well below; then come the scan and the store."""
FETCH_TOTAL: Final = timedelta(hours=6)
"""Until a file is given up. A platform's or a scanner's bad afternoon costs no file."""
FETCH_RETRY: Final = RetryPolicy(
    initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=2), backoff_coefficient=2.0
)

TRANSCRIBE_TIMEOUT: Final = timedelta(minutes=3)
TRANSCRIBE_RETRY: Final = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_attempts=4)
