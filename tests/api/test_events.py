"""The publish API: typed events that change rows or go straight out, AnyCable's messages, and whose streams they reach."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast
from uuid import uuid4

import httpx2
import pytest
from fastapi import FastAPI
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from api.services import Services
from api.stream_owners import OWNERS
from db import session_views
from realtime.backlog import read_log
from realtime.keys import live_channel
from realtime.publish import MAX_EVENT_BYTES
from tests.api.conftest import Login, Person
from tests.api.devops import Json, make_factory, make_job, make_run, publish, register, view, waiting
from tests.api.test_isolation import talk
from tests.api.test_service_tokens import program
from tests.realtime.support import WAIT_S


async def logged(app: FastAPI, stream: str) -> list[Any]:
    """What a stream's log holds."""
    services: Services = app.state.services
    page = await read_log(services.redis, stream, count=100)
    return [json.loads(entry.payload) for entry in page.entries]


async def say(client: httpx2.AsyncClient, stream: str, data: str, **more: object) -> httpx2.Response:
    return await client.post("/api/v1/events/broadcast", json={"stream": stream, "data": data, **more})


async def conversation(app: FastAPI, person: Person) -> str:
    """Let somebody write; return the conversation's public id."""
    _, _, conversation_id = await talk(app, person)
    services: Services = app.state.services
    async with services.db.account(person.tenant.account_id) as conn:
        found = await session_views.find_conversation(conn, str(conversation_id))
    assert found is not None
    return found[1]


def account_stream(person: Person) -> str:
    return f"devops_account_{person.tenant.account_id}"


