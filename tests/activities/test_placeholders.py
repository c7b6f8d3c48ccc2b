"""A placeholder becomes the reply, against a scripted platform, in every state in which a worker may have left it."""

from __future__ import annotations

from uuid import UUID

import pytest
from fastapi import FastAPI

from activities.placeholders import Placeholders
from tests.activities.test_delivery import ACCEPTED, Case, case
from tests.adapters.support import Drop, FakeServer, Reply
from tests.api.test_sessions import agent_reply
from tests.contract.test_send import telegram

__all__ = ["case"]

EDITED = Reply(200, {"ok": True, "result": {"message_id": 5}})
PREVIEW = """
    INSERT INTO reply_previews (turn_id, account_id, session_id, channel_id, status, fence, reply_to, nonce, body,
        platform_message_id, due_at)
    SELECT m.turn_id, m.account_id, m.session_id, m.channel_id, '{status}', 1, m.reply_to, 'n', 'so far', {id},
        now() + interval '{due}'
    FROM chat_messages m WHERE m.turn_id IS NOT NULL AND m.direction = 'outbound'
"""
WITH_BUTTONS = (
    'UPDATE message_deliveries SET payload = \'{"kind": "buttons", "buttons": [{"label": "Yes", "value": "yes"}]}\'::jsonb'
    " WHERE part_no = 1"
)


@pytest.fixture
async def reply(case: Case, app: FastAPI) -> str:
    """An agent's reply of one part that waits."""
    messages = (await case.person.get(f"/chat/sessions/{case.session_id}/messages")).json()["data"]["items"]
    message_id = str(await agent_reply(app, case.person, case.session_id, UUID(messages[0]["id"])))
    await run(case, "UPDATE message_deliveries SET status = 'queued'")
    await run(case, "DELETE FROM message_deliveries WHERE part_no > 1")
    return message_id


async def run(case: Case, statement: str) -> None:
    async with case.services.db.account(case.person.tenant.account_id) as conn:
        await conn.exec_driver_sql(statement)


async def leave(case: Case, status: str, message_id: str | None = None, due: str = "0 seconds") -> None:
    """Leave a placeholder as a worker did that is dead by now."""
    named = "NULL" if message_id is None else f"'{message_id}'"
    await run(case, PREVIEW.format(status=status, id=named, due=due))


async def left(case: Case) -> list[str]:
    async with case.services.db.account(case.person.tenant.account_id) as conn:
        return [row[0] for row in await conn.exec_driver_sql("SELECT status FROM reply_previews")]


def asked(server: FakeServer) -> list[str]:
    return [request.target.rpartition("/")[2] for request in server.received]


