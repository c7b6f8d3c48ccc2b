"""Webhook accepted (signed, parsed, stored, deduplicated, 2xx) at 20/s, beside a bare FastAPI route with one insert.

Twice: with the product's worker answering every message on the same machine, as it would, and with it paused, so that
accepting alone is seen. Prints JSON lines: p50/p95/p99 in ms of each pass, and the ratios of the medians.
"""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import sys
import time
from collections.abc import Awaitable, Callable

import httpx2
import orjson

from bench.pipeline import product_sender
from bench.product import ROOT, Product, running_product
from bench.wire import Client, Sink, quantile
from stack.ports import any_free

RATE_PER_S = 20
REQUESTS = 200
PASSES = int(os.environ.get("PASSES", "3"))
PEER, PAUSED, ANSWERING = "bare route", "worker paused", "worker answering"
Post = Callable[[int], Awaitable[None]]


async def measure(post: Post, first: int) -> list[float]:
    """Post at a steady rate, whatever the answers take; returns milliseconds each."""
    times: list[float] = []

    async def one(number: int) -> None:
        started = time.perf_counter()
        await post(number)
        times.append((time.perf_counter() - started) * 1000)

    tasks: list[asyncio.Task[None]] = []
    for number in range(first, first + REQUESTS):
        tasks.append(asyncio.create_task(one(number)))
        await asyncio.sleep(1 / RATE_PER_S)
    await asyncio.gather(*tasks)
    return times


async def start_peer(product: Product) -> tuple[asyncio.subprocess.Process, str]:
    """Run the bare route as a process of its own."""
    port = any_free()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "uvicorn", "bench.peer_route:app", "--port", str(port), "--no-access-log",
        "--log-level", "warning", "--loop", "uvloop", "--http", "httptools",
        env={**os.environ, "PEER_DATABASE_URL": product.owner_url}, cwd=ROOT,
    )  # fmt: skip
    async with httpx2.AsyncClient() as http:
        while True:
            try:
                await http.post(f"http://127.0.0.1:{port}/hook", content=b"{}")
            except httpx2.TransportError:
                await asyncio.sleep(0.05)
            else:
                return process, f"http://127.0.0.1:{port}"


def peer_poster(origin: str) -> Post:
    """Return what posts the same body to the bare route."""
    clients: asyncio.Queue[Client] = asyncio.Queue()
    for _ in range(8):
        clients.put_nowait(Client(origin))

    async def post(number: int) -> None:
        client = await clients.get()
        await client.post("/hook", orjson.dumps({"update_id": number, "message": {"text": f"message {number}"}}))
        clients.put_nowait(client)

    return post


async def run() -> None:
    """Run all passes and print rows and ratios."""
    sink = Sink(lambda _body, _at: None, orjson.dumps({"ok": True, "result": {"message_id": 1}}))
    origin = await sink.start()
    async with running_product(origin) as product:
        peer, peer_origin = await start_peer(product)
        send = product_sender(product)

        async def hook(number: int) -> None:
            await send(str(7_000_000 + number % 40), number)

        sides: dict[str, Post] = {PEER: peer_poster(peer_origin), PAUSED: hook, ANSWERING: hook}
        results: dict[str, list[list[float]]] = {side: [] for side in sides}
        for first, post in enumerate((sides[PEER], hook)):
            await measure(post, first * REQUESTS)  # warm
        for number in range(1, PASSES + 1):
            for position, (side, post) in enumerate(sides.items()):
                os.kill(product.pids["worker"], signal.SIGSTOP if side == PAUSED else signal.SIGCONT)
                times = await measure(post, (number * len(sides) + position) * REQUESTS)
                results[side].append(times)
                found = {f"p{share}_ms": round(quantile(times, share / 100), 2) for share in (50, 95, 99)}
                print(orjson.dumps({"bench": "ingest", "side": side, "pass": number, **found}).decode(), flush=True)
        peer.kill()
        await peer.wait()
    median = {
        (side, share): statistics.median(quantile(times, share) for times in passes)
        for side, passes in results.items()
        for share in (0.5, 0.95)
    }
    ratios = {
        "bench": "ingest",
        **{
            f"ratio_p{share * 100:.0f}, {side}": round(median[side, share] / median[PEER, share], 2)
            for side in (PAUSED, ANSWERING)
            for share in (0.5, 0.95)
        },
        "targets": {"ratio_p50": "<= 1.5", "ratio_p95": "<= 2.5"},
    }
    print(orjson.dumps(ratios).decode(), flush=True)
    await sink.close()


if __name__ == "__main__":
    asyncio.run(run())
    sys.stdout.flush()
    os._exit(0)