class TestRecorded:
    async def test_a_run_changes_its_row_and_leaves_an_event(self, app: FastAPI, login: Login) -> None:
        person = await login()
        run = await make_run(person)
        read = (await person.get(f"/devops/runs/{run['id']}")).json()["data"]["pipeline_run"]
        assert read == run
        assert await waiting(app, person) == 1
        answer = await publish(
            person.client, "PipelineRunUpdated", pipeline_id=run["pipeline_id"], external_id="1", status="success"
        )
        [item] = answer.json()["data"]["items"]
        assert (item["changed"], item["view"]["status"]) == (True, "success")
        assert item["streams"] == [f"devops_pipeline_{run['pipeline_id']}", account_stream(person)]
        assert await waiting(app, person) == 2

    async def test_its_event_leaves_at_once(self, app: FastAPI, login: Login) -> None:
        person = await login()
        services: Services = app.state.services
        services.dispatcher.start()
        async with services.redis.pubsub() as ear:  # pyright: ignore[reportUnknownMemberType]
            await ear.subscribe(live_channel(account_stream(person)))
            await ear.get_message(timeout=WAIT_S)
            run = await make_run(person)
            told = cast("dict[str, bytes]", await ear.get_message(ignore_subscribe_messages=True, timeout=WAIT_S))
        event = json.loads(told["data"].split(b"|", 4)[4])
        assert (event["type"], event["pipeline_run"]) == ("run_created", run)

    async def test_a_repeat_and_a_late_report_tell_nobody(self, app: FastAPI, login: Login) -> None:
        person = await login()
        run = await make_run(person, status="success")
        told = await waiting(app, person)
        for status in ("running", "success", "failure", "pending"):
            answer = await publish(
                person.client, "PipelineRunUpdated", pipeline_id=run["pipeline_id"], external_id="1", status=status
            )
            [item] = answer.json()["data"]["items"]
            assert (item["changed"], item["view"]) == (False, run)
        assert await waiting(app, person) == told

    async def test_two_pipelines_of_a_repository_number_their_runs_themselves(self, login: Login) -> None:
        person = await login()
        repo = await register(person)
        first, second = await make_run(person, repo.id), await make_run(person, repo.id)
        assert first["id"] != second["id"]
        assert (await person.get(f"/devops/runs/{first['id']}")).json()["data"]["pipeline_run"] == first

    async def test_a_list_is_taken_whole_or_not_at_all(self, app: FastAPI, login: Login) -> None:
        person = await login()
        fine = {"pipeline_external_id": "ci", "pipeline_name": "ci", "external_id": "1", "status": "running"}
        body = [
            {"name": "PipelineRunCreated", "payload": fine},
            {"name": "PipelineRunCreated", "payload": fine | {"status": "no such"}},
        ]
        answer = await person.post("/events", body)
        assert (answer.status_code, answer.json()["code"]) == (422, "VALIDATION_ERROR")
        assert answer.json()["details"]["errors"][0]["field"] == "payload.status"
        assert (await person.get("/devops/runs")).json()["data"]["items"] == []
        assert await waiting(app, person) == 0
        body[1]["payload"] = fine | {"external_id": "2"}
        assert (await person.post("/events", body)).status_code == 201
        assert (await person.get("/devops/runs")).json()["data"]["pagination"]["total_count"] == 2

    async def test_the_code_factory_is_recorded(self, login: Login) -> None:
        person = await login()
        contract, run, review = await make_factory(person)
        for path, name, made in (
            ("contracts", "contract", contract), ("runs", "run", run), ("review_states", "review_state", review),
        ):  # fmt: skip
            read = (await person.get(f"/ai/code_factory/{path}/{made['id']}")).json()["data"][name]
            assert read == made

    async def test_another_account_s_things_are_unknown(self, app: FastAPI, login: Login) -> None:
        mine, theirs = await login(), await login()
        job, (contract, run, _) = await make_job(theirs), await make_factory(theirs)
        repo = await register(theirs)
        told = await waiting(app, theirs)
        step = {"external_id": "1", "step_name": "s", "status": "running"}
        named = {"pipeline_external_id": "x", "pipeline_name": "x"}
        foreign: list[tuple[str, Json]] = [
            ("PipelineRunUpdated", {"pipeline_id": job["pipeline_id"], "external_id": "1", "status": "failure"}),
            ("PipelineRunCreated", named | {"repository_id": repo.id, "external_id": "1", "status": "failure"}),
            ("PipelineStepUpdated", step | {"pipeline_run_id": job["pipeline_run_id"]}),
            ("PipelineApprovalStatus", {"pipeline_id": job["pipeline_id"], "gate_name": "g", "status": "approved"}),
            ("GitJobStatus", {
                "pipeline_run_id": job["pipeline_run_id"], "external_id": "1", "name": "n", "status": "completed",
            }),
            ("GitJobLogChunk", {"job_id": job["id"], "offset": 0, "content": "x"}),
            ("GitJobLogComplete", {"job_id": job["id"]}),
            ("GitJobLogError", {"job_id": job["id"], "error": "x"}),
            ("CodeFactoryRunUpdated", {
                "external_id": "1", "title": "t", "status": "failure", "contract_id": contract["id"],
            }),
            ("CodeFactoryReviewStateUpdated", {"external_id": "1", "run_id": run["id"], "status": "approved"}),
        ]  # fmt: skip
        for name, payload in foreign:
            answer = await publish(mine.client, name, **payload)
            assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND"), (name, answer.text)
        assert await waiting(app, theirs) == told
        assert (await theirs.get(f"/devops/jobs/{job['id']}")).json()["data"]["job"] == job


class TestLogs:
    async def test_pieces_follow_each_other_without_a_gap(self, login: Login) -> None:
        person = await login()
        job = await make_job(person)

        async def append(offset: int, content: str, **more: object) -> httpx2.Response:
            return await publish(
                person.client, "GitJobLogChunk", job_id=job["id"], offset=offset, content=content, **more
            )

        async def read(**params: int) -> Json:
            return (await person.get(f"/devops/jobs/{job['id']}/logs", **params)).json()["data"]["log"]

        assert (await append(0, "grüße\x00\n")).json()["data"]["items"][0]["view"]["log_size"] == 9
        assert (await append(9, "more")).status_code == 201
        for offset, content in ((0, "grüße\x00\n"), (9, "more"), (0, "grüße\x00\nmore"), (10, "or"), (9, "")):
            answer = await append(offset, content)
            assert answer.json()["data"]["items"][0]["changed"] is False, (offset, content)
        for offset, content in ((14, "gap"), (9, "MORE"), (9, "more and more"), (12, "x"), (5, "")):
            answer = await append(offset, content)
            if not content:
                assert answer.status_code == 201
                continue
            assert answer.status_code == 409, (offset, content)
            assert answer.json()["details"] == {"expected_offset": 13}
        assert await read() == {
            "job_id": job["id"], "offset": 0, "content": "grüße\x1a\nmore", "next_offset": 13, "log_size": 13,
            "is_complete": False,
        }  # fmt: skip
        # 2 and 3 are the bytes of one character.
        assert [(await read(offset=at))["offset"] for at in (2, 3, 4, 99)] == [2, 2, 4, 13]
        cut = await read(offset=1, limit=4)
        assert (cut["content"], cut["next_offset"]) == ("rü", 4)
        assert (await append(13, "", is_complete=True)).json()["data"]["items"][0]["changed"] is True
        assert (await append(13, "after")).status_code == 409
        assert (await read(offset=13))["is_complete"] is True

    async def test_every_way_of_reading_gives_the_whole(self, login: Login) -> None:
        person = await login()
        job = await make_job(person)
        whole, at = "aé€😀\n" * 9, 0
        for size in (1, 4, 7, 3, 9, 2, 100):
            part = whole[at : at + size]
            offset = len(whole[:at].encode())
            await view(person.client, "GitJobLogChunk", job_id=job["id"], offset=offset, content=part)
            at += size
        for limit in range(4, 15):
            read, offset = "", 0
            while offset < len(whole.encode()):
                params = {"offset": offset, "limit": limit}
                log = (await person.get(f"/devops/jobs/{job['id']}/logs", **params)).json()["data"]["log"]
                assert log["next_offset"] > offset
                read, offset = read + log["content"], log["next_offset"]
            assert read == whole

    async def test_producers_that_race_make_one_log_without_a_gap(self, login: Login) -> None:
        person = await login()
        job = await make_job(person)
        lines = [f"line {n}\n" for n in range(6)]

        async def produce() -> set[int]:
            answers: set[int] = set()
            for number, line in enumerate(lines):
                offset = len("".join(lines[:number]))
                body = {"job_id": job["id"], "offset": offset, "content": line}
                answers.add((await publish(person.client, "GitJobLogChunk", **body)).status_code)
            return answers

        assert await asyncio.gather(*(produce() for _ in range(5))) == [{201}] * 5
        log = (await person.get(f"/devops/jobs/{job['id']}/logs")).json()["data"]["log"]
        assert log["content"] == "".join(lines)

    async def test_what_is_too_large_is_refused(self, login: Login) -> None:
        person = await login()
        job = await make_job(person)
        for content in ("x" * 40_000, "é" * 20_000):
            answer = await publish(person.client, "GitJobLogChunk", job_id=job["id"], offset=0, content=content)
            assert answer.status_code == 422, answer.text

    async def test_the_worst_piece_still_fits_into_one_event(self, login: Login) -> None:
        person = await login()
        job = await make_job(person)
        answer = await publish(person.client, "GitJobLogChunk", job_id=job["id"], offset=0, content="\x01" * 32_768)
        assert answer.status_code == 201, answer.text


