"""One call of a platform's API: logged, faulted if a script says so, done, answered. The same for every platform.

What a call does and how a refusal looks is handed in by telegram.py, slack.py and model.py.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import orjson
from starlette.responses import Response

from simulator.channel import Channel
from simulator.faults import BEFORE, Fault, Faults
from simulator.protocol import Dropped
from simulator.records import Call, Json
from simulator.state import World


@dataclass(slots=True)
class Answer:
    """What a platform says. `accepted`: something was stored or done."""

    body: Json | list[Json]
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])
    accepted: bool = False
    message_id: str | None = None
    error: str | None = None
    retry_after_s: float | None = None


def json_response(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return the JSON answer; 204 has none."""
    if status == 204:
        return Response(None, status, headers)
    return Response(orjson.dumps(body), status, headers, "application/json")


def new_call(platform: str, channel: Channel | None, method: str, body: Json, *, chat: object = None) -> Call:
    """Begin the log entry; both clocks are read here, when the request was received. `chat`: where it is not in the body."""
    chat = (chat or body.get("chat_id", body.get("channel"))) if channel else None
    reference = None if chat is None else str(chat)
    known = channel.find_chat(reference) if channel and reference else None
    return Call(
        platform=platform,
        channel=channel.name if channel else None,
        method=method,
        chat=known.id if known else reference,
        chat_name=known.name if known else None,
        body=body,
        at=time.time(),
        mono=time.monotonic(),
    )


async def answer_call(
    world: World, faults: Faults, call: Call, act: Callable[[], Answer], refuse: Callable[[Fault], Answer]
) -> Response:
    """Do the call once, with the fault that is due. Logged in every case, also when the client has gone."""
    fault = faults.take(call)
    kind = fault.script.kind if fault else ""
    if fault is not None and kind == "slow":
        await asyncio.sleep(fault.script.delay_s)
    if fault is not None and kind == "hold":
        await fault.pass_gate()
    if kind == "drop_before_accept":
        world.note_call(call)
        return Dropped()
    answer = refuse(fault) if fault is not None and kind in BEFORE else act()
    if fault is not None and kind == "accept_then_hold":
        await fault.pass_gate()
    if kind == "accept_then_drop":
        _finish(world, call, answer, status=0)
        return Dropped()
    if fault is not None and kind == "accept_then_error":
        _finish(world, call, answer, status=fault.script.status)
        return Response("upstream error", fault.script.status)
    _finish(world, call, answer, status=answer.status)
    return json_response(answer.body, answer.status, answer.headers)


def _finish(world: World, call: Call, answer: Answer, status: int) -> None:
    call.status = status
    call.accepted, call.message_id = answer.accepted, answer.message_id
    call.error, call.retry_after_s = answer.error, answer.retry_after_s
    world.note_call(call)
