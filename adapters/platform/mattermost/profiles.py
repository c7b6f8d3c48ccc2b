"""People's names: posts that are read back carry an id alone (https://api.mattermost.com, *Get a user*)."""

from __future__ import annotations

from adapters.base import ErrorClass, Refused, SendResult
from domain.errors import UnavailableError
from domain.message import Sender


def read_person(answer: dict[str, object] | SendResult, person: str) -> Sender | None:
    """Return who it is, by the user name that the server shows to everybody. Raises UnavailableError."""
    if isinstance(answer, Refused) and answer.error_class not in {ErrorClass.TRANSIENT, ErrorClass.RATE_LIMITED}:
        return None
    if not isinstance(answer, dict):
        raise UnavailableError("Mattermost does not say who it is just now")
    name = answer.get("username")
    return Sender(person, username=name) if isinstance(name, str) and name.strip() else None
