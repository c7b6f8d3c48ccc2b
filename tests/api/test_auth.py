"""Logging in and out, and tokens that must not be believed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any
from uuid import UUID

import httpx2
import jwt
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from starlette.requests import Request

from api.failures import client_ip
from db.accounts import create_service_token
from db.principals import service_token_hash
from db.session import Database
from domain.permissions import Permission
from stack.ports import any_free
from tests.api.conftest import PASSWORD, Login, build_app, client_of
from tests.api.test_isolation import talk
from tests.conftest import DatabaseUrls

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

    async def test_a_stale_cookie_does_not_keep_anybody_logged_in(self, login: Login) -> None:
        person = await login()
        person.client.cookies.clear()
        answer = await person.client.post("/api/v1/auth/logout", headers={"Cookie": "powernode_refresh=stale"})
        assert answer.status_code == 200
        assert (await person.get("/auth/me")).status_code == 401

    async def test_ends_the_refresh_token_too(self, login: Login) -> None:
        person = await login()
        cookie = person.client.cookies["powernode_refresh"]
        await person.post("/auth/logout")
        answer = await person.client.post("/api/v1/auth/refresh", headers={"Cookie": f"powernode_refresh={cookie}"})
        assert answer.status_code == 401


class TestRefresh:
    async def test_of_many_at_once_one_wins(self, login: Login) -> None:
        person = await login()
        headers = {"Cookie": f"powernode_refresh={person.client.cookies['powernode_refresh']}"}
        person.client.cookies.clear()
        # Open the pool's connections first, or those that wait for one come too late to race.
        await asyncio.gather(*(person.get("/auth/me") for _ in range(6)))
        answers = await asyncio.gather(*(person.client.post("/api/v1/auth/refresh", headers=headers) for _ in range(6)))
        assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401, 401, 401]

    async def test_the_cookie_is_for_this_alone(self, login: Login) -> None:
        person = await login()
        answer = await person.client.post(
            "/api/v1/auth/login", json={"email": person.tenant.email, "password": PASSWORD}
        )
        cookie = answer.headers["Set-Cookie"].lower()
        assert all(part in cookie for part in ("httponly", "secure", "samesite=strict", "path=/api/v1/auth"))
        assert "refresh" not in answer.text

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


class TestServiceTokens:
    async def test_do_what_they_may_in_their_account_and_nothing_else(
        self, login: Login, anybody: httpx2.AsyncClient, database_urls: DatabaseUrls
    ) -> None:
        mine, theirs = await login(), await login()
        token = await service_token(database_urls, mine.tenant.account_id, [Permission.CHANNELS_READ])
        anybody.headers["Authorization"] = f"Bearer {token}"
        items = (await anybody.get("/api/v1/chat/channels")).json()["data"]["items"]
        assert [item["id"] for item in items] == [str(mine.tenant.channel_id)]
        foreign = await anybody.get(f"/api/v1/chat/channels/{theirs.tenant.channel_id}")
        assert foreign.status_code == 404
        refused = await anybody.get("/api/v1/chat/sessions")
        assert (refused.status_code, refused.json()["code"]) == (403, "FORBIDDEN")
        assert Permission.SESSIONS_READ.value in refused.json()["error"]

    async def test_decide_nothing_that_only_people_decide(
        self, app: FastAPI, login: Login, anybody: httpx2.AsyncClient, database_urls: DatabaseUrls
    ) -> None:
        person = await login()
        session_id, _, _ = await talk(app, person)
        token = await service_token(database_urls, person.tenant.account_id, list(Permission))
        path = f"/api/v1/chat/sessions/{session_id}/take_over"
        answer = await anybody.post(path, json={}, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 403

    async def test_a_revoked_or_unknown_one_is_refused(
        self, login: Login, anybody: httpx2.AsyncClient, database_urls: DatabaseUrls
    ) -> None:
        person = await login()
        token = await service_token(database_urls, person.tenant.account_id, [Permission.CHANNELS_READ])
        owner = Database(database_urls.owner, pool_size=1)
        async with owner.open() as conn:
            await conn.execute(
                text("UPDATE service_tokens SET revoked_at = now() WHERE token_hash = :hash"),
                {"hash": service_token_hash(token)},
            )
        await owner.close()
        for bad in (token, f"{token}x", "pnst_"):
            answer = await anybody.get("/api/v1/chat/channels", headers={"Authorization": f"Bearer {bad}"})
            assert answer.status_code == 401


async def service_token(urls: DatabaseUrls, account_id: UUID, permissions: list[Permission]) -> str:
    owner = Database(urls.owner, pool_size=1)
    async with owner.open() as conn:
        token = await create_service_token(conn, account_id, name="A machine", permissions=permissions)
    await owner.close()
    return token


class TestMembers:
    async def test_who_left_or_was_stopped_is_refused_at_once(self, login: Login, database_urls: DatabaseUrls) -> None:
        for statement in (
            "DELETE FROM memberships WHERE user_id = :id",
            "UPDATE users SET is_active = false WHERE id = :id",
            "UPDATE users SET tokens_valid_after = now() + interval '1 second' WHERE id = :id",
        ):
            person = await login()
            assert (await person.get("/auth/me")).status_code == 200
            owner = Database(database_urls.owner, pool_size=1)
            async with owner.open() as conn:
                await conn.execute(text(statement), {"id": person.tenant.user_id})
            await owner.close()
            assert (await person.get("/auth/me")).status_code == 401, statement


class TestWithoutRedis:
    async def test_people_still_get_in(self, login: Login, database_urls: DatabaseUrls) -> None:
        person = await login()
        app = build_app(database_urls.app, f"redis://127.0.0.1:{any_free()}/0")
        async with client_of(app) as client:
            body = {"email": person.tenant.email, "password": PASSWORD}
            assert (await client.post("/api/v1/auth/login", json=body)).status_code == 200
            assert (await client.post("/api/v1/auth/login", json=body | {"password": "no"})).status_code == 401
        await app.state.services.close()


class TestClientAddress:
    @pytest.mark.parametrize(
        ("peer", "forwarded", "expected"),
        [
            ("192.0.2.9", "203.0.113.1", "192.0.2.9"),
            ("10.0.0.1", "203.0.113.1", "203.0.113.1"),
            ("10.0.0.1", "6.6.6.6, 203.0.113.1, 10.0.0.2", "203.0.113.1"),
            ("10.0.0.1", "", "10.0.0.1"),
            ("10.0.0.1", "not an address", "not an address"),
        ],
    )
    def test_believes_only_our_own_proxies(self, peer: str, forwarded: str, expected: str) -> None:
        scope = {"type": "http", "client": (peer, 1), "headers": [(b"x-forwarded-for", forwarded.encode())]}
        assert client_ip(Request(scope), (ip_network("10.0.0.0/8"),)) == expected  # pyright: ignore[reportArgumentType]
