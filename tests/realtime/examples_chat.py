"""Examples of the channels about chats: a session in which somebody wrote, its conversation, the platform's account."""

from __future__ import annotations

from uuid import UUID, uuid4

from sqlalchemy import text

from db import ingest
from db.channels import find_channel
from db.ingest import RawWebhook
from db.session import Database
from tests.realtime.examples import Example, Params
from tests.tenants import inbound


async def _session(db: Database, account_id: UUID) -> UUID:
    """Let somebody new write to the account's first channel; returns the session's id."""
    async with db.account(account_id) as conn:
        token = (
            await conn.execute(text("SELECT webhook_token FROM chat_channels ORDER BY created_at LIMIT 1"))
        ).scalar_one()
    channel = await find_channel(db, token)
    assert channel is not None
    chat = uuid4().hex
    await ingest.store(db, channel, RawWebhook(b"{}", {}, "trace"), [inbound(1, chat=chat)])
    async with db.account(account_id) as conn:
        statement = text("SELECT id FROM chat_sessions WHERE session_key = :chat")
        return (await conn.execute(statement, {"chat": chat})).scalar_one()


async def session(db: Database, account_id: UUID) -> Params:
    return {"session_id": str(await _session(db, account_id))}


async def channel(db: Database, account_id: UUID) -> Params:
    async with db.account(account_id) as conn:
        return {"channel_id": str((await conn.execute(text("SELECT id FROM chat_channels LIMIT 1"))).scalar_one())}


async def conversation(db: Database, account_id: UUID) -> list[Params]:
    """By its public id, and by its row's."""
    statement = text(
        "SELECT c.id, c.conversation_id FROM ai_conversations c JOIN chat_sessions s ON s.ai_conversation_id = c.id"
        " WHERE s.id = :id"
    )
    session_id = await _session(db, account_id)
    async with db.account(account_id) as conn:
        row = (await conn.execute(statement, {"id": session_id})).one()
    return [{"conversation_id": row.conversation_id}, {"conversation_id": str(row.id)}]


async def nothing(_db: Database, _account_id: UUID) -> Params:
    """For channels that are about the caller's account and nothing else."""
    return {}


def examples() -> dict[str, Example]:
    return {
        "ChatSessionChannel": session,
        "ChatChannelChannel": channel,
        "AiConversationChannel": conversation,
        "McpChannel": nothing,
    }
