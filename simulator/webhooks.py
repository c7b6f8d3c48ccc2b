"""Sends webhooks and sends them again, as the platforms do: signed anew, in order where order is promised, until accepted.

Telegram: one queue a chat, a failing update holds back that chat and only that chat (platforms.md §2.3, S). Slack: every
event by itself (§4.3). `persistent` channels never give up, which no platform does: a test aid. Called by people.py,
slack.py (echoes) and batch.py; waits of the schedule are divided by the channel's time_factor.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Final

import httpx2

from simulator.channel import Channel
from simulator.plays import PLAYS, signed
from simulator.records import Attempt, Delivery
from simulator.schedule import Schedule
from simulator.state import World

_LOG: Final = logging.getLogger("simulator")
_NO_HEADERS: Final = httpx2.Headers()


class Job:
    """A delivery at work. `first` is done when every copy was tried once; it holds their statuses, 0 for no answer."""

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery
        self.body = base64.b64decode(delivery.body)
        self.first: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        self.settled = asyncio.Event()
        self.answer: bytes = b""


class _Result:
    __slots__ = ("body", "error", "final", "ok", "reason", "retry_after_s", "status")

    def __init__(
        self, status: int, error: str | None, reason: str | None, headers: httpx2.Headers, body: bytes
    ) -> None:
        self.status = status
        self.error = error
        self.reason = reason
        self.ok = 200 <= status < 300
        self.final = headers.get("x-slack-no-retry") == "1"
        self.body = body
        after = headers.get("retry-after", "")
        self.retry_after_s = float(after) if after.isdecimal() else 0.0


class Courier:
    """All webhooks under way. One per simulator. `taken` is told what a webhook was accepted with."""

    def __init__(self, world: World, taken: Callable[[Channel, bytes], None]) -> None:
        self._world = world
        self._taken = taken
        self._client = httpx2.AsyncClient(
            limits=httpx2.Limits(max_connections=256, max_keepalive_connections=64),
            follow_redirects=False,
            trust_env=False,
        )
        self._queues: dict[tuple[str, str], deque[Job]] = {}
        self._tasks: dict[asyncio.Task[None], str] = {}
        self._slots: dict[str, asyncio.Semaphore] = {}

    def send(self, delivery: Delivery) -> Job:
        """Begin a delivery; it goes on by itself."""
        job = Job(delivery)
        channel = self._world.channels[delivery.channel]
        told = PLAYS[channel.platform].told(channel, delivery, job.body)
        if told is None:
            self._world.queue(delivery)
            self._send(job)
        else:
            channel.stream.emit(*told, delivery.chat)
            job.first.set_result([])
            job.settled.set()
        return job

    def _send(self, job: Job) -> None:
        delivery = job.delivery
        if delivery.queue is None:
            self._start(delivery.channel, self._run(job))
            return
        key = (delivery.channel, delivery.queue)
        waiting = self._queues.get(key)
        if waiting is not None:
            waiting.append(job)
            return
        self._queues[key] = deque([job])
        self._start(delivery.channel, self._drain(key))

    def resume(self) -> None:
        """Go on with what the state file says is still under way."""
        for delivery in list(self._world.pending.values()):
            self.send(delivery)

    async def ask(self, url: str, query: dict[str, str]) -> tuple[int, bytes]:
        """Return status and body of a GET, as handshakes make them; 0 where nobody answers."""
        try:
            answer = await self._client.get(url, params=query, timeout=10.0)
        except (httpx2.HTTPError, httpx2.InvalidURL):
            return 0, b""
        return answer.status_code, answer.content

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        """Return status and body of a POST that is no delivery; 0 where nobody answers."""
        try:
            answer = await self._client.post(url, headers=headers, content=body, timeout=10.0)
        except (httpx2.HTTPError, httpx2.InvalidURL):
            return 0, b""
        return answer.status_code, answer.content

    async def forget(self, channel: str | None) -> None:
        """Stop all deliveries, or one channel's."""
        stopped = [task for task, name in self._tasks.items() if channel in {None, name}]
        for task in stopped:
            task.cancel()
        await asyncio.gather(*stopped, return_exceptions=True)
        for key in [key for key in self._queues if channel in {None, key[0]}]:
            for job in self._queues.pop(key):
                job.first.cancel()

    async def close(self) -> None:
        """Stop everything; what is pending stays in the state file."""
        await self.forget(None)
        await self._client.aclose()

    def _start(self, channel: str, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks[task] = channel
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.error("a delivery failed inside the simulator", exc_info=error)

    async def _drain(self, key: tuple[str, str]) -> None:
        waiting = self._queues[key]
        while waiting:
            await self._run(waiting[0])
            waiting.popleft()
        del self._queues[key]

    async def _run(self, job: Job) -> None:
        try:
            await self._until_settled(job)
            channel = self._world.channels[job.delivery.channel]
            PLAYS[channel.platform].answered(self._world, channel, job.delivery, job.answer)
            self._world.settle(job.delivery)
        finally:
            job.first.cancel()
            job.settled.set()

    async def _until_settled(self, job: Job) -> None:
        delivery = job.delivery
        channel = self._world.channels[delivery.channel]
        schedule = Schedule(channel.platform, channel.options.persistent, delivery.lifetime_s)
        copies = list(range(delivery.copies))
        reason: str | None = None
        while copies:
            retry, begun = schedule.failures, (time.time(), time.monotonic())
            results = await asyncio.gather(*(self._attempt(channel, job, retry, reason) for _ in copies))
            failed = [(copy, result) for copy, result in zip(copies, results, strict=True) if not result.ok]
            wait = None
            if failed and delivery.retry and not any(result.final for _, result in failed):
                wait = schedule.next_wait(max(result.retry_after_s for _, result in failed))
            for copy, result in zip(copies, results, strict=True):
                self._note(job, retry, copy, result, begun, again=wait is not None)
            if not job.first.done():
                job.answer = results[0].body
                job.first.set_result([result.status for result in results])
            if wait is None:
                return
            copies, reason = [copy for copy, _ in failed], failed[-1][1].reason
            await asyncio.sleep(wait / channel.options.time_factor)

    def _note(
        self, job: Job, number: int, copy: int, result: _Result, begun: tuple[float, float], *, again: bool
    ) -> None:
        delivery = job.delivery
        outcome = "acked" if result.ok else "retrying" if again else "dropped"
        attempt = Attempt(
            delivery.id, delivery.channel, delivery.kind, delivery.event_id, delivery.chat, delivery.message_id,
            number, copy, result.status, result.error, outcome, *begun, time.monotonic(),
        )  # fmt: skip
        self._world.note_attempt(attempt)

    async def _attempt(self, channel: Channel, job: Job, retry: int, reason: str | None) -> _Result:
        url = job.delivery.url or channel.webhook.url
        if url is None:
            return _Result(0, "no webhook is set", "connection_failed", _NO_HEADERS, b"")
        headers, body = signed(channel, job.delivery, job.body, (retry, reason))
        result = await self._post(channel, url, headers, body)
        if result.ok:
            self._taken(channel, result.body)
        else:
            channel.webhook.last_error = result.error or f"Wrong response from the webhook: {result.status}"
            channel.webhook.last_error_at = time.time()
        return result

    async def _post(self, channel: Channel, url: str, headers: dict[str, str], body: bytes) -> _Result:
        limit_s = channel.options.ack_timeout_s or PLAYS[channel.platform].ack_s
        try:
            async with self._slot(channel), asyncio.timeout(limit_s):
                answer = await self._client.post(url, content=body, headers=headers, timeout=limit_s)
        except (TimeoutError, httpx2.TimeoutException):
            return _Result(0, "timeout", "http_timeout", _NO_HEADERS, b"")
        except httpx2.ConnectError as error:
            return _Result(0, f"connection failed: {error}", "connection_failed", _NO_HEADERS, b"")
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            return _Result(0, f"{type(error).__name__}: {error}", "unknown_error", _NO_HEADERS, b"")
        except AttributeError:
            # Reset right after connecting: under uvloop the client asks a socket that is gone for its peer.
            return _Result(0, "connection reset", "connection_failed", _NO_HEADERS, b"")
        return _Result(answer.status_code, None, "http_error", answer.headers, answer.content)

    def _slot(self, channel: Channel) -> asyncio.Semaphore:
        """Return the places of the channel's `max_connections`; Slack names no such limit."""
        places = channel.webhook.max_connections if channel.platform == "telegram" else 200
        key = f"{channel.name} {places}"
        found = self._slots.get(key)
        if found is None:
            found = self._slots[key] = asyncio.Semaphore(places)
        return found
