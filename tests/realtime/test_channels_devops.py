"""The channels of pipelines, job logs and the code factory, over a real socket, from real rows through the outbox."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast
from uuid import UUID, uuid4

import pytest
from redis.asyncio import Redis

from activities.dispatch import Dispatcher
from api.finders import FINDERS
from db import code_factory, git_jobs, pipeline_views, pipelines
from db.devops_rows import Recorded, one_writer
from db.session import Database
from domain.devops import (
    ContractReport,
    ContractStatus,
    FactoryRunReport,
    GateStatus,
    GitJobLogEndReport,
    GitJobLogErrorReport,
    GitJobLogReport,
    GitJobReport,
    JobStatus,
    PipelineGateReport,
    PipelineRunReport,
    PipelineStepReport,
    ReviewStateReport,
    ReviewStatus,
    RunStatus,
)
from domain.devops_views import FactoryContractView, FactoryRunView, GitJobView, ReviewStateView
from domain.permissions import Role
from realtime.channels.git_job_logs import REPLAY_BYTES
from tests.conftest import DatabaseUrls
from tests.realtime.cable import Cable, Client, Shelf, identifier, person, running_cable
from tests.realtime.examples_devops import examples, job_params, make_factory_run, make_job, make_run, run_report
from tests.tenants import make_tenant

V = TypeVar("V")
Json = dict[str, Any]


class Rows(Shelf):
    """What the api's own finders find."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database

    async def find(self, kind: type[V], account_id: UUID, key: str) -> V | None:
        async with self.database.account(account_id) as conn:
            return cast("V | None", await FINDERS[kind](conn, key))


@dataclass
class Desk:
    """A hub on real rows, for one account."""

    cable: Cable
    database: Database
    account_id: UUID
    dispatcher: Dispatcher

    async def record(self, what: Any, *reports: Any) -> list[Any]:
        """Record reports, and let their events leave."""
        views: list[Any] = []
        async with self.database.account(self.account_id) as conn:
            await one_writer(conn)
            recorded: list[Recorded[Any]] = [await what(conn, report) for report in reports]
        for one in recorded:
            views.append(one.view)
            for aggregate in one.aggregates:
                await self.dispatcher.dispatch(aggregate)
        return views


@pytest.fixture
async def desk(redis: Redis, database: Database, database_urls: DatabaseUrls) -> AsyncIterator[Desk]:
    async with running_cable(redis, things=Rows(database)) as cable:
        cable.account_id = (await make_tenant(database_urls.owner)).account_id
        dispatcher = Dispatcher(database, lambda: None, cable.publisher, task_queue="none")
        yield Desk(cable, database, cable.account_id, dispatcher)


async def greeted(client: Client, name: str) -> list[Json]:
    answer = await client.subscribe(name)
    assert answer["type"] == "confirm_subscription", answer
    return [cast("Json", frame["message"]) for frame in await client.settled()]


async def heard(client: Client) -> Json:
    return cast("Json", await client.message())


