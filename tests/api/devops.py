"""Repositories, pipelines, jobs and code factory runs, made over the api as a producer makes them; signed webhooks."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
from fastapi import FastAPI
from sqlalchemy import text

from api.services import Services
from tests.api.conftest import Person

FIXTURES = Path(__file__).parent.parent / "fixtures"
Json = dict[str, Any]


async def publish(client: httpx2.AsyncClient, event: str, /, **payload: object) -> httpx2.Response:
    """Publish one typed event."""
    plain = {key: str(value) if isinstance(value, UUID) else value for key, value in payload.items()}
    return await client.post("/api/v1/events", json={"name": event, "payload": plain})


async def view(client: httpx2.AsyncClient, event: str, /, **payload: object) -> Json:
    """Publish one and return the state that it left."""
    answer = await publish(client, event, **payload)
    assert answer.status_code == 201, answer.text
    return answer.json()["data"]["items"][0]["view"]


@dataclass(frozen=True)
class Repo:
    """A registered repository with its keys."""

    id: str
    provider: str
    full_name: str
    url: str
    secret: str


async def register(person: Person, provider: str = "github", full_name: str = "octo-org/octo-repo") -> Repo:
    body = {"repository": {"provider": provider, "full_name": full_name}}
    answer = await person.post("/git/repositories", body)
    assert answer.status_code == 201, answer.text
    data = answer.json()["data"]
    return Repo(data["repository"]["id"], provider, full_name, data["webhook_url"], data["webhook_secret"])


def fixture(provider: str, name: str) -> bytes:
    return (FIXTURES / provider / f"{name}.json").read_bytes()


def event_of(name: str) -> str:
    """`workflow_job_completed` → `workflow_job`."""
    return "_".join(name.split("_")[:2]) if name.startswith("workflow") else name


def signed(repo: Repo, event: str, body: bytes, delivery: str | None = None) -> dict[str, str]:
    """The headers of a platform that signs."""
    signature = hmac.new(repo.secret.encode(), body, hashlib.sha256).hexdigest()
    delivery_id = delivery or str(uuid4())
    if repo.provider == "github":
        own = {"X-Hub-Signature-256": f"sha256={signature}", "X-GitHub-Event": event, "X-GitHub-Delivery": delivery_id}
    else:
        own = {"X-Gitea-Signature": signature, "X-Gitea-Event": event, "X-Gitea-Delivery": delivery_id}
        own |= {"X-GitHub-Event": event, "X-GitHub-Delivery": delivery_id}
    return own | {"Content-Type": "application/json"}


async def deliver(
    client: httpx2.AsyncClient, repo: Repo, event: str, body: bytes | Json, delivery: str | None = None
) -> httpx2.Response:
    """Send a webhook as the repository's platform would."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await client.post(repo.url, content=raw, headers=signed(repo, event, raw, delivery))


async def make_run(person: Person, repository_id: str | None = None, **more: object) -> Json:
    """A run of a pipeline."""
    wanted: Json = {"pipeline_external_id": uuid4().hex, "pipeline_name": "ci", "external_id": "1", "status": "running"}
    return await view(person.client, "PipelineRunCreated", repository_id=repository_id, **(wanted | more))


async def make_job(person: Person) -> Json:
    """A job of a run in a repository."""
    repo = await register(person, full_name=f"a/{uuid4().hex}")
    run = await make_run(person, repo.id)
    return await view(
        person.client, "GitJobStatus", pipeline_run_id=run["id"], external_id="j1", name="build", status="in_progress"
    )


async def make_factory(person: Person) -> tuple[Json, Json, Json]:
    """A contract, a run that fulfils it, a review of the run."""
    client = person.client
    contract = await view(client, "CodeFactoryContractUpdated", external_id="c1", name="A page", status="active")
    run = await view(
        client, "CodeFactoryRunUpdated", external_id="r1", title="Build", status="running", contract_id=contract["id"]
    )
    review = await view(client, "CodeFactoryReviewStateUpdated", external_id="v1", run_id=run["id"], status="in_review")
    return contract, run, review


async def devops_ids(person: Person) -> dict[str, UUID | str]:
    """One of each, by the names that the routes use."""
    job = await make_job(person)
    contract, run, review = await make_factory(person)
    fields = {"name": "n", "permissions": ["events.publish"]}
    token = await person.post("/service_tokens", {"service_token": fields})
    return {
        "repository_id": job["repository_id"],
        "pipeline_id": job["pipeline_id"],
        "pipeline_run_id": job["pipeline_run_id"],
        "job_id": job["id"],
        "factory_contract_id": contract["id"],
        "factory_run_id": run["id"],
        "review_state_id": review["id"],
        "service_token_id": token.json()["data"]["service_token"]["id"],
    }


async def waiting(app: FastAPI, person: Person) -> int:
    """How many events wait to leave; nothing takes them, for the api's background has not begun."""
    services: Services = app.state.services
    async with services.db.account(person.tenant.account_id) as conn:
        found = await conn.execute(text("SELECT count(*) FROM outbox"))
        return int(found.scalar_one())