class TestTyped:
    def typing(self, conversation_id: object) -> Json:
        return {
            "name": "TypingIndicator",
            "payload": {"conversation_id": conversation_id, "user_id": str(uuid4()), "user_name": "A", "typing": True},
        }

    def failed(self, conversation_id: object) -> Json:
        payload = {"conversation_id": conversation_id, "message": "No answer"}
        return {"name": "ConversationError", "payload": payload}

    async def test_is_checked_by_its_class_and_goes_to_its_own_streams(self, app: FastAPI, login: Login) -> None:
        person = await login()
        talk_id = await conversation(app, person)
        answer = await person.post("/events", self.failed(talk_id))
        assert answer.status_code == 201, answer.text
        [event] = await logged(app, f"ai_conversation_{talk_id}")
        assert (event["type"], event["message"], "timestamp" in event) == ("error", "No answer", True)
        assert (await person.post("/events", self.typing(talk_id))).status_code == 201
        assert len(await logged(app, f"ai_conversation_{talk_id}")) == 1

    async def test_a_repeat_is_published_once(self, app: FastAPI, login: Login) -> None:
        person = await login()
        talk_id = await conversation(app, person)
        body = self.failed(talk_id)
        for headers in ({"Idempotency-Key": "a"}, {"Idempotency-Key": "a"}, {"Idempotency-Key": "b"}):
            await person.client.post("/api/v1/events", json=body, headers=headers)
        await person.post("/events", [body | {"event_id": "c"}, body | {"event_id": "c"}])
        assert len(await logged(app, f"ai_conversation_{talk_id}")) == 3

    async def test_unknown_names_and_wrong_payloads_are_refused(self, login: Login) -> None:
        person = await login()
        wrong: tuple[Any, ...] = (
            {"name": "Nothing", "payload": {}},
            {"name": "ConversationError", "payload": {"message": "x"}},
            {"name": "ConversationError", "payload": {"conversation_id": "x", "message": "m", "more": 1}},
            {"name": "PipelineRunCreated", "payload": {"external_id": "1", "status": "running"}},
            {"payload": {}},
            [],
        )
        for body in wrong:
            answer = await person.post("/events", body)
            assert (answer.status_code, answer.json()["code"]) == (422, "VALIDATION_ERROR"), (body, answer.text)

    async def test_another_account_s_conversation_is_unknown(self, app: FastAPI, login: Login) -> None:
        mine, theirs = await login(), await login()
        talk_id = await conversation(app, theirs)
        for body in (self.failed(talk_id), self.failed("conv_none"), self.typing(talk_id)):
            answer = await mine.post("/events", body)
            assert (answer.status_code, answer.json()["error"]) == (404, "There is no such stream in your account")
        assert await logged(app, f"ai_conversation_{talk_id}") == []


class TestBroadcast:
    @pytest.mark.parametrize(
        ("data", "seen"),
        [('{"a":1}', {"a": 1}), ('"text"', "text"), ("plain words", "plain words"), ('{"a":\n 1}', {"a": 1})],
    )
    async def test_a_message_reaches_its_stream(self, app: FastAPI, login: Login, data: str, seen: object) -> None:
        person = await login()
        answer = await say(person.client, account_stream(person), data)
        assert (answer.status_code, answer.json()["data"]) == (201, {"published": 1})
        assert await logged(app, account_stream(person)) == [seen]

    async def test_meta_is_honoured(self, app: FastAPI, login: Login) -> None:
        person = await login()
        stream, services = account_stream(person), cast("Services", app.state.services)
        assert (await say(person.client, stream, "1", meta={"exclude_socket": "abc"})).status_code == 201
        assert (await say(person.client, stream, "2", meta={"transient": True})).status_code == 201
        page = await read_log(services.redis, stream, count=100)
        assert [(entry.payload, entry.exclude_sid) for entry in page.entries] == [(b"1", "abc")]
        for meta in ({"exclude_socket": "a|b"}, {"broadcast_type": "others"}):
            assert (await say(person.client, stream, "3", meta=meta)).status_code == 422

    async def test_a_list_goes_out_in_order_and_a_repeat_once(self, app: FastAPI, login: Login) -> None:
        person = await login()
        stream = account_stream(person)
        body = [{"stream": stream, "data": str(n)} for n in range(5)]
        for _ in range(2):
            answer = await person.client.post("/api/v1/events/broadcast", json=body, headers={"Idempotency-Key": "k"})
            assert answer.json()["data"] == {"published": 5}
        assert await logged(app, stream) == [0, 1, 2, 3, 4]

    async def test_too_large_a_message_is_refused_and_none_goes_out(self, app: FastAPI, login: Login) -> None:
        person = await login()
        stream = account_stream(person)
        body = [{"stream": stream, "data": "1"}, {"stream": stream, "data": json.dumps("x" * MAX_EVENT_BYTES)}]
        answer = await person.post("/events/broadcast", body)
        assert (answer.status_code, answer.json()["code"]) == (413, "EVENT_TOO_LARGE")
        assert await logged(app, stream) == []

    async def test_while_redis_is_away_it_says_so(self, app: FastAPI, login: Login, monkeypatch: Any) -> None:
        person = await login()

        async def away(*_: object, **__: object) -> object:
            raise RedisConnectionError

        monkeypatch.setattr(Redis, "execute_command", away)
        monkeypatch.setattr("realtime.publish.ask_many", away)
        answer = await say(person.client, account_stream(person), "1")
        assert answer.status_code == 503


