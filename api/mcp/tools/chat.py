"""Tools about chats: find sessions and words, read them, answer as an operator, see how the channels are."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from api.mcp.tool import Args, Call, Result, Tool
from api.messages import send_as_operator
from db import channel_status, channel_views, message_search, message_views, session_views
from domain.channel import ChannelStatus
from domain.errors import NotFoundError
from domain.permissions import Permission
from domain.session import SessionStatus
from domain.views import (
    ChannelSummaryView,
    ConversationMessageView,
    MessageView,
    SessionDetailsView,
    SessionView,
)

Limit = Annotated[int, Field(25, ge=1, le=100, description="How many at most.")]
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=200)]


class SearchSessions(Args):
    """Which sessions."""

    channel_id: UUID | None = None
    status: SessionStatus | None = None
    platform_user_id: str | None = Field(None, max_length=255, description="The person's id on the platform.")
    active_only: bool = False
    since: datetime | None = Field(None, description="Only with activity since then.")
    limit: Limit = 25
    offset: int = Field(0, ge=0, le=100_000)


class Sessions(Result):
    """A page, the latest activity first, and how many there are."""

    sessions: list[SessionView]
    total: int


async def _search_sessions(call: Call, args: SearchSessions) -> Sessions:
    async with call.services.db.account(call.principal.account_id) as conn:
        items, total = await session_views.listing(
            conn,
            channel_id=args.channel_id,
            status=args.status,
            user=args.platform_user_id,
            since=args.since,
            active=args.active_only,
            limit=args.limit,
            offset=args.offset,
        )
    return Sessions(sessions=items, total=total)


class OfSession(Args):
    """Which session."""

    session_id: UUID


class Session(Result):
    """A session in full."""

    session: SessionDetailsView


async def _get_session(call: Call, args: OfSession) -> Session:
    async with call.services.db.account(call.principal.account_id) as conn:
        return Session(session=await session_views.get(conn, args.session_id))


class ListMessages(Args):
    """Which messages; `before` is the id of the oldest one that is known."""

    session_id: UUID
    before: UUID | None = None
    limit: Limit = 25


class Messages(Result):
    """Messages, the newest first."""

    messages: list[MessageView]


async def _list_messages(call: Call, args: ListMessages) -> Messages:
    async with call.services.db.account(call.principal.account_id) as conn:
        if args.before is None:
            items, _ = await message_views.listing(conn, args.session_id, limit=args.limit)
        else:
            items, _ = await message_views.beside(conn, args.session_id, args.before, newer=False, limit=args.limit)
    return Messages(messages=items)


class SearchMessages(Args):
    """Which words to look for, anywhere in a message, in any case."""

    words: Words
    session_id: UUID | None = None
    since: datetime | None = Field(None, description="Only messages since then; 30 days back where nothing is said.")
    limit: Limit = 25


async def _search_messages(call: Call, args: SearchMessages) -> Messages:
    async with call.services.db.account(call.principal.account_id) as conn:
        found = await message_search.search(
            conn, args.words, session_id=args.session_id, since=args.since, limit=args.limit
        )
    return Messages(messages=found)


class ReadConversation(Args):
    """Which conversation, by its id or public id; `before` or `after` is a sequence number."""

    conversation_id: str = Field(min_length=1, max_length=64)
    before: int | None = Field(None, ge=0, le=2**62)
    after: int | None = Field(None, ge=0, le=2**62)
    limit: Limit = 25


class Conversation(Result):
    """Messages of a conversation, the oldest first."""

    conversation_id: str
    messages: list[ConversationMessageView]


async def read_conversation(call: Call, args: ReadConversation) -> Conversation:
    """Read a conversation. Raises NotFoundError."""
    async with call.services.db.account(call.principal.account_id) as conn:
        found = await session_views.find_conversation(conn, args.conversation_id)
        if found is None:
            raise NotFoundError("No such conversation")
        items = await message_views.of_conversation(
            conn, found[0], before=args.before, after=args.after, limit=args.limit
        )
    return Conversation(conversation_id=found[1], messages=items)


class SendMessage(Args):
    """What to say. A repeat under the same `client_id` is sent once."""

    session_id: UUID
    content: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=32_000)]
    client_id: str = Field(min_length=1, max_length=64, description="A key of your choice for this message.")


class Sent(Result):
    """The message as it is stored; its delivery follows."""

    message: MessageView


async def _send_message(call: Call, args: SendMessage) -> Sent:
    view = await send_as_operator(call.services, call.principal, args.session_id, args.content, args.client_id)
    return Sent(message=view)


class ListChannels(Args):
    """Which channels."""

    platform: str | None = Field(None, max_length=40)
    status: ChannelStatus | None = None
    limit: Limit = 25


class Channels(Result):
    """Channels, newest first, and how many there are."""

    channels: list[ChannelSummaryView]
    total: int


async def _list_channels(call: Call, args: ListChannels) -> Channels:
    async with call.services.db.account(call.principal.account_id) as conn:
        items, total = await channel_views.listing(
            conn, platform=args.platform, status=args.status, active=False, limit=args.limit, offset=0
        )
    return Channels(channels=items, total=total)


class OfChannel(Args):
    """Which channel."""

    channel_id: UUID


class Channel(Result):
    """A channel as it is now."""

    channel: ChannelSummaryView


async def show_channel(call: Call, args: OfChannel) -> Channel:
    """Show a channel. Raises NotFoundError."""
    async with call.services.db.account(call.principal.account_id) as conn:
        found = await channel_status.find(conn, args.channel_id)
    if found is None:
        raise NotFoundError("No such channel")
    return Channel(channel=found)


_READ = Permission.SESSIONS_READ
TOOLS = (
    Tool(
        "search_sessions", "List chat sessions, the latest activity first.", SearchSessions, Sessions, _READ,
        _search_sessions,
    ),
    Tool("get_session", "Show a chat session in full.", OfSession, Session, _READ, _get_session),
    Tool("list_messages", "Read a session's messages, newest first.", ListMessages, Messages, _READ, _list_messages),
    Tool("search_messages", "Find messages by words in them.", SearchMessages, Messages, _READ, _search_messages),
    Tool(
        "read_conversation", "Read the AI conversation behind a session, oldest first.", ReadConversation,
        Conversation, Permission.CONVERSATIONS_READ, read_conversation,
    ),
    Tool(
        "send_message", "Answer the person of a session as an operator.", SendMessage, Sent,
        Permission.SESSIONS_REPLY, _send_message, writes=True,
    ),
    Tool(
        "list_channels", "List the connected platform accounts.", ListChannels, Channels, Permission.CHANNELS_READ,
        _list_channels,
    ),
    Tool(
        "channel_status", "Show whether a channel is connected, and its counts.", OfChannel, Channel,
        Permission.CHANNELS_READ, show_channel,
    ),
)  # fmt: skip
