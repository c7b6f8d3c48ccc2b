"""Inbound webhook -> reply accepted by the platform, beside a bare Temporal program, interleaved.

The product runs as separate api and worker processes on embedded services, `local` agent, Telegram's wire format;
load generator and sink are one light process. Prints JSON lines: idle p50/p95/p99 in ms, sustained messages/s with 30
sessions in a closed loop, and the ratios of the medians of all passes.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import uuid4

import orjson
from temporalio.client import Client as Temporal

from bench.product import Product, running_product
from bench.wire import Client, Sink, cpu_s, quantile

SESSIONS = 30
IDLE_MESSAGES = 80
LOAD_S = 10.0
PASSES = int(os.environ.get("PASSES", "3"))
Send = Callable[[str, int], Awaitable[None]]


class Replies:
    """Who waits for the reply in which chat. Shape: chat -> future of the arrival time."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[float]] = {}

    def arrived(self, body: bytes, at: float) -> None:
        """A reply reached the platform."""
        waiting = self._waiting.pop(str(orjson.loads(body)["chat_id"]), None)
        if waiting is not None and not waiting.done():
            waiting.set_result(at)

    async def of(self, chat: str, number: int, send: Send) -> float:
        """Send a message and return the seconds until its reply arrived. Raises TimeoutError after 30 s."""
        waiting: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting[chat] = waiting
        started = time.perf_counter()
        await send(chat, number)
        return await asyncio.wait_for(waiting, 30) - started


@dataclass
class Result:
    """One pass of one side."""

    idle_ms: list[float]
    per_second: float
    cpu_ms: dict[str, float]


async def measure(replies: Replies, send: Send, mark: int, pids: dict[str, int]) -> Result:
    """Measure idle latency in one session, then throughput with 30 in a closed loop."""
    chat = str(mark * 1000)
    for number in range(10):
        await replies.of(chat, number, send)
    idle: list[float] = []
    for number in range(10, 10 + IDLE_MESSAGES):
        idle.append(await replies.of(chat, number, send) * 1000)
        await asyncio.sleep(0.02)
    stop = time.perf_counter() + LOAD_S
    done = 0

    async def session(index: int) -> None:
        nonlocal done
        number = 0
        while time.perf_counter() < stop:
            await replies.of(str(mark * 1000 + index), number, send)
            number += 1
            done += 1

    started, before = time.perf_counter(), {name: cpu_s(pid) for name, pid in pids.items()}
    await asyncio.gather(*(session(index) for index in range(1, SESSIONS + 1)))
    took = time.perf_counter() - started
    used = {name: round((cpu_s(pid) - before[name]) * 1000 / done, 2) for name, pid in pids.items()}
    return Result(idle, done / took, used)


def row(side: str, number: int, result: Result) -> dict[str, object]:
    """Shape a pass as a row."""
    return {
        "bench": "pipeline",
        "side": side,
        "pass": number,
        "idle_p50_ms": round(quantile(result.idle_ms, 0.5), 1),
        "idle_p95_ms": round(quantile(result.idle_ms, 0.95), 1),
        "idle_p99_ms": round(quantile(result.idle_ms, 0.99), 1),
        "sustained_per_s": round(result.per_second, 1),
        "cpu_ms_per_message": result.cpu_ms,
    }


def product_sender(product: Product) -> Send:
    """Return what sends a signed webhook over a few keep-alive connections, as a platform does."""
    clients: asyncio.Queue[Client] = asyncio.Queue()
    for _ in range(SESSIONS):
        clients.put_nowait(Client(product.api_url))
    count = iter(range(1, 1 << 40))

    async def send(chat: str, number: int) -> None:
        channel = product.channels[int(chat) % len(product.channels)]
        update = {
            "update_id": next(count),
            "message": {
                "message_id": number + 1,
                "date": 1_764_000_000 + number,
                "chat": {"id": int(chat), "type": "private"},
                "from": {"id": int(chat), "is_bot": False, "first_name": "Alice"},
                "text": f"message {number}",
            },
        }
        client = await clients.get()
        status = await client.post(
            channel.path, orjson.dumps(update), {"X-Telegram-Bot-Api-Secret-Token": channel.secret}
        )
        clients.put_nowait(client)
        if status != 200:
            raise RuntimeError(f"the webhook was answered {status}")

    return send


async def peer_sender(product: Product, queue: str) -> Send:
    """Return what signals the bare program."""
    client = await Temporal.connect(product.temporal_address)

    async def send(chat: str, number: int) -> None:
        await client.start_workflow(
            "PeerSession",
            id=f"peer:{queue}:{chat}",
            task_queue=queue,
            start_signal="received",
            start_signal_args=[{"session": chat, "number": number}],
        )

    return send


async def run() -> None:
    """Run all passes and print rows and ratios."""
    replies = Replies()
    sink = Sink(replies.arrived, orjson.dumps({"ok": True, "result": {"message_id": 1}}))
    origin = await sink.start()
    queue = f"peer-{uuid4().hex[:6]}"
    async with running_product(origin, peer_queue=queue) as product:
        sides = {"bare temporal": await peer_sender(product, queue), "powernode": product_sender(product)}
        results: dict[str, list[Result]] = {side: [] for side in sides}
        for number in range(1, PASSES + 1):
            for index, (side, send) in enumerate(sides.items()):
                result = await measure(replies, send, 10 * number + index + 1, product.pids)
                results[side].append(result)
                print(orjson.dumps(row(side, number, result)).decode(), flush=True)
    p50 = {side: statistics.median(quantile(r.idle_ms, 0.5) for r in rs) for side, rs in results.items()}
    rate = {side: statistics.median(r.per_second for r in rs) for side, rs in results.items()}
    ratios = {
        "bench": "pipeline",
        "ratio_idle_p50": round(p50["powernode"] / p50["bare temporal"], 2),
        "ratio_sustained": round(rate["powernode"] / rate["bare temporal"], 2),
        "targets": {"ratio_idle_p50": "<= 2", "ratio_sustained": ">= 0.6"},
    }
    print(orjson.dumps(ratios).decode(), flush=True)
    await sink.close()


if __name__ == "__main__":
    asyncio.run(run())
    sys.stdout.flush()
