"""The api of a running stack, called as its demo administrator. Used by the seed and by the commands for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self, cast

import httpx2

from stack.service import StartError
from stack.state import StackState

_LIMIT_S: Final = 20.0


class RefusedError(StartError):
    """The api answered, and said no."""

    def __init__(self, answer: httpx2.Response) -> None:
        super().__init__(f"{answer.request.url.path} answered {answer.status_code}: {answer.text[:300]}")
        self.status = answer.status_code
        self.reason = _reason(answer)


class ApiClient:
    """Logs in at the first call; the token outlives any command."""

    def __init__(self, state: StackState) -> None:
        self._state = state
        self._token = ""
        self.http = httpx2.AsyncClient(timeout=_LIMIT_S, trust_env=False)

    async def __aenter__(self) -> Self:
        """Open."""
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Close the connections."""
        await self.http.aclose()

    async def token(self) -> str:
        """Return an access token. Raises RefusedError where the login is refused."""
        if not self._token:
            admin = self._state.admin
            answer = await self.http.post(
                f"{self._state.api_url}/api/v1/auth/login", json={"email": admin.email, "password": admin.password}
            )
            self._token = str(_data(answer)["access_token"])
        return self._token

    async def call(self, method: str, path: str, body: object = None) -> Mapping[str, object]:
        """Return `data` of the answer. Raises RefusedError, httpx2.HTTPError where nobody answers."""
        headers = {"Authorization": f"Bearer {await self.token()}"}
        return _data(await self.http.request(method, f"{self._state.api_url}{path}", json=body, headers=headers))


def _reason(answer: httpx2.Response) -> str:
    """Return the api's own words, in its documented envelope."""
    try:
        return str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status_code}"


def _data(answer: httpx2.Response) -> Mapping[str, object]:
    if answer.status_code >= 300:
        raise RefusedError(answer)
    return cast("Mapping[str, object]", answer.json()["data"])