class TestScope:
    async def test_a_program_stays_within_its_prefixes(self, app: FastAPI, login: Login) -> None:
        person = await login()
        run = await make_run(person)
        own = f"devops_pipeline_{run['pipeline_id']}"
        client = await program(app, person, own)
        assert (await say(client, own, "1")).status_code == 201
        assert (await say(client, account_stream(person), "1")).status_code == 403
        report = {"external_id": "1", "status": "running", "run_number": 8}
        answer = await publish(client, "PipelineRunUpdated", pipeline_id=run["pipeline_id"], **report)
        assert answer.status_code == 201
        other = await make_run(person)
        answer = await publish(client, "PipelineRunUpdated", pipeline_id=other["pipeline_id"], **report)
        assert answer.status_code == 403
        assert (await person.get(f"/devops/runs/{other['id']}")).json()["data"]["pipeline_run"] == other

    async def test_without_prefixes_or_permission_there_is_nothing(self, app: FastAPI, login: Login) -> None:
        person = await login()
        assert (await say(await program(app, person), account_stream(person), "1")).status_code == 403
        reader = await program(app, person, "devops_", permissions=("ai.agents.read",))
        assert (await say(reader, account_stream(person), "1")).status_code == 403

    async def test_a_prefix_never_opens_another_account(self, app: FastAPI, login: Login) -> None:
        mine, theirs = await login(), await login()
        talk_id = await conversation(app, theirs)
        [session] = (await theirs.get("/chat/sessions")).json()["data"]["items"]
        job, (contract, run, review) = await make_job(theirs), await make_factory(theirs)
        account_id = theirs.tenant.account_id
        streams = [
            f"ai_conversation_{talk_id}", f"chat_session_{session['id']}",
            f"chat_channel_{theirs.tenant.channel_id}", f"devops_pipeline_{job['pipeline_id']}",
            f"devops_account_{account_id}", f"git_job_logs:{job['id']}", f"code_factory:run:{run['id']}",
            f"code_factory:contract:{contract['id']}", f"code_factory:review_state:{review['id']}",
            f"code_factory:account:{account_id}",
        ]  # fmt: skip
        beginnings = tuple(OWNERS)
        assert all(any(stream.startswith(one) for stream in streams) for one in beginnings[:10])
        client = await program(app, mine, "a", "c", "d", "g", "realtime", "control", "_")
        for stream in (*streams, "realtime:control", "devops_account_", "anything", "git_job_logs:x"):
            answer = await say(client, stream, "1")
            assert answer.status_code == 404, (stream, answer.text)
            assert await logged(app, stream) == []
        for stream in streams:
            assert (await say(theirs.client, stream, "1")).status_code == 201, stream

    async def test_a_name_must_be_spelled_as_the_thing_s_own_stream(self, login: Login) -> None:
        person = await login()
        channel = str(person.tenant.channel_id)
        assert (await say(person.client, f"chat_channel_{channel}", "1")).status_code == 201
        for other in (channel.upper(), channel.replace("-", ""), f"{{{channel}}}", f"{channel} "):
            assert (await say(person.client, f"chat_channel_{other}", "1")).status_code == 404
