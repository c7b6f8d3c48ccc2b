"""The control API under `/_sim/`, its writing half: what happens in the simulated world. JSON in, JSON out.

POST bodies are the models of control_models.py, people.py (Say), batch.py and faults.py. Answers: 200 with what was made;
404 {"error"} for an unknown channel, 422 {"error"} for a wrong body, 415 for another content type than JSON (so that no web page
can post here unasked). Reading is in control_reads.py.
"""

from __future__ import annotations

import base64
import time
import uuid
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from simulator import slack_events
from simulator.api_call import json_response
from simulator.batch import Batches, BatchInput
from simulator.channel import Channel
from simulator.control_models import (
    ChannelRef,
    ChatInput,
    DeliverInput,
    ModelInput,
    PersonInput,
    RegisterInput,
    ReleaseInput,
    ResetInput,
    SayInput,
    SocketInput,
)
from simulator.faults import Fault, FaultInput, Faults
from simulator.mischief import Mischief
from simulator.model import ModelApi
from simulator.people import act
from simulator.plays import PLAYS, signed
from simulator.records import Delivery, Json
from simulator.state import UnknownChannelError, World
from simulator.webhooks import Courier
from simulator.wish import Done, ImpossibleError, Say

M = TypeVar("M", bound=BaseModel)


class WrongBodyError(ValueError):
    """The request is not JSON of the expected shape."""

    def __init__(self, message: str, status: int = 422) -> None:
        super().__init__(message)
        self.status = status


async def read_body(request: Request, model: type[M]) -> M:
    """Return the validated body. Raises WrongBodyError."""
    if not request.headers.get("content-type", "").startswith("application/json"):
        raise WrongBodyError("send application/json", 415)
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as error:
        raise WrongBodyError(str(error)) from error


async def on_error(request: Request, error: Exception) -> Response:
    """Answer a refused control request."""
    if isinstance(error, UnknownChannelError):
        return json_response({"error": str(error)}, 404)
    return json_response({"error": str(error)}, error.status if isinstance(error, WrongBodyError) else 422)


REFUSALS: tuple[type[Exception], ...] = (UnknownChannelError, WrongBodyError, ImpossibleError)


