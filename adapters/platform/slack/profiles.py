"""People's names: Slack's events carry an id alone (https://docs.slack.dev/reference/methods/users.info, scope users:read)."""

from __future__ import annotations

from adapters.base import ErrorClass, Refused, SendResult
from adapters.platform.slack.reading import object_of
from domain.errors import UnavailableError
from domain.message import Sender


def read_person(answer: dict[str, object] | SendResult, person: str) -> Sender | None:
    """Return who it is: the name that they chose to be shown, else their real one. Raises UnavailableError."""
    if isinstance(answer, Refused) and answer.error_class not in {ErrorClass.TRANSIENT, ErrorClass.RATE_LIMITED}:
        # `missing_scope` among them: who does not let us ask is listed by the id.
        return None
    if not isinstance(answer, dict):
        raise UnavailableError("Slack does not say who it is just now")
    user = object_of(answer.get("user"))
    shown = object_of(user.get("profile"))
    names = (shown.get("display_name"), shown.get("real_name"), user.get("real_name"), user.get("name"))
    found = next((name for name in names if isinstance(name, str) and name.strip()), None)
    return None if found is None else Sender(person, found)
