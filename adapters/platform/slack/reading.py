"""What Slack's answers hold beside success or refusal: our nonces in a history, a cursor, the scopes of a token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

from adapters.http import Answer, Outcome
from adapters.platform.slack.sending import EVENT_TYPE

_NEEDED_SCOPES: Final = ("chat:write", "channels:history", "im:history")
_WITHOUT: Final = {
    "files:read": "files that people send cannot be fetched, and a file whose answer was lost not looked up",
    "files:write": "files cannot be sent",
    "reactions:write": "reactions cannot be sent",
}
"""What does not work without a scope that is not needed for text: https://docs.slack.dev/reference/scopes."""


def object_of(value: object) -> dict[str, object]:
    """Return a JSON object; empty where it is none."""
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def with_nonce(messages: list[object], nonce: str) -> str | None:
    """Return the time stamp of the message that carries a nonce."""
    for message in messages:
        metadata = object_of(object_of(message).get("metadata"))
        if metadata.get("event_type") == EVENT_TYPE and object_of(metadata.get("event_payload")).get("nonce") == nonce:
            return str(object_of(message).get("ts"))
    return None


def next_cursor(answer: Mapping[str, object]) -> str:
    """Return where the next page begins; empty at the end."""
    cursor = object_of(answer.get("response_metadata")).get("next_cursor")
    return cursor if isinstance(cursor, str) else ""


def missing_scopes(outcome: Outcome) -> list[str]:
    """Return what to say about scopes that the app lacks."""
    granted = outcome.headers.get("x-oauth-scopes") if isinstance(outcome, Answer) else None
    if granted is None:
        return []
    have = {scope.strip() for scope in granted.split(",")}
    needed = [f"The app lacks the scope {scope}" for scope in _NEEDED_SCOPES if scope not in have]
    without = [
        f"The app lacks the scope {scope}: without it {loss}" for scope, loss in _WITHOUT.items() if scope not in have
    ]
    return [f"{problem}; add it and install the app again" for problem in (*needed, *without)]