class Control:
    """Everything that changes the simulated world from outside."""

    def __init__(self, world: World, faults: Faults, courier: Courier, model: ModelApi) -> None:
        self._world = world
        self._faults = faults
        self._courier = courier
        self._model = model
        self._mischief = Mischief(faults)
        self.batches = Batches(world, courier)

    async def register(self, request: Request) -> Response:
        """POST /_sim/channels: add or change a channel; idempotent by name."""
        wanted = await read_body(request, RegisterInput)
        channel = self._world.register(wanted.platform, wanted.name, wanted.credentials, wanted.options)
        if wanted.webhook_url is not None:
            channel.webhook.url = wanted.webhook_url
        channel.webhook.secret = PLAYS[wanted.platform].secret(wanted.credentials)
        self._world.save_channel(channel)
        found = describe(channel)
        if wanted.verify and wanted.platform == "slack":
            found["verification"] = await self._handshake(channel)
        return json_response(found)

    async def _handshake(self, channel: Channel) -> Json:
        delivery, challenge = slack_events.handshake(channel)
        job = self._courier.send(delivery)
        statuses = await job.first
        return {"ok": statuses == [200] and challenge.encode() in job.answer, "status": statuses[0]}

    async def say(self, request: Request) -> Response:
        """POST /_sim/say: a person does something; the bot is told as the platform would."""
        wanted = await read_body(request, SayInput)
        channel = self._world.find_channel(wanted.channel, wanted.token, wanted.platform)
        say = Say.model_validate(wanted.model_dump(include=set(Say.model_fields)))
        position = len(channel.stream.events)
        done = act(self._world, channel, say, _origin(request))
        deliveries = self._mischief.change(done, say, position)
        found: Json = {
            "channel": channel.name,
            "chat": done.chat.id,
            "user_id": done.person.user_id,
            "message_id": done.message.id if done.message else None,
        }
        return await self._deliver(channel, deliveries, wanted, found)

    async def deliver(self, request: Request) -> Response:
        """POST /_sim/deliver: send any bytes to the webhook, correctly signed."""
        wanted = await read_body(request, DeliverInput)
        channel = self._world.find_channel(wanted.channel, wanted.token, wanted.platform)
        made = uuid.uuid4().hex
        delivery = Delivery(
            id=made, channel=channel.name, kind="bytes", event_id=made, chat=None, message_id=None,
            body=wanted.body_base64, content_type=wanted.content_type, queue=None, copies=1, retry=wanted.retry,
            created_at=time.time(),
        )  # fmt: skip
        return await self._deliver(channel, [delivery], wanted, {"channel": channel.name})

    async def _deliver(
        self, channel: Channel, deliveries: list[Delivery], wanted: SayInput | DeliverInput, found: Json
    ) -> Response:
        found |= {"event_ids": [item.event_id for item in deliveries], "kinds": [item.kind for item in deliveries]}
        if wanted.mode == "sign_only":
            requests = [_signed(channel, delivery) for delivery in deliveries]
            return json_response(found | {"requests": requests} | (requests[0] if requests else {}))
        for delivery in deliveries:
            delivery.copies = max(delivery.copies, wanted.copies)
        jobs = [self._courier.send(delivery) for delivery in deliveries]
        found["deliveries"] = [delivery.id for delivery in deliveries]
        if wanted.wait:
            found["statuses"] = [status for job in jobs for status in await job.first]
        return json_response(found)

    async def people(self, request: Request) -> Response:
        """POST /_sim/people."""
        wanted = await read_body(request, PersonInput)
        channel = _channel(self._world, wanted)
        person = channel.person(wanted.name)
        chat = channel.private_chat(person)
        self._world.join(channel, chat, person)
        person.blocked = person.blocked if wanted.blocked is None else wanted.blocked
        person.is_bot = person.is_bot if wanted.is_bot is None else wanted.is_bot
        person.number_hidden = person.number_hidden if wanted.number_hidden is None else wanted.number_hidden
        if wanted.number is not None:
            done = Done(self._world, channel, chat, person, _origin(request))
            for delivery in PLAYS[channel.platform].renumbered(done, wanted.number):
                self._courier.send(delivery)
        self._world.save_person(channel, person)
        return json_response(
            {"name": person.name, "user_id": person.user_id, "chat": chat.id, "blocked": person.blocked}
        )

    async def chats(self, request: Request) -> Response:
        """POST /_sim/chats."""
        wanted = await read_body(request, ChatInput)
        channel = _channel(self._world, wanted)
        chat = channel.group_chat(wanted.name, wanted.kind)
        for member in wanted.members:
            self._world.join(channel, chat, channel.person(member))
        chat.bot_member = chat.bot_member if wanted.bot_member is None else wanted.bot_member
        chat.threads += [thread for thread in wanted.threads if thread not in chat.threads]
        self._world.save_chat(channel, chat)
        return json_response({"chat": chat.id, "name": chat.name, "kind": chat.kind, "bot_member": chat.bot_member})

    async def sockets(self, request: Request) -> Response:
        """POST /_sim/sockets."""
        wanted = await read_body(request, SocketInput)
        channel = _channel(self._world, wanted)
        channel.stream.command(wanted.order)
        return json_response({"listeners": channel.stream.listeners})

    async def batch(self, request: Request) -> Response:
        """POST /_sim/batch: many messages in the background."""
        wanted = await read_body(request, BatchInput)
        channel = self._world.find_channel(wanted.channel, wanted.token, wanted.platform)
        return json_response(self.batches.begin(channel, wanted, _origin(request)).report())

    async def add_fault(self, request: Request) -> Response:
        """POST /_sim/faults."""
        script = await read_body(request, FaultInput)
        if script.token is not None:
            script.channel = self._world.find_channel(None, script.token).name
        return json_response(describe_fault(self._faults.add(script)))

    async def remove_fault(self, request: Request) -> Response:
        """DELETE /_sim/faults/{id}."""
        self._faults.remove(request.path_params["fault"])
        self._let_go()
        return json_response({"ok": True})

    def _let_go(self) -> None:
        """Tell what a script held back that is gone now."""
        reordering = {fault.script.channel for fault in self._faults.all() if fault.script.kind == "reorder"}
        for channel in self._world.channels.values():
            if not reordering & {None, channel.name}:
                for delivery in self._mischief.let_go(channel):
                    self._courier.send(delivery)

    async def release(self, request: Request) -> Response:
        """POST /_sim/release."""
        wanted = await read_body(request, ReleaseInput)
        chosen = [fault for fault in self._faults.all() if wanted.fault in {None, fault.id}]
        if wanted.fault is not None and not chosen:
            raise WrongBodyError(f"no fault {wanted.fault!r}", 404)
        released = sum(fault.release() for fault in chosen)
        for fault in chosen:
            if not wanted.keep:
                self._faults.remove(fault.id)
        return json_response({"released": released})

    async def reset(self, request: Request) -> Response:
        """POST /_sim/reset."""
        wanted = await read_body(request, ResetInput)
        for fault in self._faults.all():
            if wanted.channel in {None, fault.script.channel}:
                self._faults.remove(fault.id)
        self._let_go()
        if wanted.channel is None:
            self._model.forget()
            await self.batches.forget()
        await self._courier.forget(wanted.channel)
        self._world.reset(wanted.channel, forget_channels=wanted.forget_channels)
        return json_response({"ok": True})

    async def script(self, request: Request) -> Response:
        """POST /_sim/model/script."""
        wanted = await read_body(request, ModelInput)
        if wanted.reset:
            self._model.forget()
        self._model.script(wanted.replies)
        return json_response({"ok": True})


def describe(channel: Channel) -> Json:
    """Return a channel without its secrets."""
    return {
        "name": channel.name,
        "platform": channel.platform,
        "webhook_url": channel.webhook.url,
        "bot": channel.bot,
        "options": channel.options.model_dump(),
        "people": sorted(channel.people),
        "chats": [{"chat": chat.id, "name": chat.name, "kind": chat.kind} for chat in channel.chats.values()],
    }


def describe_fault(fault: Fault) -> Json:
    """Return a script and its count."""
    return {
        "id": fault.id,
        "matched": fault.matched,
        "hits": fault.hits,
        "holding": fault.holding,
        "script": fault.script.model_dump(),
    }


def _channel(world: World, ref: ChannelRef) -> Channel:
    return world.find_channel(ref.channel, ref.token, ref.platform)


def _signed(channel: Channel, delivery: Delivery) -> Json:
    headers, body = signed(channel, delivery, base64.b64decode(delivery.body))
    return {"method": "POST", "url": channel.webhook.url, "headers": headers, "body": base64.b64encode(body).decode()}


def _origin(request: Request) -> str:
    return f"http://{request.headers.get('host', '127.0.0.1')}"
