"""A person of a talk's account at the REST API."""

from __future__ import annotations

from typing import Any

import httpx2

from tests.e2e.system import Talk


class Desk:
    """Logged in; the talk was opened with `HASH`."""

    def __init__(self, talk: Talk, token: str) -> None:
        self._http = talk.system.http
        self._url = f"{talk.system.api_url}/api/v1"
        self._headers = {"Authorization": f"Bearer {token}"}

    async def post(self, path: str, **body: Any) -> httpx2.Response:
        return await self._http.post(f"{self._url}{path}", json=body, headers=self._headers)

    async def patch(self, path: str, **body: Any) -> httpx2.Response:
        return await self._http.patch(f"{self._url}{path}", json=body, headers=self._headers)

    async def data(self, path: str, **params: Any) -> Any:
        """Return the `data` of what is read."""
        answer = await self._http.get(f"{self._url}{path}", params=params, headers=self._headers)
        return answer.json()["data"]


async def desk_of(talk: Talk) -> Desk:
    """Log in."""
    return Desk(talk, await talk.token())