class TestDevopsPipeline:
    @pytest.mark.parametrize("whole_account", [True, False])
    async def test_greets_shows_runs_and_hears_of_them(self, desk: Desk, *, whole_account: bool) -> None:
        run = await make_run(desk.database, desk.account_id)
        elsewhere = {} if whole_account else {"pipeline_id": str(run.pipeline_id)}
        name = identifier("DevopsPipelineChannel", account_id=str(desk.account_id), **elsewhere)
        async with desk.cable.client(person(desk.account_id, Role.VIEWER)) as client:
            greeting, state = await greeted(client, name)
            assert (greeting["type"], greeting["pipeline_id"]) == ("subscribed", elsewhere.get("pipeline_id"))
            assert state["is_initial_status"]
            assert state["pipeline_runs"] == [run.model_dump(mode="json")]

    async def test_each_event_makes_of_the_old_view_what_is_read_anew(self, desk: Desk) -> None:
        name = identifier("DevopsPipelineChannel", account_id=str(desk.account_id))
        async with desk.cable.client() as client:
            await greeted(client, name)
            [run] = await desk.record(pipelines.report_run, run_report("1"))
            made = await heard(client)
            assert (made["type"], made["pipeline_run"]) == ("run_created", await fresh_run(desk, run.id))
            step = PipelineStepReport(
                pipeline_run_id=run.id, external_id="s", step_name="test", status=RunStatus.RUNNING
            )
            await desk.record(pipelines.report_step, step)
            stepped = await heard(client)
            assert stepped["type"] == "step_updated"
            assert stepped["pipeline_run"] == await fresh_run(desk, run.id)
            assert [stepped["step_execution"]] == await fresh_steps(desk, run.id)
            assert (stepped["progress_percentage"], stepped["pipeline_run"]["current_step"]) == (0, "test")
            over = run_report("1", status=RunStatus.SUCCESS, run_number=4)
            await desk.record(pipelines.report_run, over)
            ended = await heard(client)
            assert (ended["type"], ended["pipeline_run"]) == ("run_completed", await fresh_run(desk, run.id))
            gate = PipelineGateReport(pipeline_id=run.pipeline_id, gate_name="prod", status=GateStatus.PENDING)
            await desk.record(pipelines.report_gate, gate, gate)
            waits = await heard(client)
            assert (waits["type"], waits["status"], waits["gate_name"]) == ("approval_status", "pending", "prod")
            async with desk.database.account(desk.account_id) as conn:
                pipeline = await pipeline_views.pipeline(conn, run.pipeline_id)
            assert pipeline is not None
            assert waits["pipeline"] == pipeline.model_dump(mode="json")
            # A repeat and a late one tell nobody.
            await desk.record(pipelines.report_run, over, run_report("1"))
            assert await client.settled() == []

    async def test_runs_of_another_pipeline_are_not_heard(self, desk: Desk) -> None:
        run = await make_run(desk.database, desk.account_id)
        name = identifier("DevopsPipelineChannel", account_id=str(desk.account_id), pipeline_id=str(run.pipeline_id))
        other: PipelineRunReport = run_report("x", pipeline_external_id="other", pipeline_name="other")
        async with desk.cable.client() as client:
            await greeted(client, name)
            await desk.record(pipelines.report_run, other)
            assert await client.settled() == []


