"""Telegram's Bot API: `/bot{token}/{method}`, answers and refusals word for word.

https://core.telegram.org/bots/api; platforms.md §2.4 and §2.5; descriptions as the server gives them
(tdlib/telegram-bot-api, Client.cpp). Polling is played in telegram_polls.py, files in telegram_content.py, drafts in
telegram_drafts.py.
"""

from __future__ import annotations

import re
import time
from functools import partial
from typing import Final, cast

import orjson
from starlette.requests import Request
from starlette.responses import Response

from simulator.api_call import Answer, answer_call, new_call
from simulator.args import Args, BadArgumentsError, read_args
from simulator.channel import Channel
from simulator.faults import Faults
from simulator.limits import FloodControl
from simulator.records import Chat, Credentials, Json, Message, Options
from simulator.state import World
from simulator.telegram_content import (
    SENDS,
    file_of,
    press_answered,
    read_content,
    read_keyboard,
)
from simulator.telegram_drafts import draft
from simulator.telegram_polls import Polls
from simulator.telegram_rules import (
    NAMED,
    RefusedError,
    flood_error,
    known_reply,
    known_thread,
    ok,
    read_text,
    refusal,
    refusal_response,
    refuse,
)
from simulator.telegram_wire import bot_user, message_object

_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{0,256}")
_TOKEN: Final = re.compile(r"[1-9]\d*:[A-Za-z0-9_-]+")


