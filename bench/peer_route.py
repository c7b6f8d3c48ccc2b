"""The peer of bench/ingest.py: a bare FastAPI route that does one Postgres insert, and nothing else.

Run as `uvicorn bench.peer_route:app`, with PEER_DATABASE_URL.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import asyncpg
from fastapi import FastAPI, Request


@asynccontextmanager
async def life(app: FastAPI) -> AsyncGenerator[None]:
    """Open the pool and make the table."""
    async with asyncpg.create_pool(os.environ["PEER_DATABASE_URL"], min_size=10, max_size=20) as pool:
        await pool.execute("CREATE TABLE IF NOT EXISTS peer (id bigserial PRIMARY KEY, body bytea NOT NULL)")
        app.state.pool = pool
        yield


app = FastAPI(lifespan=life)


@app.post("/hook")
async def hook(request: Request) -> dict[str, bool]:
    """Store a body."""
    await request.app.state.pool.execute("INSERT INTO peer (body) VALUES ($1)", await request.body())
    return {"success": True}
