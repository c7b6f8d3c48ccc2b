"""Logging in and out, and tokens that must not be believed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import jwt
import pytest

from tests.api.conftest import PASSWORD, Login

SECRET = "j" * 32
WORDS = "The token is not valid"


def forged(claims: dict[str, Any], *, key: str = SECRET, algorithm: str = "HS256") -> str:
    now = datetime.now(UTC)
    good = {
        "sub": "5f8f5a3e-0000-4000-8000-000000000000",
        "account_id": "5f8f5a3e-0000-4000-8000-000000000001",
        "type": "access",
        "iat": now,
        "exp": now + timedelta(minutes=5),
        "jti": "x",
        "iss": "powernode-platform",
        "aud": "powernode-api",
    }
    return jwt.encode({k: v for k, v in (good | claims).items() if v is not None}, key, algorithm)


class TestLogin:
    async def test_gives_a_token_that_works(self, login: Login) -> None:
        person = await login()
        answer = await person.get("/auth/me")
        assert answer.json()["data"]["email"] == person.tenant.email

    async def test_wrong_password_and_unknown_address_look_the_same(
        self, login: Login, anybody: httpx2.AsyncClient
    ) -> None:
        person = await login()
        wrong = await anybody.post("/api/v1/auth/login", json={"email": person.tenant.email, "password": "no"})
        unknown = await anybody.post("/api/v1/auth/login", json={"email": "nobody@example.org", "password": "no"})
        assert wrong.status_code == unknown.status_code == 401
        assert wrong.json() == unknown.json()

    async def test_ten_failures_a_minute_are_enough(self, login: Login, anybody: httpx2.AsyncClient) -> None:
        person = await login()
        for _ in range(10):
            await anybody.post("/api/v1/auth/login", json={"email": "x@example.org", "password": "no"})
        answer = await anybody.post("/api/v1/auth/login", json={"email": person.tenant.email, "password": PASSWORD})
        assert answer.status_code == 429
        assert answer.json()["code"] == "RATE_LIMITED"
        assert int(answer.headers["Retry-After"]) > 0


class TestTokens:
    @pytest.mark.parametrize(
        "token",
        [
            "",
            "x.y.z",
            "a" * 10_000,
            forged({}, key="", algorithm="none"),
            forged({}, key="k" * 32),
            forged({}, key=SECRET * 2, algorithm="HS512"),
            forged({"aud": "somebody-else"}),
            forged({"iss": "somebody-else"}),
            forged({"type": "refresh"}),
            forged({"jti": None}),
            forged({"exp": None}),
            forged({"sub": "../../etc/passwd"}),
            forged({"sub": ["a"]}),
            forged({"nbf": datetime.now(UTC) + timedelta(hours=1)}),
            forged({}),
        ],
    )
    async def test_none_of_these_is_believed(self, anybody: httpx2.AsyncClient, token: str) -> None:
        answer = await anybody.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401
        assert answer.json()["code"] == "UNAUTHORIZED"

    async def test_an_expired_one_says_so(self, anybody: httpx2.AsyncClient) -> None:
        token = forged({"exp": datetime.now(UTC) - timedelta(seconds=1)})
        answer = await anybody.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.json()["error"]) == (401, "The token has expired")


class TestLogout:
    async def test_the_token_is_refused_from_then_on(self, login: Login) -> None:
        person = await login()
        assert (await person.post("/auth/logout")).status_code == 200
        assert (await person.get("/auth/me")).status_code == 401


class TestRefresh:
    async def test_rotates_and_works_once(self, login: Login) -> None:
        person = await login()
        cookie = person.client.cookies["powernode_refresh"]
        first = await person.post("/auth/refresh")
        assert first.json()["data"]["access_token"]
        person.client.cookies.clear()
        again = await person.client.post("/api/v1/auth/refresh", headers={"Cookie": f"powernode_refresh={cookie}"})
        assert again.status_code == 401

    async def test_an_access_token_does_not_refresh(self, login: Login) -> None:
        person = await login()
        token = person.client.headers["Authorization"].removeprefix("Bearer ")
        person.client.cookies.clear()
        answer = await person.client.post("/api/v1/auth/refresh", headers={"Cookie": f"powernode_refresh={token}"})
        assert answer.status_code == 401
