"""What git platforms send us of workflow runs and jobs: verify the raw bytes, record, then answer 2xx.

Recorded in one transaction with the delivery's id, so that a repeat changes nothing and what failed may be sent again.
"""

from __future__ import annotations

from typing import Any, Final

import structlog
from fastapi import APIRouter, Request

from adapters import git
from api.envelope import done
from api.raw import all_headers, read_body
from api.services import Services
from db import git_repositories
from db.devops_rows import one_writer
from db.outbox import Aggregate
from domain.errors import NotFoundError, SignatureError

log = structlog.get_logger()
router = APIRouter(prefix="/api/v1/git/webhooks", tags=["webhooks"])

LARGEST_BODY: Final = 1 << 20


async def _take(desk: Services, token: str, headers: git.Headers, body: bytes) -> tuple[str, list[Aggregate]]:
    """Record a webhook; return what became of it, and whose events wait."""
    async with desk.db.open() as conn:
        repository = await git_repositories.enter(conn, token)
        if repository is None:
            raise NotFoundError("No such webhook")
        secret = desk.box.open(repository.id, repository.webhook_secret).get(git_repositories.SECRET, "")
        delivery = git.verify(repository.provider, headers, body, secret)
        if delivery.event == "ping":
            return "pong", []
        parsed = git.parse(delivery.event, body, repository.id)
        await one_writer(conn)
        if not await git_repositories.is_new(conn, repository.id, delivery.delivery_id, delivery.event):
            return "repeated", []
        if parsed is None or not await git_repositories.is_called(conn, repository, parsed[0].id, parsed[0].full_name):
            await git_repositories.ignore(conn, repository.id)
            log.info("git_webhook.ignored", repository_id=str(repository.id), git_event=delivery.event)
            return "ignored", []
        return "recorded", list(await git_repositories.record(conn, repository, parsed[1]))


@router.post("/{token}", summary="Receive a git platform's webhook")
async def receive_git(token: str, request: Request) -> dict[str, Any]:
    """`data.outcome`: `recorded`, `repeated` (this delivery came before), `ignored` (an event, or a repository, that we
    have no use for) or `pong`. 401 for a wrong signature, 404 for an unknown token, 413 over 1 MiB, 422 for what cannot
    be understood, 503 when it could not be stored: send it again.
    """
    desk: Services = request.app.state.services
    headers = all_headers(request.headers.raw)
    body = await read_body(headers, request.receive, LARGEST_BODY)
    try:
        outcome, aggregates = await _take(desk, token, headers, body)
    except (NotFoundError, SignatureError) as error:
        await desk.webhooks.failures.refused(desk.client_ip(request), error)
        raise
    for aggregate in aggregates:
        desk.dispatcher.notify(aggregate)
    return done(outcome=outcome)