class TestGitJobLogs:
    async def test_shows_the_state_and_the_log_so_far_and_goes_on(self, desk: Desk) -> None:
        job = await make_job(desk.database, desk.account_id)
        await desk.record(git_jobs.append, piece(job, 0, "héllo\n"))
        name = identifier("GitJobLogsChannel", **job_params(job))
        async with desk.cable.client() as client:
            greeting, state, log = await greeted(client, name)
            assert (greeting["type"], greeting["job_id"]) == ("connection_established", str(job.id))
            assert (state["type"], state["payload"]) == ("job.status", {"status": "in_progress", "conclusion": None})
            assert state["job"] == await fresh_job(desk, job.id)
            assert (log["type"], log["payload"]["content"], log["next_offset"]) == ("log.chunk", "héllo\n", 7)
            await desk.record(git_jobs.append, piece(job, 7, "world"))
            live = await heard(client)
            assert live["payload"] == {"content": "world", "offset": 7, "chunk_size": 5, "is_complete": False}
            assert live["job"] == await fresh_job(desk, job.id)
            await desk.record(git_jobs.fail, GitJobLogErrorReport(job_id=job.id, error="The runner went away"))
            failed = await heard(client)
            assert (failed["type"], failed["payload"]) == ("log.error", {"error": "The runner went away"})
            assert failed["job"] == await fresh_job(desk, job.id)
            await desk.record(git_jobs.complete, GitJobLogEndReport(job_id=job.id))
            ended = await heard(client)
            assert (ended["type"], ended["payload"]["is_complete"]) == ("log.complete", True)
            assert ended["job"] == await fresh_job(desk, job.id)
            done = GitJobReport(
                pipeline_run_id=job.pipeline_run_id, external_id="1", name="build", status=JobStatus.COMPLETED,
                conclusion="success",
            )  # fmt: skip
            await desk.record(git_jobs.report, done)
            settled = await heard(client)
            assert settled["payload"] == {"status": "completed", "conclusion": "success"}
            assert settled["job"] == await fresh_job(desk, job.id)

    async def test_goes_on_from_an_offset_and_reads_again(self, desk: Desk) -> None:
        job = await make_job(desk.database, desk.account_id)
        await desk.record(git_jobs.append, piece(job, 0, "one "), piece(job, 4, "two "), piece(job, 8, "three"))
        name = identifier("GitJobLogsChannel", **job_params(job), offset=6)
        async with desk.cable.client() as client:
            *_, log = await greeted(client, name)
            assert (log["payload"]["offset"], log["payload"]["content"]) == (6, "o three")
            await client.perform(name, "refresh", offset=4)
            frames = [cast("Json", frame["message"]) for frame in await client.settled()]
            assert [frame["type"] for frame in frames] == ["job.status", "log.chunk"]
            assert frames[-1]["payload"]["content"] == "two three"

    async def test_a_long_log_comes_in_turns(self, desk: Desk) -> None:
        job = await make_job(desk.database, desk.account_id)
        line = "\x1b[32m" + "x" * 95 + "\n"
        whole = line * 20 * 1024
        size, step = len(whole.encode()), len(line) * 320
        reports = [piece(job, at, whole[at : at + step]) for at in range(0, size, step)]
        async with desk.database.account(desk.account_id) as conn:
            await one_writer(conn)
            for report in reports:
                await git_jobs.append(conn, report)
        name = identifier("GitJobLogsChannel", **job_params(job))
        async with desk.cable.client() as client:
            frames = (await greeted(client, name))[2:]
            read, turns = text_of(frames), 1
            while frames[-1]["has_more"]:
                assert len(json.dumps(frames)) < 2 * REPLAY_BYTES
                await client.perform(name, "refresh", offset=frames[-1]["next_offset"])
                frames = [cast("Json", frame["message"]) for frame in await client.settled()][1:]
                read, turns = read + text_of(frames), turns + 1
        assert read == whole
        assert turns > 3

    async def test_a_job_of_another_pipeline_or_repository_is_refused(self, desk: Desk) -> None:
        first = await make_job(desk.database, desk.account_id)
        second = await make_job(desk.database, desk.account_id)
        async with desk.cable.client() as client:
            for wrong in ("repository_id", "pipeline_id", "job_id"):
                params = job_params(first) | {wrong: job_params(second)[wrong]}
                answer = await client.subscribe(identifier("GitJobLogsChannel", **params))
                assert answer["type"] == "reject_subscription", wrong

    async def test_reading_pipelines_is_not_enough(self, desk: Desk) -> None:
        job = await make_job(desk.database, desk.account_id)
        async with desk.cable.client(person(desk.account_id, Role.VIEWER)) as client:
            answer = await client.subscribe(identifier("GitJobLogsChannel", **job_params(job)))
            assert answer["type"] == "reject_subscription"


class TestCodeFactory:
    async def test_each_event_makes_of_the_old_view_what_is_read_anew(self, desk: Desk) -> None:
        own = identifier("CodeFactoryChannel", type="account", id=str(desk.account_id))
        contract_report = ContractReport(external_id="c", name="A page", status=ContractStatus.ACTIVE)
        async with desk.cable.client() as client:
            assert await greeted(client, own) == []
            [contract] = await desk.record(code_factory.report_contract, contract_report)
            assert await heard(client) == told("contract_updated", await fresh(desk, FactoryContractView, contract.id))
            run_of = FactoryRunReport(
                external_id="r", title="Build", status=RunStatus.RUNNING, contract_id=contract.id, details={"a": [1]}
            )
            [run] = await desk.record(code_factory.report_run, run_of)
            assert await heard(client) == told("run_updated", await fresh(desk, FactoryRunView, run.id))
            asked = ReviewStateReport(run_id=run.id, external_id="v", status=ReviewStatus.IN_REVIEW)
            [review] = await desk.record(code_factory.report_review, asked)
            assert await heard(client) == told("review_state_updated", await fresh(desk, ReviewStateView, review.id))
            await desk.record(code_factory.report_run, run_of)
            await desk.record(code_factory.report_contract, contract_report)
            assert await client.settled() == []

    @pytest.mark.parametrize("kind", ["run", "contract", "review_state"])
    async def test_each_type_shows_its_thing_first(self, desk: Desk, kind: str) -> None:
        run = await make_factory_run(desk.database, desk.account_id)
        [contract] = await desk.record(
            code_factory.report_contract, ContractReport(external_id="c", name="n", status=ContractStatus.DRAFT)
        )
        [review] = await desk.record(
            code_factory.report_review, ReviewStateReport(run_id=run.id, external_id="v", status=ReviewStatus.PENDING)
        )
        wanted = {"run": run, "contract": contract, "review_state": review}[kind]
        async with desk.cable.client() as client:
            [state] = await greeted(client, identifier("CodeFactoryChannel", type=kind, id=str(wanted.id)))
        assert (state["event"], state["is_initial_status"]) == (f"{kind}_updated", True)
        assert state["payload"] == wanted.model_dump(mode="json")