class TelegramApi:
    """The Bot API of every registered bot."""

    def __init__(self, world: World, faults: Faults) -> None:
        self._world = world
        self._faults = faults
        self._flood = FloodControl()
        self._polls = Polls(world)
        self._methods = {
            "getme": self._get_me,
            "setwebhook": self._set_webhook,
            "deletewebhook": self._delete_webhook,
            "getwebhookinfo": self._webhook_info,
            "getupdates": self._get_updates,
            **{name: partial(self._send_message, name) for name in SENDS},
            "sendmessagedraft": self._draft,
            "editmessagetext": self._edit_text,
            "deletemessage": self._delete_message,
            "sendchataction": self._chat_action,
            "answercallbackquery": press_answered,
            "setmessagereaction": self._react,
            "getfile": file_of,
        }

    async def endpoint(self, request: Request) -> Response:
        """Answer one call; method names are not case-sensitive, as the server's are not."""
        token, method = request.path_params["token"], request.path_params["method"]
        try:
            args = await read_args(request)
        except BadArgumentsError as error:
            return refusal_response(400, f"Bad Request: {error}")
        channel = self._channel(token, method.lower(), args)
        if (
            channel is not None
            and method.lower() == "getupdates"
            and not await self._polls.wait(request, channel, args)
        ):
            return refusal_response(409, NAMED["conflict"][1])
        call = new_call("telegram", channel, method, args.values)
        if channel is None:
            call.status, call.error = 401, "Unauthorized"
            self._world.note_call(call)
            return refusal_response(401, "Unauthorized")
        return await answer_call(self._world, self._faults, call, lambda: self._act(channel, method, args), refuse)

    def obey(self, channel: Channel, answer: bytes) -> None:
        """Carry out the call that a webhook was answered with, if it was; nobody is told how that went.

        https://core.telegram.org/bots/api#making-requests-when-getting-updates
        """
        try:
            asked: object = orjson.loads(answer)
        except orjson.JSONDecodeError:
            return
        values = cast("Json", asked) if isinstance(asked, dict) else {}
        method = values.pop("method", None)
        if channel.platform != "telegram" or not isinstance(method, str):
            return
        call = new_call("telegram", channel, method, values)
        done = self._act(channel, method, Args(values))
        call.status, call.error, call.accepted = done.status, done.error, done.accepted
        self._world.note_call(call)

    def _channel(self, token: str, method: str, args: Args) -> Channel | None:
        """Return the token's bot. A new, well-formed token becomes a bot by its setWebhook."""
        channel = self._world.by_token("telegram", token)
        if channel is None and method == "setwebhook" and _TOKEN.fullmatch(token):
            name = f"telegram-{token.partition(':')[0]}"
            channel = self._world.register("telegram", name, Credentials(bot_token=token), Options())
        return channel

    def _act(self, channel: Channel, method: str, args: Args) -> Answer:
        handler = self._methods.get(method.lower())
        try:
            if handler is None:
                raise RefusedError(404, "Not Found: method not found")
            return handler(channel, args)
        except RefusedError as refused:
            return refusal(refused)

    # Methods

    def _get_me(self, channel: Channel, args: Args) -> Answer:
        rights = {
            "can_join_groups": True,
            "can_read_all_group_messages": not channel.options.privacy_mode,
            "supports_inline_queries": False,
        }
        return ok(bot_user(channel) | rights)

    def _set_webhook(self, channel: Channel, args: Args) -> Answer:
        url = args.text("url") or ""
        if not url:
            return self._delete_webhook(channel, args)
        secret = args.text("secret_token") or ""
        if not _SECRET.fullmatch(secret):
            raise RefusedError(400, "Bad Request: secret token contains unallowed characters")
        if not url.startswith(("https://", "http://")):
            raise RefusedError(400, "Bad Request: bad webhook: An HTTPS URL must be provided for webhook")
        webhook = channel.webhook
        same = webhook.url == url and webhook.secret == secret
        webhook.url, webhook.secret = url, secret
        webhook.max_connections = min(max(args.number("max_connections") or 40, 1), 100)
        allowed = args.items("allowed_updates")
        if allowed is not None:
            # An omitted list keeps the previous setting (platforms.md §2.1).
            webhook.allowed_updates = [str(kind) for kind in allowed] or None
        self._world.save_channel(channel)
        return ok(True, description="Webhook is already set" if same else "Webhook was set")

    def _delete_webhook(self, channel: Channel, args: Args) -> Answer:
        had = channel.webhook.url is not None
        channel.webhook.url, channel.webhook.secret = None, ""
        self._world.save_channel(channel)
        return ok(True, description="Webhook was deleted" if had else "Webhook is already deleted")

    def _webhook_info(self, channel: Channel, args: Args) -> Answer:
        webhook = channel.webhook
        info: Json = {
            "url": webhook.url or "",
            "has_custom_certificate": False,
            "pending_update_count": sum(item.channel == channel.name for item in self._world.pending.values()),
            "max_connections": webhook.max_connections,
        }
        if webhook.allowed_updates is not None:
            info["allowed_updates"] = webhook.allowed_updates
        if webhook.last_error_at is not None:
            info |= {"last_error_date": int(webhook.last_error_at), "last_error_message": webhook.last_error}
        return ok(info)

    def _get_updates(self, channel: Channel, args: Args) -> Answer:
        if channel.webhook.url is not None:
            text = "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
            raise RefusedError(409, text)
        return ok(self._polls.take(channel, args))

    def _send_message(self, method: str, channel: Channel, args: Args) -> Answer:
        chat = self._open_chat(channel, args)
        thread = known_thread(channel, chat, args)
        reply_to = known_reply(channel, chat, args)
        content, (keyboard, choices) = read_content(self._world.files, method, args), read_keyboard(args)
        self._limit(channel, chat)
        message = Message(
            chat=chat.id,
            id=channel.new_message_id(chat, None),
            author=channel.bot.title,
            from_bot=True,
            text=content.text,
            source=content.source,
            at=time.time(),
            thread=thread,
            reply_to=reply_to,
            entities=content.entities,
            buttons=keyboard,
            kind=content.kind,
            file=content.file,
            location=content.location,
            choices=choices,
        )
        channel.drafts.pop(chat.id, None)
        self._world.save_message(channel, message)
        self._world.note_received(channel, "send", message)
        return ok(message_object(channel, message), message)

    def _draft(self, channel: Channel, args: Args) -> Answer:
        chat = self._open_chat(channel, args)
        self._limit(channel, chat)
        draft(self._world, channel, chat, args)
        return ok(True)

    def _edit_text(self, channel: Channel, args: Args) -> Answer:
        chat = self._open_chat(channel, args)
        message = channel.message(chat.id, str(args.number("message_id")))
        if message is None:
            raise RefusedError(400, "Bad Request: message to edit not found")
        if not message.from_bot:
            raise RefusedError(400, "Bad Request: message can't be edited")
        parsed = read_text(args)
        if parsed.text == message.text and parsed.entities == message.entities:
            text = (
                "Bad Request: message is not modified: specified new message content and reply markup are exactly the same "
                "as a current content and reply markup of the message"
            )
            raise RefusedError(400, text)
        self._limit(channel, chat)
        message.entities = parsed.entities
        message.reword(parsed.text, args.text("text") or "", time.time())
        self._world.save_message(channel, message)
        self._world.note_received(channel, "edit", message)
        return ok(message_object(channel, message), message)

    def _delete_message(self, channel: Channel, args: Args) -> Answer:
        chat = self._open_chat(channel, args)
        message = channel.message(chat.id, str(args.number("message_id")))
        if message is None:
            raise RefusedError(400, "Bad Request: message to delete not found")
        message.deleted = True
        self._world.save_message(channel, message)
        self._world.note_received(channel, "delete", message)
        return ok(True, message)

    def _chat_action(self, channel: Channel, args: Args) -> Answer:
        known_thread(channel, self._open_chat(channel, args), args)
        if not args.text("action"):
            raise RefusedError(400, "Bad Request: wrong parameter action in request")
        return ok(True)

    def _react(self, channel: Channel, args: Args) -> Answer:
        chat = self._open_chat(channel, args)
        message = channel.message(chat.id, str(args.number("message_id")))
        if message is None:
            raise RefusedError(400, "Bad Request: message to react not found")
        given = args.items("reaction") or []
        message.reactions = [str(one.get("emoji") if isinstance(one, dict) else one) for one in given]  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        self._world.save_message(channel, message)
        return ok(True)

    # Checks

    def _open_chat(self, channel: Channel, args: Args) -> Chat:
        reference = args.text("chat_id")
        if not reference:
            raise RefusedError(400, "Bad Request: chat_id is empty")
        chat = channel.reached_chat(reference)
        if chat is None:
            raise RefusedError(400, "Bad Request: chat not found")
        if chat.moved_to is not None:
            text = "Bad Request: group chat was upgraded to a supergroup chat"
            raise RefusedError(400, text, {"migrate_to_chat_id": int(chat.moved_to)})
        if chat.kind == "private":
            person = channel.person_by_id(chat.id)
            if person is not None and person.blocked:
                raise RefusedError(*NAMED["blocked"])
        elif not chat.bot_member:
            raise RefusedError(403, f"Forbidden: bot is not a member of the {chat.kind} chat")
        return chat

    def _limit(self, channel: Channel, chat: Chat) -> None:
        if channel.options.flood_control:
            wait_s = self._flood.wait_s(channel.name, "telegram", chat, time.monotonic())
            if wait_s:
                raise flood_error(wait_s)
