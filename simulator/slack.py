"""Slack's Web API: `/api/{method}` and `/slack/api/{method}`; refusals come with HTTP 200 and `ok: false`.

https://docs.slack.dev/reference/methods; platforms.md §4.5 and §4.6. Not played: streams, ephemeral posts, views. Files: slack_files.py.
A script's `error` is Slack's own code, or one of the names in slack_answers.py.
"""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import Response

from simulator import slack_events, slack_history
from simulator.api_call import Answer, answer_call, json_response, new_call
from simulator.args import Args, BadArgumentsError, read_args
from simulator.bot_files import GivenFile
from simulator.channel import Channel
from simulator.faults import Faults
from simulator.file_wire import slack_file
from simulator.files import find_file
from simulator.limits import FloodControl
from simulator.records import Chat, Delivery, Json, Message
from simulator.slack_answers import ok, rate_limited, refusal, refuse
from simulator.slack_files import SlackFiles, kind_of
from simulator.slack_socket import open_address
from simulator.slack_text import Content, SlackError, read_content, read_metadata, visible
from simulator.slack_wire import message_object, user_object
from simulator.state import World
from simulator.webhooks import Courier


class SlackApi:
    """The Web API for every registered bot."""

    def __init__(self, world: World, faults: Faults, courier: Courier) -> None:
        self._world = world
        self._faults = faults
        self._courier = courier
        self._flood = FloodControl()
        self._files = SlackFiles(world.files)
        self._methods = {
            "api.test": self._api_test,
            "auth.test": self._auth_test,
            "chat.postMessage": self._post_message,
            "chat.update": self._update,
            "chat.delete": self._delete,
            "conversations.history": self._history,
            "conversations.replies": self._replies,
            "conversations.open": self._open,
            "conversations.info": self._info,
            "users.info": self._user,
            "reactions.add": self._react,
            "assistant.threads.setStatus": self._status,
            "files.getUploadURLExternal": self._upload_address,
            "files.completeUploadExternal": self._complete_upload,
            "files.info": self._file_info,
        }

    async def endpoint(self, request: Request) -> Response:
        """Answer one call."""
        method: str = request.path_params["method"]
        try:
            args = await read_args(request)
        except BadArgumentsError:
            return json_response({"ok": False, "error": "json_not_object"})
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        token = token if scheme.lower() == "bearer" else args.text("token") or ""
        args.values.pop("token", None)
        args.origin = f"{request.url.scheme}://{request.headers.get('host', '127.0.0.1')}"
        if method == "apps.connections.open":
            return json_response(open_address(self._world, token, request.headers.get("host", "127.0.0.1")))
        channel = self._world.by_token("slack", token)
        call = new_call("slack", channel, method, args.values)
        if channel is None:
            call.status, call.error = 200, "invalid_auth" if token else "not_authed"
            self._world.note_call(call)
            return json_response({"ok": False, "error": call.error})
        return await answer_call(self._world, self._faults, call, lambda: self._act(channel, method, args), refuse)

    async def upload(self, request: Request) -> Response:
        """Take the bytes of a file, as a form or by themselves."""
        try:
            given = (await read_args(request)).files.get("file")
        except BadArgumentsError:
            given = GivenFile("", "application/octet-stream", await request.body())
        if given is None or not self._files.take(request.path_params["file"], given):
            return Response("no such upload", 400)
        return Response("OK - 0")

    async def command_answer(self, request: Request) -> Response:
        """Take what is posted to a command's or button's `response_url`."""
        channel = self._world.channels.get(request.path_params["channel"])
        chat = channel.chats.get(request.path_params["chat"]) if channel else None
        if channel is None or chat is None:
            return Response("used_url", 404)
        args = await read_args(request)
        try:
            self._store(channel, chat, args, None)
        except SlackError as error:
            return Response(error.code, 400)
        return Response("ok")

    def _act(self, channel: Channel, method: str, args: Args) -> Answer:
        handler = self._methods.get(method)
        try:
            if handler is None:
                raise SlackError("unknown_method")
            return handler(channel, args)
        except SlackError as error:
            return refusal(error)

    # Methods

    def _api_test(self, channel: Channel, args: Args) -> Answer:
        return ok({"args": args.values})

    def _auth_test(self, channel: Channel, args: Args) -> Answer:
        bot = channel.bot
        answer = ok(
            {
                "url": "https://simulated.slack.com/",
                "team": "simulated",
                "user": bot.username,
                "team_id": bot.team_id,
                "user_id": bot.user_id,
                "bot_id": bot.bot_id,
                "is_enterprise_install": False,
            }
        )
        if channel.options.scopes is not None:
            answer.headers["X-OAuth-Scopes"] = channel.options.scopes
        return answer

    def _post_message(self, channel: Channel, args: Args) -> Answer:
        chat = self._chat(channel, args)
        thread = args.text("thread_ts") or None
        if thread is not None and not channel.knows_message(chat.id, thread):
            raise SlackError("thread_not_found")
        if channel.options.flood_control:
            wait_s = self._flood.wait_s(channel.name, "slack", chat, time.monotonic())
            if wait_s:
                return rate_limited(wait_s)
        message = self._store(channel, chat, args, thread)
        return ok({"channel": chat.id, "ts": message.id, "message": message_object(channel, message)}, message)

    def _upload_address(self, channel: Channel, args: Args) -> Answer:
        return ok(self._files.begin(channel.name, args, args.origin))

    def _complete_upload(self, channel: Channel, args: Args) -> Answer:
        """Show the file as a message; the answer does not say as which."""
        pending = self._files.complete(channel.name, args)
        chat = self._chat(channel, Args({"channel": args.text("channel_id")}))
        text = args.text("initial_comment") or ""
        message = self._add(channel, chat, Content(text, visible(text), None, truncated=False), args.text("thread_ts"))
        message.kind, message.file, message.subtype = kind_of(pending.file or {}), pending.file, "file_share"
        pending.shares.setdefault(chat.id, []).append(message.id)
        self._told(channel, chat, message, truncated=False)
        return ok({"files": [{"id": pending.id, "title": (pending.file or {})["name"]}]}, message)

    def _file_info(self, channel: Channel, args: Args) -> Answer:
        file = find_file(channel, args.text("file") or "")
        found = self._files.info(channel.name, args) if file is None else slack_file(channel, file)
        return ok({"file": found, "comments": []})

    def _store(self, channel: Channel, chat: Chat, args: Args, thread: str | None) -> Message:
        content = read_content(args)
        message = self._add(channel, chat, content, thread)
        message.metadata = read_metadata(args)
        self._told(channel, chat, message, truncated=content.truncated)
        return message

    def _add(self, channel: Channel, chat: Chat, content: Content, thread: str | None) -> Message:
        ts = channel.new_message_id(chat, None)
        return Message(
            chat=chat.id,
            id=ts,
            author=channel.bot.title,
            from_bot=True,
            text=content.visible,
            source=content.text,
            at=float(ts),
            thread=thread or None,
            blocks=content.blocks,
            choices=content.choices,
        )

    def _told(self, channel: Channel, chat: Chat, message: Message, *, truncated: bool) -> None:
        self._world.save_message(channel, message)
        self._world.note_received(channel, "send", message, truncated=truncated)
        self._echo(channel, slack_events.written(channel, chat, message, None))

    def _update(self, channel: Channel, args: Args) -> Answer:
        chat = self._chat(channel, args)
        message = _own(channel, chat, args, "cant_update_message")
        content, before = read_content(args, edit=True), message_object(channel, message)
        if channel.options.flood_control:
            wait_s = self._flood.edit_wait_s(channel.name, "slack", chat, time.monotonic())
            if wait_s:
                return rate_limited(wait_s)
        message.reword(content.visible, content.text, time.time())
        message.blocks, message.metadata = content.blocks, read_metadata(args) or message.metadata
        self._world.save_message(channel, message)
        self._world.note_received(channel, "edit", message)
        self._echo(channel, slack_events.edited(channel, chat, message, before))
        answer: Json = {"channel": chat.id, "ts": message.id, "text": message.source}
        return ok(answer | {"message": message_object(channel, message)}, message)

    def _delete(self, channel: Channel, args: Args) -> Answer:
        chat = self._chat(channel, args)
        message = _own(channel, chat, args, "cant_delete_message")
        self._echo(channel, slack_events.deleted(channel, chat, message))
        message.deleted = True
        self._world.save_message(channel, message)
        self._world.note_received(channel, "delete", message)
        return ok({"channel": chat.id, "ts": message.id}, message)

    def _history(self, channel: Channel, args: Args) -> Answer:
        return ok(slack_history.history(channel, self._chat(channel, args), args))

    def _replies(self, channel: Channel, args: Args) -> Answer:
        return ok(slack_history.replies(channel, self._chat(channel, args), args))

    def _open(self, channel: Channel, args: Args) -> Answer:
        users = [user for user in (args.text("users") or "").split(",") if user]
        people = [channel.person_by_id(user) for user in users]
        person = people[0] if people else None
        if person is None or None in people:
            raise SlackError("user_not_found" if users else "users_list_not_supplied")
        chat = channel.private_chat(person) if len(people) == 1 else channel.group_chat("-".join(users), "mpim")
        for member in people:
            if member is not None:
                self._world.join(channel, chat, member)
        return ok({"no_op": True, "already_open": True, "channel": {"id": chat.id}})

    def _info(self, channel: Channel, args: Args) -> Answer:
        chat = self._chat(channel, args, member=False)
        kind = {"is_im": chat.kind == "private", "is_mpim": chat.kind == "mpim", "is_channel": chat.kind == "channel"}
        found: Json = {"id": chat.id, "name": chat.name, "is_member": chat.bot_member}
        return ok({"channel": found | kind})

    def _user(self, channel: Channel, args: Args) -> Answer:
        person = channel.person_by_id(args.text("user") or "")
        if person is None:
            raise SlackError("user_not_found")
        return ok({"user": user_object(channel, person)})

    def _react(self, channel: Channel, args: Args) -> Answer:
        chat = self._chat(channel, args)
        message = channel.message(chat.id, args.text("timestamp") or "")
        name = args.text("name")
        if message is None or not name:
            raise SlackError("message_not_found" if name else "no_item_specified")
        if name in message.reactions:
            raise SlackError("already_reacted")
        message.reactions.append(name)
        self._world.save_message(channel, message)
        return ok({})

    def _status(self, channel: Channel, args: Args) -> Answer:
        chat = channel.chats.get(args.text("channel_id") or "")
        if chat is None or channel.message(chat.id, args.text("thread_ts") or "") is None:
            raise SlackError("channel_not_found" if chat is None else "thread_not_found")
        return ok({})

    def _chat(self, channel: Channel, args: Args, *, member: bool = True) -> Chat:
        """Return the conversation; a person's id stands for the direct messages with them."""
        reference = args.text("channel") or ""
        person = channel.person_by_id(reference)
        chat = channel.private_chat(person) if person else channel.reached_chat(reference)
        if chat is None:
            raise SlackError("channel_not_found")
        if person is not None:
            self._world.join(channel, chat, person)
        if member and not chat.bot_member:
            raise SlackError("not_in_channel")
        return chat

    def _echo(self, channel: Channel, deliveries: list[Delivery]) -> None:
        if channel.options.echo_own and channel.webhook.url is not None:
            for delivery in deliveries:
                self._courier.send(delivery)


def _own(channel: Channel, chat: Chat, args: Args, otherwise: str) -> Message:
    message = channel.message(chat.id, args.text("ts") or "")
    if message is None:
        raise SlackError("message_not_found")
    if not message.from_bot:
        raise SlackError(otherwise)
    return message
