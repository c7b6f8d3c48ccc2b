"""Discord's REST API under `/api/v10/`, as far as a bot needs it: messages, who we are, the interactions address.

https://docs.discord.com/developers; platforms.md §3.6 and §3.7. `enforce_nonce` is honoured for three minutes; a new
interactions address is tested with one good and one wrong signature. Not played: threads, embeds' contents. A script's
`error` is one of `NAMED` or a code in digits, answered with 400.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import quote

import orjson
from starlette.requests import Request
from starlette.responses import Response

from simulator.api_call import Answer, answer_call, new_call
from simulator.args import Args, BadArgumentsError, read_args
from simulator.channel import Channel
from simulator.discord_answers import NAMED, rate_limited, refusal, refuse, response_of
from simulator.discord_content import DiscordError, kind_of, read_components, read_file
from simulator.discord_keys import public_key, signature_headers
from simulator.discord_play import tell
from simulator.discord_wire import bot_user, message_object
from simulator.faults import Faults
from simulator.limits import FloodControl
from simulator.markdown_text import visible
from simulator.phone import in_order
from simulator.records import Chat, Json, Message
from simulator.state import World
from simulator.telegram_html import utf16_length
from simulator.webhooks import Courier

_CONTENT_MAX: Final = 2000
_NONCE_MAX: Final = 25
_REMEMBERED_S: Final = 180.0
_READS_CONTENT: Final = 1 << 19
Act = Callable[[Channel, Args, dict[str, str]], Answer]


class DiscordApi:
    """The REST API for every registered bot."""

    def __init__(self, world: World, faults: Faults, courier: Courier) -> None:
        self._world = world
        self._faults = faults
        self._courier = courier
        self._flood = FloodControl()
        self._nonces: dict[tuple[str, str, str], tuple[Message, float]] = {}

    def endpoint(self, name: str) -> Callable[[Request], Awaitable[Response]]:
        """Return the route's function for one call."""
        acts: dict[str, Act] = {
            "me": self._me,
            "application": self._application,
            "set_application": self._application,
            "set_command": self._command,
            "gateway": self._gateway,
            "create_message": self._create,
            "list_messages": self._list,
            "read_message": self._read,
            "edit_message": self._edit,
            "delete_message": self._delete,
            "typing": self._typing,
            "react": self._react,
        }
        act = acts[name]

        async def answer(request: Request) -> Response:
            return await self._answer(request, name, act)

        return answer

    async def _answer(self, request: Request, name: str, act: Act) -> Response:
        path: dict[str, str] = dict(request.path_params)
        try:
            args = await read_args(request)
        except BadArgumentsError as error:
            return response_of(refusal(DiscordError(400, 50109, str(error))))
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        channel = self._world.by_token("discord", token) if scheme == "Bot" else None
        call = new_call("discord", channel, name, args.values, chat=path.get("channel"))
        if channel is None:
            refused = refusal(DiscordError(*NAMED["invalid_auth"]))
            call.status, call.error = refused.status, refused.error
            self._world.note_call(call)
            return response_of(refused)
        url = args.text("interactions_endpoint_url")
        tested = await self._test_address(channel, url) if name == "set_application" and url else True
        path["host"] = request.headers.get("host", "127.0.0.1")

        def tried() -> Answer:
            try:
                if not tested:
                    raise DiscordError(400, 50035, "Validation failed: interactions endpoint url could not be verified")
                if name == "set_application" and url:
                    channel.webhook.url = url
                    self._world.save_channel(channel)
                return act(channel, args, path)
            except DiscordError as error:
                return refusal(error)

        return await answer_call(self._world, self._faults, call, tried, refuse)

    async def _test_address(self, channel: Channel, url: str) -> bool:
        """Send a PING with a good signature, and one with a wrong one, which must be refused."""
        body = orjson.dumps({"id": "1", "application_id": channel.bot.app_id, "type": 1, "token": "t", "version": 1})
        headers = signature_headers(channel.credentials.bot_token, str(int(time.time())), body)
        headers["Content-Type"] = "application/json"
        status, answer = await self._courier.post(url, headers, body)
        if status != 200 or answer.replace(b" ", b"") != b'{"type":1}':
            return False
        wrong, _ = await self._courier.post(url, headers | {"X-Signature-Ed25519": "0" * 128}, body)
        return wrong == 401

    def _me(self, channel: Channel, args: Args, path: dict[str, str]) -> Answer:
        return Answer(bot_user(channel))

    def _application(self, channel: Channel, args: Args, path: dict[str, str]) -> Answer:
        found: Json = {
            "id": channel.bot.app_id,
            "name": channel.bot.title,
            "flags": _READS_CONTENT * channel.options.message_content,
        }
        key = public_key(channel.credentials.bot_token)
        return Answer(found | {"verify_key": key, "interactions_endpoint_url": channel.webhook.url})

    def _command(self, channel: Channel, args: Args, path: dict[str, str]) -> Answer:
        if not args.text("name") or not args.text("description"):
            raise DiscordError(400, 50035, "Invalid Form Body")
        return Answer({"id": "1", "application_id": path["application"]} | args.values, 201)

    def _gateway(self, channel: Channel, args: Args, path: dict[str, str]) -> Answer:
        keys = channel.options.max_concurrency
        limit = {"total": 1000, "remaining": 999, "reset_after": 0, "max_concurrency": keys}
        return Answer(
            {
                "url": f"ws://{path['host']}/discord/gateway/{quote(channel.name)}",
                "shards": channel.options.shards,
                "session_start_limit": limit,
            }
        )

    def _create(self, channel: Channel, args: Args, path: dict[str, str]) -> Answer:
        chat = self._chat(channel, path)
        content, nonce = args.text("content") or "", args.text("nonce")
        if utf16_length(content) > _CONTENT_MAX or (nonce is not None and len(nonce) > _NONCE_MAX):
            raise DiscordError(*NAMED["too_long"])
        key = (channel.name, chat.id, nonce or "")
        known, at = self._nonces.get(key, (None, 0.0))
        if args.flag("enforce_nonce") and known is not None and time.monotonic() - at < _REMEMBERED_S:
            return self._answer_message(channel, chat, known, nonce)
        if channel.options.flood_control:
            wait_s = self._flood.wait_s(channel.name, "discord", chat, time.monotonic())
            if wait_s:
                return rate_limited(float(wait_s))
        file, (components, choices) = read_file(self._world.files, args), read_components(args)
        if not content.strip() and file is None:
            raise DiscordError(400, 50006, "Cannot send an empty message")
        reference = args.object("message_reference") or {}
        message = Message(
            chat=chat.id,
            id=channel.new_message_id(chat, None),
            author=channel.bot.title,
            from_bot=True,
            text=visible(content),
            source=content,
            at=time.time(),
            reply_to=self._replied(channel, chat, reference),
            buttons=components,
            kind=kind_of(file),
            file=file,
            choices=choices,
        )
        self._world.save_message(channel, message)
        self._world.note_received(channel, "send", message)
        if nonce is not None:
            self._nonces[key] = (message, time.monotonic())
        tell(channel, chat, "MESSAGE_CREATE", message, nonce)
        return self._answer_message(channel, chat, message, nonce)

    def _answer_message(self, channel: Channel, chat: Chat, message: Message, nonce: str | None = None) -> Answer:
        found = message_object(channel, chat, message) | ({} if nonce is None else {"nonce": nonce})
        headers = {"X-RateLimit-Limit": "5", "X-RateLimit-Remaining": "4", "X-RateLimit-Reset-After": "1.000"}
        return Answer(found, 200, headers | {"X-RateLimit-Bucket": "simulated"}, accepted=True, message_id=message.id)

    def _replied(self, channel: Channel, chat: Chat, reference: Json) -> str | None:
        wanted = reference.get("message_id")
        if not isinstance(wanted, str) or channel.knows_message(chat.id, wanted):
            return wanted if isinstance(wanted, str) else None
        if reference.get("fail_if_not_exists") is False:
            return None
        raise DiscordError(400, 50035, "Invalid Form Body: message_reference: Unknown message")

    def _list(self, channel: Channel, args: Args, path: dict[str, str]) -> Answer:
        """Return messages, newest first; `after`: the next ones after that id."""
        chat = self._chat(channel, path)
        limit, after = args.number("limit") or 50, int(args.text("after") or 0)
        shown = in_order(channel, [one for one in channel.messages[chat.id].values() if not one.deleted])
        page = [one for one in shown if int(one.id) > after]
        page = page[:limit] if after else page[-limit:]
        return Answer([message_object(channel, chat, one) for one in reversed(page)])

    def _read(self, channel: Channel, args: Args, path: dict[str, str]) -> Answer:
        chat = self._chat(channel, path)
        return Answer(message_object(channel, chat, self._message(channel, chat, path)))

    def _edit(self, channel: Channel, args: Args, path: dict[str, str]) -> Answer:
        chat = self._chat(channel, path)
        message = self._message(channel, chat, path)
        if not message.from_bot:
            raise DiscordError(403, 50005, "Cannot edit a message authored by another user")
        content = args.text("content") or ""
        if utf16_length(content) > _CONTENT_MAX:
            raise DiscordError(*NAMED["too_long"])
        if channel.options.flood_control:
            wait_s = self._flood.edit_wait_s(channel.name, "discord", chat, time.monotonic())
            if wait_s:
                return rate_limited(float(wait_s))
        message.reword(visible(content), content, time.time())
        self._world.save_message(channel, message)
        self._world.note_received(channel, "edit", message)
        tell(channel, chat, "MESSAGE_UPDATE", message)
        return self._answer_message(channel, chat, message)

    def _delete(self, channel: Channel, args: Args, path: dict[str, str]) -> Answer:
        chat = self._chat(channel, path)
        message = self._message(channel, chat, path)
        message.deleted = True
        self._world.save_message(channel, message)
        self._world.note_received(channel, "delete", message)
        return Answer({}, 204, accepted=True, message_id=message.id)

    def _typing(self, channel: Channel, args: Args, path: dict[str, str]) -> Answer:
        self._chat(channel, path)
        return Answer({}, 204)

    def _react(self, channel: Channel, args: Args, path: dict[str, str]) -> Answer:
        chat = self._chat(channel, path)
        message = self._message(channel, chat, path)
        message.reactions = [*(one for one in message.reactions if one != path["emoji"]), path["emoji"]]
        self._world.save_message(channel, message)
        return Answer({}, 204, accepted=True)

    def _chat(self, channel: Channel, path: dict[str, str]) -> Chat:
        chat = channel.reached_chat(path["channel"])
        if chat is None:
            raise DiscordError(*NAMED["chat_not_found"])
        if not chat.bot_member:
            raise DiscordError(*NAMED["not_in_channel"])
        if chat.kind == "private" and any(channel.people[name].blocked for name in chat.members):
            raise DiscordError(*NAMED["blocked"])
        return chat

    def _message(self, channel: Channel, chat: Chat, path: dict[str, str]) -> Message:
        message = channel.message(chat.id, path["message"])
        if message is None:
            raise DiscordError(404, 10008, "Unknown Message")
        return message
