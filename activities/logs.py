"""How the process logs: one JSON object a line, from the set level on, and tracebacks without anybody's variables.

structlog's own default prints the local variables of every frame: passwords, bot tokens and people's messages.
"""

from __future__ import annotations

import structlog


def configure(level: str) -> None:
    """Set up logging. `level`: `debug`, `info`, `warning` or `error`. May be called again."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )
