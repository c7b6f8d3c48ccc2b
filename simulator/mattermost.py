"""Mattermost's REST API under `/api/v4/`, as far as a bot needs it: posts, reading back, who we are, typing.

https://api.mattermost.com; platforms.md §5.4 and §5.5. A repeated `pending_post_id` gets the first post for 30 seconds; the
rate limit's answer is plain text. Not played: teams' and users' administration. A script's `error` is one of `NAMED`
or the server's own id, answered with 400.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from simulator.api_call import Answer, answer_call, json_response, new_call
from simulator.args import Args, BadArgumentsError, read_args
from simulator.channel import Channel
from simulator.faults import Fault, Faults
from simulator.file_wire import mattermost_info
from simulator.markdown_text import visible
from simulator.mattermost_content import ServerError, Uploads, info_object, kind_of, read_choices
from simulator.mattermost_play import posted, tell
from simulator.mattermost_wire import post_object
from simulator.phone import in_order
from simulator.records import Chat, Json, Message
from simulator.state import World
from simulator.webhooks import Courier

_MESSAGE_MAX: Final = 16_383
_REMEMBERED_S: Final = 30.0
_LIMITED: Final = "limit exceeded"
NAMED: Final = {
    "chat_not_found": (404, "app.channel.get.existing.app_error"),
    "blocked": (403, "api.context.permissions.app_error"),
    "not_in_channel": (403, "api.context.permissions.app_error"),
    "invalid_auth": (401, "api.context.session_expired.app_error"),
    "too_long": (400, "model.post.is_valid.message_length.app_error"),
    "thread_not_found": (400, "api.post.create_post.root_id.app_error"),
    "message_gone": (404, "app.post.get.app_error"),
    "edit_closed": (400, "api.post.update_post.permissions_time_limit.app_error"),
    "still_saving": (500, "api.post.deduplicate_create_post.pending"),
}
"""The errors that a script can name."""

Act = Callable[[Channel, Args, dict[str, str]], Answer]


class MattermostApi:
    """The REST API for every registered bot."""

    def __init__(self, world: World, faults: Faults, courier: Courier) -> None:
        self._world = world
        self._faults = faults
        self._courier = courier
        self._pending: dict[tuple[str, str], tuple[Message, float]] = {}
        self._uploads = Uploads(world.files)

    def endpoint(self, name: str) -> Callable[[Request], Awaitable[Response]]:
        """Return the route's function for one call."""
        acts: dict[str, Act] = {
            "me": self._me,
            "teams": self._teams,
            "user": self._user,
            "create_post": self._create,
            "read_post": self._read,
            "patch_post": self._patch,
            "delete_post": self._delete,
            "channel_posts": self._posts,
            "channels": self._channels,
            "typing": self._typing,
            "upload": self._upload,
            "react": self._react,
            "file_info": self._file_info,
        }
        act = acts[name]

        async def answer(request: Request) -> Response:
            return await self._answer(request, name, act)

        return answer

    async def _answer(self, request: Request, name: str, act: Act) -> Response:
        path: dict[str, str] = request.path_params
        try:
            args = await read_args(request)
        except BadArgumentsError:
            args = Args({})
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        channel = self._world.by_token("mattermost", token) if scheme.lower() == "bearer" else None
        chat = path.get("channel") or args.text("channel_id")
        call = new_call("mattermost", channel, name, args.values, chat=chat)
        if channel is None:
            refused = _refusal(ServerError(*NAMED["invalid_auth"]))
            call.status, call.error = refused.status, refused.error
            self._world.note_call(call)
            return json_response(refused.body, refused.status)

        def tried() -> Answer:
            try:
                return act(channel, args, path)
            except ServerError as error:
                return _refusal(error)

        response = await answer_call(self._world, self._faults, call, tried, _refuse)
        if response.status_code == 429:
            # Not JSON: whoever reads the body first learns nothing.
            headers = {name: value for name, value in response.headers.items() if name.startswith(("retry", "x-"))}
            return PlainTextResponse(_LIMITED, 429, headers)
        return response

    def _me(self, channel: Channel, args: Args, path: dict[str, str]) -> Answer:
        bot = channel.bot
        return Answer(
            {"id": bot.user_id, "username": bot.username, "is_bot": channel.options.is_bot, "roles": "system_user"}
        )

    def _user(self, channel: Channel, args: Args, path: dict[str, str]) -> Answer:
        person = channel.person_by_id(path["user"])
        if person is None:
            raise ServerError(404, "app.user.missing_account.const")
        return Answer({"id": person.user_id, "username": person.name, "is_bot": person.is_bot, "roles": "system_user"})

    def _teams(self, channel: Channel, args: Args, path: dict[str, str]) -> Answer:
        return Answer([{"id": channel.bot.team_id, "name": "simulated"}])

    def _channels(self, channel: Channel, args: Args, path: dict[str, str]) -> Answer:
        kinds = {"private": "D", "channel": "O"}
        seen = [chat for chat in channel.chats.values() if chat.bot_member]
        return Answer(
            [
                {
                    "id": chat.id,
                    "type": kinds.get(chat.kind, "P"),
                    "name": chat.name,
                    "last_post_at": max([int(one.at * 1000) for one in channel.messages[chat.id].values()], default=0),
                }
                for chat in seen
            ]
        )

    def _create(self, channel: Channel, args: Args, path: dict[str, str]) -> Answer:
        chat, text = self._chat(channel, args.text("channel_id")), args.text("message") or ""
        if len(text) > _MESSAGE_MAX:
            raise ServerError(*NAMED["too_long"])
        known = self._remembered(channel, args.text("pending_post_id"))
        if known is not None:
            return Answer(post_object(channel, known), 201, accepted=True, message_id=known.id)
        props = args.object("props")
        choices, root = read_choices(props), self._root(channel, chat, args)
        file = self._uploads.take(channel.name, args.items("file_ids") or [])
        if not text.strip() and file is None:
            raise ServerError(400, "model.post.is_valid.message.app_error")
        message = Message(
            chat=chat.id,
            id=channel.new_message_id(chat, None),
            author=channel.bot.title,
            from_bot=True,
            text=visible(text),
            source=text,
            at=time.time(),
            thread=root,
            metadata=props,
            kind=kind_of(file),
            file=file,
            choices=choices,
        )
        self._world.save_message(channel, message)
        self._world.note_received(channel, "send", message)
        if args.text("pending_post_id"):
            self._pending[channel.name, args.text("pending_post_id") or ""] = (message, time.monotonic())
        for delivery in posted(channel, chat, message):
            # Posts by the API fire the bot's own webhooks too (platforms.md §5.2).
            if channel.options.echo_own:
                self._courier.send(delivery)
        return Answer(post_object(channel, message), 201, accepted=True, message_id=message.id)

    def _upload(self, channel: Channel, args: Args, path: dict[str, str]) -> Answer:
        self._chat(channel, args.text("channel_id"))
        return Answer({"file_infos": [info_object(self._uploads.add(channel.name, args.files.get("files")))]}, 201)

    def _react(self, channel: Channel, args: Args, path: dict[str, str]) -> Answer:
        _, message = self._message(channel, args.text("post_id") or "")
        name = args.text("emoji_name") or ""
        if args.text("user_id") != channel.bot.user_id or not name:
            raise ServerError(403, "api.reaction.save_reaction.user_id.app_error")
        message.reactions = [*(one for one in message.reactions if one != name), name]
        self._world.save_message(channel, message)
        return Answer(args.values, 201, accepted=True)

    def _remembered(self, channel: Channel, pending: str | None) -> Message | None:
        message, at = self._pending.get((channel.name, pending or ""), (None, 0.0))
        return message if time.monotonic() - at < _REMEMBERED_S else None

    def _root(self, channel: Channel, chat: Chat, args: Args) -> str | None:
        root = args.text("root_id") or None
        found = channel.message(chat.id, root) if root else None
        if root and not channel.options.open_world and (found is None or found.thread not in {None, root}):
            raise ServerError(*NAMED["thread_not_found"])
        return root

    def _read(self, channel: Channel, args: Args, path: dict[str, str]) -> Answer:
        return Answer(post_object(channel, self._message(channel, path["post"])[1]))

    def _patch(self, channel: Channel, args: Args, path: dict[str, str]) -> Answer:
        chat, message = self._message(channel, path["post"])
        if not message.from_bot:
            raise ServerError(*NAMED["blocked"])
        text = args.text("message")
        if text is not None:
            if len(text) > _MESSAGE_MAX:
                raise ServerError(*NAMED["too_long"])
            message.reword(visible(text), text, time.time())
        self._world.save_message(channel, message)
        self._world.note_received(channel, "edit", message)
        tell(channel, chat, "post_edited", message)
        return Answer(post_object(channel, message), accepted=True, message_id=message.id)

    def _delete(self, channel: Channel, args: Args, path: dict[str, str]) -> Answer:
        chat, message = self._message(channel, path["post"])
        message.deleted = True
        self._world.save_message(channel, message)
        self._world.note_received(channel, "delete", message)
        tell(channel, chat, "post_deleted", message)
        return Answer({"status": "OK"}, accepted=True, message_id=message.id)

    def _posts(self, channel: Channel, args: Args, path: dict[str, str]) -> Answer:
        """Return a page, newest first; `after` a post: the next ones after it."""
        chat = self._chat(channel, path["channel"])
        shown = in_order(channel, [one for one in channel.messages[chat.id].values() if not one.deleted])
        size, number, after = args.number("per_page") or 60, args.number("page") or 0, args.text("after")
        since = args.number("since")
        if since is not None:
            page = [one for one in shown if int(one.at * 1000) >= since][::-1]
        elif after:
            positions = [index for index, one in enumerate(shown) if one.id == after]
            rest = shown[positions[0] + 1 :] if positions else []
            page = rest[number * size : (number + 1) * size][::-1]
        else:
            page = shown[::-1][number * size : (number + 1) * size]
        posts = {one.id: post_object(channel, one) for one in page}
        return Answer({"order": list(posts), "posts": posts, "next_post_id": "", "prev_post_id": ""})

    def _typing(self, channel: Channel, args: Args, path: dict[str, str]) -> Answer:
        self._chat(channel, args.text("channel_id"))
        return Answer({"status": "OK"})

    def _file_info(self, channel: Channel, args: Args, path: dict[str, str]) -> Answer:
        for messages in channel.messages.values():
            for message in messages.values():
                for file in message.files:
                    if file.id == path["file"] and not message.deleted:
                        return Answer(mattermost_info(message, file))
        raise ServerError(404, "app.file_info.get.app_error")

    def _chat(self, channel: Channel, reference: str | None) -> Chat:
        chat = channel.reached_chat(reference or "")
        if chat is None:
            raise ServerError(*NAMED["chat_not_found"])
        person = next((channel.people[name] for name in chat.members if chat.kind == "private"), None)
        if not chat.bot_member or (person is not None and person.blocked):
            raise ServerError(*NAMED["not_in_channel"])
        return chat

    def _message(self, channel: Channel, post: str) -> tuple[Chat, Message]:
        for chat in channel.chats.values():
            message = channel.message(chat.id, post)
            if message is not None:
                return chat, message
        raise ServerError(404, "app.post.get.app_error")


def _refusal(error: ServerError) -> Answer:
    body: Json = {"id": error.code, "message": error.code, "request_id": "simulated", "status_code": error.status}
    return Answer(body, error.status, error=error.code)


def _refuse(fault: Fault) -> Answer:
    script = fault.script
    if script.kind == "rate_limited":
        wait_s = max(1, math.ceil(fault.wait_s(time.monotonic())))
        headers = {"Retry-After": str(wait_s), "X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "0"}
        return Answer({}, 429, headers, error=_LIMITED, retry_after_s=float(wait_s))
    if script.kind == "server_error":
        return _refusal(ServerError(script.status, "api.simulated.app_error"))
    return _refusal(ServerError(*NAMED.get(script.error, (400, script.error))))
