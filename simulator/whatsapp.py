"""WhatsApp's Cloud API: `/v{major}.{minor}/{phone_number_id}[/messages]`, with receipts for what was accepted.

developers.facebook.com, *WhatsApp Cloud API*; platforms.md §1.6 and §1.7. An accepted message may still fail: a person who
blocks the business, or a person who has not written for 24 hours, is told by a receipt. Kinds of messages:
whatsapp_content.py. A script's `error` is one of `NAMED`, or a code in digits; its wait stands in `Retry-After`, a test aid.
"""

from __future__ import annotations

import secrets
import time
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from simulator.api_call import Answer, answer_call, json_response, new_call
from simulator.args import Args, BadArgumentsError, read_args
from simulator.channel import Channel
from simulator.faults import Fault, Faults
from simulator.files import address, find_file
from simulator.records import Chat, File, Json, Message
from simulator.state import World
from simulator.webhooks import Courier
from simulator.whatsapp_content import GraphError, read_content, read_media
from simulator.whatsapp_play import appsecret_proof, reached, receipt

_NONCE_MAX: Final = 512
_WINDOW_S: Final = 24 * 3600.0
NAMED: Final = {
    "chat_not_found": 131026,
    "blocked": 131026,
    "window_closed": 131047,
    "pair_limit": 131056,
    "maintenance": 131057,
    "invalid_auth": 190,
    "too_long": 100,
    "bad_markup": 131009,
}
"""The errors that a script can name."""