class TestIsolation:
    @pytest.mark.parametrize("channel", list(examples()))
    async def test_foreign_unknown_and_malformed_look_the_same(
        self, desk: Desk, database_urls: DatabaseUrls, channel: str
    ) -> None:
        theirs = (await make_tenant(database_urls.owner)).account_id
        make = examples()[channel]
        own, foreign = await make(desk.database, desk.account_id), await make(desk.database, theirs)
        guessed = {key: str(uuid4()) if key != "type" else value for key, value in own.items()}
        wrong: Sequence[dict[str, object]] = (
            foreign,
            guessed,
            own | {key: value for key, value in foreign.items() if key in {"pipeline_id", "id", "job_id"}},
            dict.fromkeys(own, 7),
            {},
            own | {"more": 1},
        )
        async with desk.cable.client() as client:
            assert (await client.subscribe(identifier(channel, **own)))["type"] == "confirm_subscription"
            await client.settled()
            for params in wrong:
                name = identifier(channel, **params)
                assert await client.subscribe(name) == {"type": "reject_subscription", "identifier": name}, params

    async def test_another_account_s_streams_of_all_are_refused(self, desk: Desk, database_urls: DatabaseUrls) -> None:
        theirs = str((await make_tenant(database_urls.owner)).account_id)
        async with desk.cable.client() as client:
            for name in (
                identifier("DevopsPipelineChannel", account_id=theirs),
                identifier("CodeFactoryChannel", type="account", id=theirs),
                identifier("CodeFactoryChannel", type="everything", id=theirs),
            ):
                assert (await client.subscribe(name))["type"] == "reject_subscription"


def piece(job: GitJobView, offset: int, content: str) -> GitJobLogReport:
    return GitJobLogReport(job_id=job.id, offset=offset, content=content)


def text_of(frames: Sequence[Json]) -> str:
    return "".join(frame["payload"]["content"] for frame in frames)


class _Any:
    """Equal to any time."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str)

    def __hash__(self) -> int:
        return 0


def told(event: str, payload: Json) -> Json:
    details = {"timestamp": _Any(), "account_id": _Any()}
    return {"event": event, "payload": payload, **details}


async def fresh(desk: Desk, kind: type[Any], row_id: UUID) -> Json:
    async with desk.database.account(desk.account_id) as conn:
        return (await code_factory.get(conn, kind, row_id)).model_dump(mode="json")


async def fresh_run(desk: Desk, run_id: UUID) -> Json:
    async with desk.database.account(desk.account_id) as conn:
        view = await pipeline_views.run(conn, run_id)
    assert view is not None
    return view.model_dump(mode="json")


async def fresh_steps(desk: Desk, run_id: UUID) -> list[Json]:
    async with desk.database.account(desk.account_id) as conn:
        return [step.model_dump(mode="json") for step in await pipeline_views.steps(conn, run_id)]


async def fresh_job(desk: Desk, job_id: UUID) -> Json:
    async with desk.database.account(desk.account_id) as conn:
        return (await git_jobs.get(conn, job_id)).model_dump(mode="json")
