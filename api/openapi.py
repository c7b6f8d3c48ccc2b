"""How the API describes itself at `/openapi.json`: what each route answers, and how it refuses.

`shows("Channel", channel=ChannelView)` on a route documents its `data`; refusals are added here by rule, for all routes.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final, Literal, cast

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel, create_model

from api.envelope import ErrorEnvelope

DESCRIPTION: Final = """
People write to an organisation on chat platforms, AI agents answer, operators watch and take over.

Every answer is `{success, data, message?}`; every refusal `{success: false, error, code, details?}`: `code` is for
programs, `error` for people. Lists take `page` and `per_page` (at most 100) and answer `data.items` and
`data.pagination`. Every view that changes carries a growing `version`: an older one never replaces a newer one.

Authenticate with `Authorization: Bearer <access token>` from `POST /api/v1/auth/login`, or with a service token.
Live events come over `/cable` (protocol `actioncable-v1-json`), with the same views.
"""
TAGS: Final = [
    {"name": "auth", "description": "Log in, stay logged in, log out."},
    {"name": "channels", "description": "Connections to chat platforms: create, connect, test, what was set aside."},
    {"name": "sessions", "description": "Conversations with people: find, take over, hand back, close, block."},
    {"name": "messages", "description": "What was said: read, answer as an operator, send again."},
    {"name": "blacklists", "description": "Who may not write to us."},
    {"name": "conversations", "description": "The agents' side of a session."},
    {"name": "agents", "description": "The AI agents that answer."},
    {"name": "approvals", "description": "Tool calls of agents that wait for a person's word."},
    {"name": "budgets", "description": "What the agents may spend, in tokens: set, watch, lift."},
    {"name": "missions", "description": "What agents are at for longer: phases, gates, what came of them."},
    {"name": "teams", "description": "Teams of agents, their executions, what is said in their channels."},
    {"name": "notifications", "description": "What the caller is told."},
    {"name": "analytics", "description": "Figures of the account, alerts on them, what it pays."},
    {
        "name": "runs",
        "description": "Workflows, runs, executions, loops, batches, breakers, worktrees: how they stand.",
    },
    {"name": "webhooks", "description": "Where platforms send what people write; proven by their signatures."},
    {"name": "operations", "description": "One message's story, and what needs a person."},
    {"name": "devops", "description": "Repositories, pipelines, jobs and their logs."},
    {"name": "code_factory", "description": "The code factory's runs, contracts and reviews."},
    {"name": "events", "description": "Programs say what happened: typed events, or messages on a stream."},
    {"name": "realtime", "description": "Who is connected just now, what they hear; send them away."},
    {"name": "health", "description": "For load balancers and supervisors."},
]
_WORDS: Final = {
    401: "No, or no valid, token",
    403: "A permission is missing; the message names it",
    404: "Nothing with this id in your account",
    409: "Somebody else changed it first, or it makes no sense now",
    413: "The body is too large",
    422: "The input does not fit; `details.errors` says where",
    429: "Too many failed tries from this address; `Retry-After` says when to come back",
    503: "A part does not answer just now; try again after `Retry-After`",
}
_SPECIAL: Final = {
    "/api/v1/auth/login": (401, 422, 429, 503),
    "/api/v1/auth/refresh": (401, 503),
    "/api/v1/chat/attachments/{attachment_id}/download": (403, 404, 422, 503),
    "/api/v1/chat/webhooks/{token}": (401, 404, 413, 429, 503),
    "/api/v1/git/webhooks/{token}": (401, 404, 413, 422, 429, 503),
}
_SCHEMAS: Final = "#/components/schemas/"


class Pagination(BaseModel):
    """Which page this is, of how many."""

    current_page: int
    per_page: int
    total_pages: int
    total_count: int


class Cursors(BaseModel):
    """What to ask for next: `before=oldest_cursor` or `after=newest_cursor`."""

    per_page: int
    oldest_cursor: str | None
    newest_cursor: str | None
    has_older: bool
    has_newer: bool


def shows(name: str, status: int = 200, /, **data: Any) -> dict[int | str, dict[str, Any]]:
    """Document a route's answer. `name`: of its schema; `data`: field -> type. None given: a message only."""
    fields: Any = {field: (kind, ...) for field, kind in (data or {"message": str}).items()}
    inner = create_model(f"{name}Data", **fields)
    body: dict[str, Any] = {"success": (Literal[True], ...), "data": (inner, ...), "message": (str | None, None)}
    return {status: {"model": create_model(f"{name}Answer", **body), "description": "Done"}}


def listed(name: str, view: type[BaseModel], pagination: Any = Pagination) -> dict[int | str, dict[str, Any]]:
    """Document a route that answers a page of views."""
    return shows(name, items=list[view], pagination=pagination)


def operation_id(route: APIRoute) -> str:
    """Name an operation for generated clients: `channels_show_get`."""
    return f"{route.tags[0]}_{route.name}_{min(route.methods or {'get'}).lower()}"


def _refusals(path: str, method: str, operation: dict[str, Any]) -> tuple[int, ...]:
    if path in _SPECIAL:
        return _SPECIAL[path]
    if "security" not in operation:
        return (503,)
    found = [401, 403, 422, 503]
    found += [404] if "{" in path or method != "get" else []
    found += [409] if method != "get" else []
    return tuple(sorted(found))


def _tidy(path: str, method: str, operation: dict[str, Any]) -> None:
    answers: dict[str, dict[str, Any]] = operation["responses"]
    for answer in answers.values():
        for content in answer.get("content", {}).values():
            # FastAPI lays the documented model over the shape of the Python annotation; only the first says anything.
            if "$ref" in content["schema"]:
                content["schema"] = {"$ref": content["schema"]["$ref"]}
    answers.pop("422", None)
    for status in _refusals(path, method, operation):
        body = {"application/json": {"schema": {"$ref": f"{_SCHEMAS}ErrorEnvelope"}}}
        answers[str(status)] = {"description": _WORDS[status], "content": body}


def _describe(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = FastAPI.openapi(app)
        for path, operations in cast("dict[str, dict[str, dict[str, Any]]]", schema["paths"]).items():
            for method, operation in operations.items():
                _tidy(path, method, operation)
        schemas: dict[str, Any] = schema["components"]["schemas"]
        schemas["ErrorEnvelope"] = ErrorEnvelope.model_json_schema(ref_template=f"{_SCHEMAS}{{model}}")
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
    assert app.openapi_schema is not None
    return app.openapi_schema


def install(app: FastAPI) -> None:
    """Make the app describe itself so; after all routes are in."""
    app.openapi = partial(_describe, app)  # FastAPI documents this attribute as the place for it
