"""The control API under `/_sim/`, its reading half: what people see and what happened. Every list can be awaited.

`after=n` leaves out entries up to n; `timeout_s` waits for the first entry that matches (or for `at_least` of them), so that
nobody has to sleep and look again. Channels are named by `channel` (name) or `platform` (its first one).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from simulator import phone, signs
from simulator.api_call import json_response
from simulator.batch import Batches
from simulator.control import WrongBodyError, describe, describe_fault
from simulator.faults import Faults
from simulator.files import content_of, find_file
from simulator.log import Log, Numbered
from simulator.records import Attempt, Call, Person, Received
from simulator.state import World

T = TypeVar("T", bound=Numbered)
_WAIT_MAX_S: Final = 120.0


class Reads:
    """Everything that can be asked."""

    def __init__(self, world: World, faults: Faults, batches: Batches) -> None:
        self._world = world
        self._faults = faults
        self._batches = batches

    async def channels(self, request: Request) -> Response:
        """GET /_sim/channels."""
        return json_response({"channels": [describe(channel) for channel in self._world.channels.values()]})

    async def listeners(self, request: Request) -> Response:
        """GET /_sim/sockets?channel[&listeners=n&timeout_s]: how many sockets are open, awaiting that many."""
        query = request.query_params
        stream = self._world.find_channel(query.get("channel"), None, query.get("platform")).stream
        wanted = int(query.get("listeners", "-1"))
        await self._world.changes.until(lambda: stream.listeners == wanted or None, _timeout(request))
        return json_response({"listeners": stream.listeners})

    async def phone(self, request: Request) -> Response:
        """GET /_sim/phone?channel|platform&as[&chat][&format=text][&newer_than&timeout_s]."""
        query = request.query_params
        channel = self._world.find_channel(query.get("channel"), None, query.get("platform"))
        version = int(query.get("newer_than", "-1"))
        await self._world.changes.until(
            lambda: True if self._world.changes.version > version else None, _timeout(request)
        )
        name = query.get("as", "")
        screen = phone.view(channel, channel.people.get(name) or Person(name, ""), query.get("chat"))
        if query.get("format") == "text":
            return PlainTextResponse(phone.as_text(screen))
        signs.add(self._world, channel, screen)
        return json_response(screen | {"version": self._world.changes.version})

    async def file(self, request: Request) -> Response:
        """GET /_sim/files/{id}: the bytes of a file that a bot or a person sent."""
        wanted = request.path_params["file"]
        headers = {"X-Content-Type-Options": "nosniff", "Content-Disposition": "attachment"}
        given = self._world.files.get(wanted)
        if given is not None:
            return Response(given.content, headers=headers, media_type=given.mime or "application/octet-stream")
        for channel in self._world.channels.values():
            file = find_file(channel, wanted)
            if file is not None:
                headers["Content-Length"] = str(file.size)
                return StreamingResponse(content_of(file), headers=headers, media_type=file.mime_type)
        raise WrongBodyError("no such file", 404)

    async def received(self, request: Request) -> Response:
        """GET /_sim/received (also /_sim/wait)[?channel&chat&as&kind&thread&contains&after&timeout_s].

        `kind` is send (default), edit, delete, draft or all.
        """
        query = request.query_params
        kind = query.get("kind", "send")
        chat = self._chat_of(request)

        def match(entry: Received) -> bool:
            return (
                kind in {"all", entry.kind}
                and query.get("channel", entry.channel) == entry.channel
                and query.get("platform", entry.platform) == entry.platform
                and (chat is None or chat in {entry.chat, entry.chat_name})
                and query.get("thread", entry.thread) == entry.thread
                and query.get("contains", "") in entry.text
            )

        return await _listed(request, "received", self._world.received, match)

    async def calls(self, request: Request) -> Response:
        """GET /_sim/calls[?platform&channel&method&chat&fault&after&timeout_s]: every API call, faulted or not."""
        query = request.query_params
        chat = self._chat_of(request)

        def match(entry: Call) -> bool:
            return (
                query.get("platform", entry.platform) == entry.platform
                and query.get("channel", entry.channel) == entry.channel
                and query.get("method", entry.method) == entry.method
                and query.get("fault", entry.fault) == entry.fault
                and (chat is None or chat in {entry.chat, entry.chat_name})
            )

        return await _listed(request, "calls", self._world.calls, match)

    async def deliveries(self, request: Request) -> Response:
        """GET /_sim/deliveries[?channel&kind&event_id&message_id&outcome&after&timeout_s]: every webhook attempt."""
        query = request.query_params
        names = ("channel", "kind", "event_id", "message_id", "outcome", "chat", "delivery")
        wanted = {name: query[name] for name in names if name in query}

        def match(entry: Attempt) -> bool:
            return all(getattr(entry, name) == value for name, value in wanted.items())

        return await _listed(request, "deliveries", self._world.attempts, match)

    async def pending(self, request: Request) -> Response:
        """GET /_sim/pending[?channel]: webhooks that are not settled yet."""
        channel = request.query_params.get("channel")
        found = [item for item in self._world.pending.values() if channel in {None, item.channel}]
        return json_response({"pending": found})

    async def faults(self, request: Request) -> Response:
        """GET /_sim/faults."""
        return json_response({"faults": [describe_fault(fault) for fault in self._faults.all()]})

    async def fault(self, request: Request) -> Response:
        """GET /_sim/faults/{id}[?holding=n][&hits=n]&timeout_s: the script, awaiting that many calls held or hit."""
        query = request.query_params
        fault = self._faults.get(request.path_params["fault"])
        if fault is None:
            raise WrongBodyError("no such fault", 404)
        holding, hits = int(query.get("holding", "0")), int(query.get("hits", "0"))

        def reached() -> bool | None:
            return (fault.holding >= holding and fault.hits >= hits) or None

        met = await self._world.changes.until(reached, _timeout(request))
        return json_response(describe_fault(fault) | {"met": bool(met)})

    async def batch(self, request: Request) -> Response:
        """GET /_sim/batch/{id}[?timeout_s]: the progress, awaiting the end."""
        batch = self._batches.known.get(request.path_params["batch"])
        if batch is None:
            raise WrongBodyError("no such batch", 404)
        await self._world.changes.until(lambda: batch.done or None, _timeout(request))
        return json_response(batch.report())

    def _chat_of(self, request: Request) -> str | None:
        """Return the chat asked for: `chat`, or the private chat of `as`."""
        query = request.query_params
        if "chat" in query or "as" not in query:
            return query.get("chat")
        channel = self._world.find_channel(query.get("channel"), None, query.get("platform"))
        return channel.private_chat_id(query["as"])


async def _listed(request: Request, name: str, log: Log[T], match: Callable[[T], bool]) -> Response:
    query = request.query_params
    found = await log.wait(int(query.get("after", "0")), match, _timeout(request), int(query.get("at_least", "1")))
    return json_response({name: found, "last": log.last})


def _timeout(request: Request) -> float:
    return min(float(request.query_params.get("timeout_s", "0")), _WAIT_MAX_S)