class WhatsAppApi:
    """The Cloud API for every registered number."""

    def __init__(self, world: World, faults: Faults, courier: Courier) -> None:
        self._world = world
        self._faults = faults
        self._courier = courier
        self._media: dict[str, dict[str, Json]] = {}

    async def media(self, request: Request) -> Response:
        """Answer `POST /{phone_number_id}/media`: a file that messages of this number may name."""
        return await self._answer(request, "media")

    async def messages(self, request: Request) -> Response:
        """Answer `POST /{phone_number_id}/messages`."""
        return await self._answer(request, "messages")

    async def number(self, request: Request) -> Response:
        """Answer a question about the number, or set its own webhook address."""
        return await self._answer(request, "number")

    async def _answer(self, request: Request, method: str) -> Response:
        try:
            args = await read_args(request)
        except BadArgumentsError as error:
            return _response(_refusal(GraphError(100, str(error))))
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        channel = self._world.by_token("whatsapp", token) if scheme.lower() == "bearer" else None
        if method == "messages" and args.text("status") == "read":
            # The same address, but no message: logs and scripts call it by a name of its own.
            method = "read"
        call = new_call("whatsapp", channel, method, args.values, chat=args.text("to") or args.text("recipient"))
        if channel is None:
            refused = _refusal(GraphError(190, "Invalid OAuth access token - Cannot parse access token"))
            call.status, call.error = refused.status, refused.error
            self._world.note_call(call)
            return _response(refused)
        verified = await self._handshake(args) if method == "number" and args.has("webhook_configuration") else True
        known = request.path_params["object"] == channel.credentials.phone_number_id

        def act() -> Answer:
            try:
                file = find_file(channel, request.path_params["object"]) if method == "number" else None
                if file is not None:
                    return _media(channel, file)
                if not known:
                    text = f"Unsupported request. Object with ID '{request.path_params['object']}' does not exist"
                    raise GraphError(100, text, sub=33)
                if method == "media":
                    return self._upload(channel, args)
                if method in {"messages", "read"}:
                    return self._send(channel, args)
                return self._number(channel, args, verified)
            except GraphError as error:
                return _refusal(error)

        return await answer_call(self._world, self._faults, call, act, _refuse)

    async def _handshake(self, args: Args) -> bool:
        wanted = args.object("webhook_configuration") or {}
        challenge = str(secrets.randbelow(10**10))
        query = {
            "hub.mode": "subscribe",
            "hub.verify_token": str(wanted.get("verify_token")),
            "hub.challenge": challenge,
        }
        status, body = await self._courier.ask(str(wanted.get("override_callback_uri")), query)
        return status == 200 and body == challenge.encode()

    def _number(self, channel: Channel, args: Args, verified: bool) -> Answer:
        proof = args.text("appsecret_proof")
        if proof is not None and proof != appsecret_proof(channel.credentials):
            raise GraphError(100, "Invalid appsecret_proof provided in the API argument", status=400)
        if args.has("webhook_configuration"):
            if not verified:
                raise GraphError(2200, "Callback verification failed with the following errors: HTTP Status Code")
            channel.webhook.url = str((args.object("webhook_configuration") or {})["override_callback_uri"])
            self._world.save_channel(channel)
            return Answer({"success": True})
        found = {
            "id": channel.credentials.phone_number_id,
            "display_phone_number": f"+{channel.bot.user_id}",
            "verified_name": channel.bot.title,
            "code_verification_status": "VERIFIED",
            "quality_rating": "GREEN",
        }
        fields = (args.text("fields") or "display_phone_number,verified_name").split(",")
        return Answer({name: value for name, value in found.items() if name in {"id", *fields}})

    def _upload(self, channel: Channel, args: Args) -> Answer:
        kept = read_media(self._world.files, args)
        self._media.setdefault(channel.name, {})[str(kept["id"])] = kept
        return Answer({"id": kept["id"]})

    def _react(self, channel: Channel, chat: Chat, args: Args) -> Answer:
        wanted = args.object("reaction") or {}
        message = channel.message(chat.id, str(wanted.get("message_id")))
        if message is None:
            raise GraphError(131009, "(#131009) Parameter value is not valid: message_id")
        message.reactions = [str(wanted["emoji"])] if wanted.get("emoji") else []
        self._world.save_message(channel, message)
        made: Json = {"id": channel.new_message_id(chat, None)}
        return Answer({"messaging_product": "whatsapp", "messages": [made]}, accepted=True)

    def _send(self, channel: Channel, args: Args) -> Answer:
        if args.text("messaging_product") != "whatsapp":
            raise GraphError(100, "(#100) The parameter messaging_product is required.")
        if args.text("status") == "read":
            return Answer({"success": True})
        chat = self._chat(channel, args)
        if args.text("type") == "reaction":
            return self._react(channel, chat, args)
        content = read_content(self._media.get(channel.name, {}), args)
        nonce = args.text("biz_opaque_callback_data")
        if nonce is not None and len(nonce) > _NONCE_MAX:
            raise GraphError(100, "(#100) Param biz_opaque_callback_data is too long")
        message = Message(
            chat=chat.id,
            id=channel.new_message_id(chat, None),
            author=channel.bot.title,
            from_bot=True,
            text=content.text,
            source=content.text,
            at=time.time(),
            reply_to=str((args.object("context") or {}).get("message_id") or "") or None,
            metadata=None if nonce is None else {"biz_opaque_callback_data": nonce},
            kind=content.kind,
            file=content.file,
            location=content.location,
            choices=content.choices,
            subtype=content.reply,
        )
        failure = self._failure(channel, chat, free=content.free)
        message.deleted = failure is not None
        self._world.save_message(channel, message)
        if failure is None:
            self._world.note_received(channel, "send", message)
        self._tell(channel, message, failure)
        contact = {"input": args.text("to") or args.text("recipient"), "wa_id": chat.id}
        sent: Json = {"id": message.id}
        body: Json = {"messaging_product": "whatsapp", "contacts": [contact], "messages": [sent]}
        return Answer(body, accepted=True, message_id=message.id)

    def _chat(self, channel: Channel, args: Args) -> Chat:
        name = args.text("to") or args.text("recipient") or ""
        person = reached(channel, name)
        chat = channel.private_chat(person) if person else channel.reached_chat(name)
        if chat is None:
            raise GraphError(131026, "(#131026) Message Undeliverable.")
        return chat

    def _failure(self, channel: Channel, chat: Chat, *, free: bool) -> int | None:
        """Return the code with which an accepted message will fail."""
        if chat.kind != "private" or channel.options.open_world:
            return None
        person = channel.person_by_id(chat.id)
        if person is not None and person.blocked:
            return 131026
        if not free:
            return None
        written = [message.at for message in channel.messages[chat.id].values() if not message.from_bot]
        return None if written and time.time() - max(written) < _WINDOW_S else 131047

    def _tell(self, channel: Channel, message: Message, failure: int | None) -> None:
        if channel.webhook.url is None:
            return
        statuses = ("failed",) if failure is not None else channel.options.receipts
        for status in statuses:
            self._courier.send(receipt(channel, message, status, failure))


def _media(channel: Channel, file: File) -> Answer:
    """Return where a file is; the real address is good for five minutes."""
    named: Json = {"messaging_product": "whatsapp", "id": file.id, "mime_type": file.mime_type, "file_size": file.size}
    return Answer(named | {"url": address(channel, file)})


def _response(answer: Answer) -> Response:
    return json_response(answer.body, answer.status, answer.headers)


def _refusal(error: GraphError) -> Answer:
    body: Json = {"message": str(error), "type": "OAuthException", "code": error.code, "fbtrace_id": "Asimulated"}
    if error.sub is not None:
        body["error_subcode"] = error.sub
    return Answer({"error": body}, error.status, error=str(error.code))


def _refuse(fault: Fault) -> Answer:
    script = fault.script
    if script.kind == "rate_limited":
        wait_s = max(1, round(fault.wait_s(time.monotonic()) + 0.49))
        answer = _refusal(GraphError(130429, "(#130429) Rate limit hit", status=429))
        answer.headers["Retry-After"], answer.retry_after_s = str(wait_s), float(wait_s)
        return answer
    if script.kind == "server_error":
        body: Json = {"error": {"message": "An unknown error occurred", "code": 1, "fbtrace_id": "Asimulated"}}
        return Answer(body, script.status, error="1")
    code = NAMED.get(script.error) or int(script.error if script.error.isdecimal() else "131009")
    return _refusal(GraphError(code, f"(#{code}) scripted"))
