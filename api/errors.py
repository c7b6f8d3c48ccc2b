"""Refusals in the documented envelope; what was not expected becomes a 500 that tells a stranger nothing."""

from __future__ import annotations

import secrets
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException

from domain.errors import PowernodeError, RateLimitedError, UnavailableError

log = structlog.get_logger()
_UNSTORABLE = "22"
"""SQLSTATE class `data exception`: a NUL in a text, a date out of range."""
_CONSTRAINT = "23"
"""SQLSTATE class `integrity constraint violation`."""
_CODES = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED", 413: "PAYLOAD_TOO_LARGE"}


def refusal(status: int, code: str, error: str, details: dict[str, Any] | None = None) -> JSONResponse:
    """Shape a refusal."""
    body: dict[str, Any] = {"success": False, "error": error, "code": code}
    if details:
        body["details"] = details
    return JSONResponse(body, status)


async def _expected(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, PowernodeError)
    return _refused(error)


def _refused(error: PowernodeError) -> JSONResponse:
    response = refusal(error.http_status, error.code, error.message, error.details or None)
    if isinstance(error, UnavailableError):
        response.headers["Retry-After"] = "2"
    if isinstance(error, RateLimitedError):
        response.headers["Retry-After"] = str(error.retry_after_s)
    if error.http_status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    problems = [
        {"field": ".".join(str(part) for part in item["loc"] if part != "body"), "message": item["msg"]}
        for item in error.errors()
    ]
    first = problems[0] if problems else {"field": "", "message": "invalid"}
    return refusal(422, "VALIDATION_ERROR", f"{first['field']}: {first['message']}", {"errors": problems})


async def _http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    response = refusal(error.status_code, _CODES.get(error.status_code, "HTTP_ERROR"), str(error.detail))
    response.headers.update(error.headers or {})
    return response


async def _database(request: Request, error: Exception) -> JSONResponse:
    """What Postgres refused although it was asked in good form: a value that cannot be stored, a row that went away."""
    return answer(error, request.scope.get("route_path", ""))


def _of_database(error: DBAPIError) -> JSONResponse | None:
    state = str(getattr(error.orig, "sqlstate", None) or "")
    if state.startswith(_UNSTORABLE):
        return refusal(422, "VALIDATION_ERROR", "A value holds something that cannot be stored or compared")
    if state.startswith(_CONSTRAINT):
        return refusal(409, "CONFLICT", "Something that this needs, or that needs this, was changed meanwhile")
    return None


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    return answer(error, request.scope.get("route_path", ""))


def answer(error: Exception, path: str) -> JSONResponse:
    """Shape what a request failed with; what was not expected is logged under a reference."""
    if isinstance(error, PowernodeError):
        return _refused(error)
    shaped = _of_database(error) if isinstance(error, DBAPIError) else None
    if shaped is not None:
        return shaped
    reference = secrets.token_hex(8)
    log.error("request.failed", path=path, reference=reference, exc_info=error)
    return refusal(500, "INTERNAL_ERROR", "Something went wrong on our side", {"reference": reference})


def install(app: FastAPI) -> None:
    """Make the app answer every error in the envelope."""
    app.add_exception_handler(PowernodeError, _expected)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(DBAPIError, _database)
    app.add_exception_handler(Exception, _unexpected)
