"""`powernode api`: the web server around api.app, one process. Used by the supervisor and in containers alike."""

from __future__ import annotations

import uvicorn

from config import Settings


def serve_api(settings: Settings) -> int:
    """Serve until SIGTERM; return the exit status."""
    # By name, so that the settings are read in one place for every way to start it.
    uvicorn.run(
        "api.app:create_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        log_level=settings.log_level,
        loop="uvloop",
        http="httptools",
        access_log=False,
        ws_per_message_deflate=False,
        proxy_headers=False,
        timeout_graceful_shutdown=5,
    )
    return 0
