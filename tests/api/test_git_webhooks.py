"""Signed webhooks of git platforms: who may send them, what they change, and that late or repeated ones do no harm."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import text

from adapters import git
from api.services import Services
from domain.permissions import Role
from tests.api.conftest import Login, Person
from tests.api.devops import Json, Repo, deliver, event_of, fixture, register, signed, waiting

SECRET = "It's a Secret to Everybody"


async def send(person: Person, repo: Repo, *names: str) -> list[str]:
    """Deliver fixtures; return what became of each."""
    outcomes: list[str] = []
    for name in names:
        answer = await deliver(person.client, repo, event_of(name), fixture(repo.provider, name))
        assert answer.status_code == 200, answer.text
        outcomes.append(answer.json()["data"]["outcome"])
    return outcomes


async def items(person: Person, path: str) -> list[Json]:
    return (await person.get(path)).json()["data"]["items"]


async def only_run(person: Person) -> Json:
    [run] = await items(person, "/devops/runs")
    return run


async def only_job(person: Person) -> Json:
    [job] = await items(person, f"/devops/runs/{(await only_run(person))['id']}/jobs")
    return job


class TestVerify:
    def test_the_published_vector(self) -> None:
        """The example of docs.github.com, *Validating webhook deliveries*."""
        signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
        headers = {
            "x-hub-signature-256": [signature],
            "x-github-event": ["ping"],
            "x-github-delivery": ["72d3162e-cc78-11e3-81ab-4c9367dc0958"],
        }
        assert git.verify("github", headers, b"Hello, World!", SECRET).event == "ping"

    @pytest.mark.parametrize("provider", ["github", "gitea"])
    @pytest.mark.parametrize(
        "fault", ["none", "tampered", "truncated", "twice", "upper", "other", "empty", "reserialised"]
    )
    async def test_what_is_not_signed_so_is_refused(self, login: Login, provider: str, fault: str) -> None:
        person = await login()
        full_name = "octo-org/octo-repo" if provider == "github" else "ada/hello"
        repo = await register(person, provider, full_name)
        other = await register(person, provider, "ada/other")
        body = fixture(provider, "workflow_run_requested")
        headers: dict[str, str] = signed(other if fault == "other" else repo, "workflow_run", body)
        name = "X-Hub-Signature-256" if provider == "github" else "X-Gitea-Signature"
        sent: list[tuple[str, str]] = []
        if fault == "none":
            del headers[name]
        elif fault == "truncated":
            headers[name] = headers[name][:-1]
        elif fault == "upper":
            headers[name] = headers[name].upper()
        elif fault == "empty":
            headers[name] = ""
        elif fault == "twice":
            sent.append((name, headers[name]))
        elif fault == "tampered":
            body = body.replace(b"push", b"pull")
        elif fault == "reserialised":
            body = json.dumps(json.loads(body)).encode()
        answer = await person.client.post(repo.url, content=body, headers=[*headers.items(), *sent])
        assert (answer.status_code, answer.json()["code"]) == (401, "INVALID_SIGNATURE"), answer.text
        assert await items(person, "/devops/runs") == []

    async def test_an_unknown_token_and_an_old_one_are_not_found(self, login: Login) -> None:
        person = await login()
        repo = await register(person)
        renewed = (await person.post(f"/git/repositories/{repo.id}/renew")).json()["data"]
        answer = await deliver(person.client, repo, "ping", fixture("github", "ping"))
        assert answer.status_code == 404
        fresh = Repo(repo.id, "github", repo.full_name, renewed["webhook_url"], renewed["webhook_secret"])
        assert await send(person, fresh, "ping") == ["pong"]

    async def test_too_large_a_body_is_refused(self, login: Login) -> None:
        person = await login()
        repo = await register(person)
        answer = await deliver(person.client, repo, "push", b" " * ((1 << 20) + 1))
        assert answer.status_code == 413


class TestGithub:
    async def test_a_whole_run_becomes_rows(self, login: Login) -> None:
        person = await login()
        repo = await register(person)
        names = [
            "ping", "workflow_run_requested", "workflow_job_queued", "workflow_run_in_progress",
            "workflow_job_in_progress",
        ]  # fmt: skip
        assert await send(person, repo, *names) == ["pong", *["recorded"] * 4]
        run = await only_run(person)
        assert (run["status"], run["run_number"], run["trigger_type"], run["pipeline_name"]) == (
            "running", 562, "push", "test",
        )  # fmt: skip
        assert (run["progress_percentage"], run["current_step"]) == (50, "Run make test")
        assert await send(person, repo, "workflow_job_completed", "workflow_run_completed") == ["recorded"] * 2
        run, job = await only_run(person), await only_job(person)
        assert (run["status"], run["progress_percentage"], run["current_step"]) == ("failure", 100, None)
        assert (run["started_at"], run["completed_at"]) == ("2025-10-05T16:33:24Z", "2025-10-05T16:36:05Z")
        assert (job["status"], job["conclusion"], job["runner_name"]) == ("completed", "failure", "GitHub Actions 6")
        assert job["pipeline_id"] == run["pipeline_id"]
        steps = (await person.get(f"/devops/runs/{run['id']}")).json()["data"]["steps"]
        assert [(step["step_name"], step["status"]) for step in steps] == [
            ("Set up job", "success"), ("Run actions/checkout@v4", "success"), ("Run make test", "failure"),
            ("Post Run actions/checkout@v4", "skipped"),
        ]  # fmt: skip

    async def test_what_is_late_undoes_nothing(self, login: Login) -> None:
        person = await login()
        repo = await register(person)
        await send(person, repo, "workflow_run_completed", "workflow_job_completed")
        before = (await only_run(person), await only_job(person))
        await send(person, repo, "workflow_job_in_progress", "workflow_run_in_progress", "workflow_job_queued")
        await send(person, repo, "workflow_run_requested")
        assert (await only_run(person), await only_job(person)) == before

    async def test_a_job_that_comes_before_its_run_is_joined_to_it(self, login: Login) -> None:
        person = await login()
        repo = await register(person)
        await send(person, repo, "workflow_job_in_progress")
        early = await only_run(person)
        assert (early["status"], early["pipeline_name"], early["run_number"]) == ("running", "test", None)
        await send(person, repo, "workflow_run_in_progress")
        assert len(await items(person, "/devops/pipelines")) == 1
        late = await only_run(person)
        assert (late["id"], late["pipeline_id"], late["run_number"]) == (early["id"], early["pipeline_id"], 562)

    async def test_a_new_attempt_begins_anew(self, login: Login) -> None:
        person = await login()
        repo = await register(person)
        await send(person, repo, "workflow_job_completed", "workflow_run_completed", "workflow_run_second_attempt")
        run = await only_run(person)
        assert (run["attempt"], run["status"], run["completed_at"], run["progress_percentage"]) == (
            2,
            "running",
            None,
            0,
        )
        await send(person, repo, "workflow_run_completed")
        assert (await only_run(person))["status"] == "running"

    async def test_a_repeated_delivery_is_taken_once(self, app: FastAPI, login: Login) -> None:
        person = await login()
        repo = await register(person)
        body = fixture("github", "workflow_run_requested")
        answers = [await deliver(person.client, repo, "workflow_run", body, "one") for _ in range(3)]
        assert [answer.json()["data"]["outcome"] for answer in answers] == ["recorded", "repeated", "repeated"]
        assert await waiting(app, person) == 1

    async def test_other_events_and_other_repositories_are_counted(self, login: Login) -> None:
        person = await login()
        repo = await register(person, full_name="octo-org/another")
        assert await send(person, repo, "push", "workflow_run_requested") == ["ignored", "ignored"]
        [shown] = await items(person, "/git/repositories")
        assert (shown["ignored_events"], shown["last_event_at"]) == (2, None)
        assert await items(person, "/devops/runs") == []

    async def test_a_renamed_repository_is_known_by_its_id(self, login: Login) -> None:
        person = await login()
        repo = await register(person)
        await send(person, repo, "workflow_run_requested")
        body = fixture("github", "workflow_run_completed").replace(b"octo-org/octo-repo", b"octo-org/renamed")
        answer = await deliver(person.client, repo, "workflow_run", body)
        assert answer.json()["data"]["outcome"] == "recorded"
        assert (await items(person, "/git/repositories"))[0]["full_name"] == "octo-org/renamed"

    @pytest.mark.parametrize(
        "body", [b"payload=%7B%7D", b"[]", b"{}", b'{"workflow_run":{"id":1},"repository":{"id":1,"full_name":"a"}}']
    )
    async def test_what_cannot_be_understood_is_refused_and_may_be_sent_again(self, login: Login, body: bytes) -> None:
        person = await login()
        repo = await register(person)
        for _ in range(2):
            answer = await deliver(person.client, repo, "workflow_run", body, "same")
            assert (answer.status_code, answer.json()["code"]) == (422, "UNREADABLE_PAYLOAD")

    async def test_a_delivery_without_an_id_is_refused(self, login: Login) -> None:
        person = await login()
        repo = await register(person)
        body = fixture("github", "workflow_run_requested")
        headers = signed(repo, "workflow_run", body)
        del headers["X-GitHub-Delivery"]
        answer = await person.client.post(repo.url, content=body, headers=headers)
        assert answer.status_code == 422


class TestGitea:
    async def test_a_whole_run_becomes_rows(self, login: Login) -> None:
        person = await login()
        repo = await register(person, "gitea", "ada/hello")
        await send(person, repo, "workflow_run_requested", "workflow_job_waiting", "workflow_job_queued")
        run, job = await only_run(person), await only_job(person)
        assert (run["status"], run["started_at"], run["completed_at"]) == ("pending", None, None)
        assert (job["status"], job["started_at"]) == ("queued", None)
        await send(person, repo, "workflow_job_completed", "workflow_run_completed")
        run, job = await only_run(person), await only_job(person)
        assert (run["status"], run["duration_seconds"], run["pipeline_name"]) == ("success", 60.0, "ci.yml")
        assert (job["status"], job["conclusion"], job["pipeline_id"]) == ("completed", "success", run["pipeline_id"])

    async def test_a_job_before_its_run_moves_with_it_to_its_workflow(self, login: Login) -> None:
        person = await login()
        repo = await register(person, "gitea", "ada/hello")
        await send(person, repo, "workflow_job_queued")
        assert (await only_run(person))["pipeline_name"] == "Workflow"
        await send(person, repo, "workflow_run_completed")
        run, job = await only_run(person), await only_job(person)
        assert (run["pipeline_name"], run["status"], job["pipeline_id"]) == ("ci.yml", "success", run["pipeline_id"])


class TestTenants:
    async def test_the_same_repository_in_two_accounts_stays_apart(self, login: Login) -> None:
        mine, theirs = await login(), await login()
        own, foreign = await register(mine), await register(theirs)
        await send(mine, own, "workflow_run_completed")
        assert await items(theirs, "/devops/runs") == []
        body = fixture("github", "workflow_run_completed")
        headers = signed(own, "workflow_run", body)
        answer = await mine.client.post(foreign.url, content=body, headers=headers)
        assert answer.status_code == 401


class TestRegister:
    async def test_needs_the_permission_and_one_of_a_kind(self, login: Login) -> None:
        person, operator = await login(), await login(Role.OPERATOR)
        repo = await register(person)
        fields = {"provider": "github", "full_name": "Octo-Org/Octo-Repo"}
        assert (await person.post("/git/repositories", {"repository": fields})).status_code == 409
        assert (await operator.post("/git/repositories", {"repository": fields})).status_code == 403
        assert repo.secret not in (await person.get(f"/git/repositories/{repo.id}")).text

    async def test_the_secret_is_sealed_at_rest(self, app: FastAPI, login: Login) -> None:
        person = await login()
        repo = await register(person)
        services: Services = app.state.services
        async with services.db.account(person.tenant.account_id) as conn:
            row: Any = (
                await conn.execute(text("SELECT webhook_secret, webhook_token_hash FROM git_repositories"))
            ).one()
        assert repo.secret.encode() not in bytes(row.webhook_secret)
        assert repo.url.rpartition("/")[2].encode() not in bytes(row.webhook_token_hash)