class TestReplace:
    async def test_the_reply_takes_its_place(self, case: Case, server: FakeServer, reply: str) -> None:
        await leave(case, "shown", "5")
        server.will(EDITED)
        assert (await case.deliver(reply)).settled
        assert (asked(server), server.received[0].json["text"]) == (["editMessageText"], "a")
        [part] = await case.parts(reply)
        assert (part["status"], part["platform_message_id"], await left(case)) == ("sent", "5", [])

    async def test_an_edit_whose_answer_was_lost_is_made_again(
        self, case: Case, server: FakeServer, reply: str
    ) -> None:
        await leave(case, "shown", "5")
        server.will(Drop(), EDITED)
        first = await case.deliver(reply)
        assert (first.settled, first.error_class) == (False, "transient")
        await run(case, "UPDATE message_deliveries SET next_attempt_at = NULL")
        assert (await case.deliver(reply)).settled
        assert asked(server) == ["editMessageText"] * 2

    async def test_an_edit_that_a_dead_worker_began_is_made_again(
        self, case: Case, server: FakeServer, reply: str
    ) -> None:
        await leave(case, "shown", "5")
        await run(
            case,
            "UPDATE message_deliveries SET status = 'attempting', claim_id = gen_random_uuid(), first_attempt_at = now(),"
            " deadline_at = now() - interval '1 hour'",
        )
        server.will(EDITED)
        assert (await case.deliver(reply)).settled
        assert asked(server) == ["editMessageText"]
        assert [part["status"] for part in await case.parts(reply)] == ["sent"]

    async def test_one_that_is_gone_makes_room_for_the_whole_reply(
        self, case: Case, server: FakeServer, reply: str
    ) -> None:
        await leave(case, "shown", "5")
        gone = telegram(400, "Bad Request: message to edit not found")
        server.will(gone, telegram(400, "Bad Request: message to delete not found"), ACCEPTED)
        assert (await case.deliver(reply)).settled
        assert asked(server) == ["editMessageText", "deleteMessage", "sendMessage"]
        [part] = await case.parts(reply)
        assert (part["status"], part["platform_message_id"], part["error_code"]) == ("sent", "9", None)

    async def test_what_carries_more_than_text_is_sent_when_it_is_out_of_the_way(
        self, case: Case, server: FakeServer, reply: str
    ) -> None:
        await leave(case, "shown", "5")
        await run(case, WITH_BUTTONS)
        # The deletion's own answer is lost first: until it is known to be gone nothing is sent beside it.
        server.will(Drop(), Reply(200, {"ok": True, "result": True}), ACCEPTED)
        first = await case.deliver(reply)
        assert (first.settled, first.error_class, asked(server)) == (False, "transient", ["deleteMessage"])
        await run(case, "UPDATE message_deliveries SET next_attempt_at = NULL")
        assert (await case.deliver(reply)).settled
        assert asked(server) == ["deleteMessage", "deleteMessage", "sendMessage"]
        assert b'"callback_data":"yes"' in server.received[-1].body.replace(b" ", b"")
        [part] = await case.parts(reply)
        assert (part["status"], part["platform_message_id"], part["error_code"]) == ("sent", "9", None)
        assert await left(case) == []

    async def test_one_that_can_be_neither_changed_nor_deleted_is_said_to_be_left(
        self, case: Case, server: FakeServer, reply: str
    ) -> None:
        await leave(case, "shown", "5")
        old = telegram(400, "Bad Request: message can't be edited")
        server.will(old, telegram(400, "Bad Request: message can't be deleted"), ACCEPTED)
        assert (await case.deliver(reply)).settled
        [part] = await case.parts(reply)
        assert (part["status"], part["error_code"], await left(case)) == ("sent", "placeholder_left", ["left"])

    async def test_one_of_which_nobody_can_tell_is_said_to_be_left(
        self, case: Case, server: FakeServer, reply: str
    ) -> None:
        await leave(case, "sending")
        server.will(ACCEPTED)
        assert (await case.deliver(reply)).settled
        assert asked(server) == ["sendMessage"]
        [part] = await case.parts(reply)
        assert (part["status"], part["error_code"], await left(case)) == ("sent", "placeholder_left", ["lost"])

    async def test_nothing_is_asked_while_it_may_still_be_under_way(
        self, case: Case, server: FakeServer, reply: str
    ) -> None:
        await leave(case, "sending", due="1 minute")
        result = await case.deliver(reply)
        assert (result.settled, result.error_class, server.received) == (False, "transient", [])


class TestSweep:
    async def test_a_person_who_took_over_finds_it_deleted(self, case: Case, server: FakeServer, reply: str) -> None:
        await leave(case, "shown", "5")
        await run(case, "UPDATE chat_sessions SET owner = 'human'")
        assert (await case.deliver(reply)).settled
        assert server.received == []
        server.will(Reply(200, {"ok": True, "result": True}))
        assert await Placeholders(case.services.db, case.services.channels).sweep() >= 1
        assert (asked(server), await left(case)) == (["deleteMessage"], [])

    async def test_what_could_not_be_deleted_just_now_is_tried_later(
        self, case: Case, server: FakeServer, reply: str
    ) -> None:
        await leave(case, "shown", "5")
        await run(case, "UPDATE chat_sessions SET owner = 'human'")
        await case.deliver(reply)
        server.will(Reply(502, b"bad gateway"), Reply(200, {"ok": True, "result": True}))
        placeholders = Placeholders(case.services.db, case.services.channels)
        await placeholders.sweep()
        assert await left(case) == ["leaving"]
        await placeholders.sweep()
        assert asked(server) == ["deleteMessage"]
        await run(case, "UPDATE reply_previews SET due_at = now() - interval '1 second'")
        await placeholders.sweep()
        assert (asked(server), await left(case)) == (["deleteMessage"] * 2, [])

    async def test_one_whose_reply_is_settled_is_forgotten_and_not_deleted(
        self, case: Case, server: FakeServer, reply: str
    ) -> None:
        server.will(Reply(200, {"ok": True, "result": True}))
        await leave(case, "shown", "5")
        assert (await case.deliver(reply)).settled
        # As where the worker died between the settled part and the forgetting.
        await leave(case, "shown", "5")
        asked_before, placeholders = asked(server), Placeholders(case.services.db, case.services.channels)
        await placeholders.sweep()
        assert await left(case) == ["shown"]
        await run(case, "UPDATE message_deliveries SET settled_at = settled_at - interval '2 minutes'")
        await placeholders.sweep()
        assert (asked(server), await left(case)) == (asked_before, [])
