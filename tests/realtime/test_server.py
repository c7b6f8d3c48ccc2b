"""The door of `/cable`: sub-protocols, tokens, origins, refusals before and after the upgrade."""

from __future__ import annotations

import logging

import pytest
from redis.asyncio import Redis
from websockets.exceptions import InvalidStatus

from realtime.counters import Count
from tests.realtime.cable import BASE, Cable, person, running_cable

OWN_ORIGIN = "https://desk.example.test"


class TestSubprotocol:
    async def test_the_stock_client_is_answered_with_its_protocol(self, cable: Cable) -> None:
        token = cable.token(person(cable.account_id))
        async with cable.raw(f"?token={token}", protocols=[BASE, "actioncable-unsupported"]) as client:
            assert client.socket.subprotocol == BASE
            assert (await client.next())["type"] == "welcome"

    async def test_the_extended_one_is_preferred(self, cable: Cable) -> None:
        token = cable.token(person(cable.account_id))
        async with cable.raw(f"?token={token}", protocols=[BASE, "actioncable-v1-ext-json"]) as client:
            assert client.socket.subprotocol == "actioncable-v1-ext-json"

    async def test_a_bare_tool_may_offer_none(self, cable: Cable) -> None:
        async with cable.raw(f"?token={cable.token(person(cable.account_id))}", protocols=[]) as client:
            assert client.socket.subprotocol is None
            assert (await client.next())["type"] == "welcome"

    async def test_none_that_fits_is_refused_before_the_upgrade(self, cable: Cable) -> None:
        with pytest.raises(InvalidStatus) as refused:
            async with cable.raw(protocols=["graphql-ws"]):
                pass
        assert refused.value.response.status_code == 400

    async def test_unsupported_is_chosen_when_that_is_the_only_way_to_say_no(self, cable: Cable) -> None:
        async with cable.raw(protocols=["graphql-ws", "actioncable-unsupported"]) as client:
            assert client.socket.subprotocol == "actioncable-unsupported"


class TestToken:
    @pytest.mark.parametrize("name", ["token", "jid"])
    async def test_in_the_query(self, cable: Cable, name: str) -> None:
        async with cable.raw(f"?{name}={cable.token(person(cable.account_id))}") as client:
            assert (await client.next())["type"] == "welcome"

    async def test_in_a_header(self, cable: Cable) -> None:
        token = cable.token(person(cable.account_id))
        for headers in ({"Authorization": f"Bearer {token}"}, {"X-JID": token}):
            async with cable.raw(headers=headers) as client:
                assert (await client.next())["type"] == "welcome"

    async def test_as_a_subprotocol_that_is_never_chosen(self, cable: Cable) -> None:
        token = cable.token(person(cable.account_id))
        async with cable.raw(protocols=[f"anycable-token.{token}", BASE]) as client:
            assert client.socket.subprotocol == BASE
            assert (await client.next())["type"] == "welcome"

    @pytest.mark.parametrize("query", ["", "?token=", "?token=wrong", "?other=1"])
    async def test_absent_or_wrong_is_told_after_the_upgrade_and_final(self, cable: Cable, query: str) -> None:
        async with cable.raw(query) as client:
            frames, code = await client.until_closed()
        assert frames == [{"type": "disconnect", "reason": "unauthorized", "reconnect": False}]
        assert code == 1000
        assert cable.hub.connections == 0

    async def test_expired_is_told_as_such(self, cable: Cable) -> None:
        async with cable.raw(f"?token={cable.token(person(cable.account_id, life_s=-1))}") as client:
            frames, code = await client.until_closed()
        assert frames == [{"type": "disconnect", "reason": "token_expired", "reconnect": False}]
        assert code == 1000

    async def test_is_in_no_log_line(self, cable: Cable, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)  # at DEBUG, uvicorn logs whole frames
        token = cable.token(person(cable.account_id))
        # Directly at the server's logger: once any uvicorn was configured in this process, it propagates nothing.
        server_log = logging.getLogger("uvicorn.error")
        level, heard = server_log.level, server_log.propagate
        server_log.addHandler(caplog.handler)
        server_log.setLevel(logging.INFO)
        server_log.propagate = False
        try:
            async with cable.raw(f"?page=2&token={token}") as client:
                await client.next()
        finally:
            server_log.removeHandler(caplog.handler)
            server_log.setLevel(level)
            server_log.propagate = heard
        assert "/cable?page=2&token=redacted" in caplog.text
        assert token not in caplog.text


class TestOrigin:
    @pytest.mark.parametrize("origin", [OWN_ORIGIN, OWN_ORIGIN.upper(), None])
    async def test_listed_or_none_may_enter(self, cable: Cable, origin: str | None) -> None:
        async with cable.raw(f"?token={cable.token(person(cable.account_id))}", origin=origin) as client:
            assert (await client.next())["type"] == "welcome"

    async def test_a_page_of_the_same_host_may_enter(self, cable: Cable) -> None:
        own = f"http://127.0.0.1:{cable.port}"
        async with cable.raw(f"?token={cable.token(person(cable.account_id))}", origin=own) as client:
            assert (await client.next())["type"] == "welcome"

    @pytest.mark.parametrize("origin", ["https://evil.example.test", "null", "https://desk.example.test.evil.test"])
    async def test_another_is_refused_even_with_a_good_token(self, cable: Cable, origin: str) -> None:
        with pytest.raises(InvalidStatus) as refused:
            async with cable.raw(f"?token={cable.token(person(cable.account_id))}", origin=origin):
                pass
        assert refused.value.response.status_code == 403

    async def test_a_star_lets_all_in(self, redis: Redis) -> None:
        async with running_cable(redis, origins=["*"]) as cable:
            token = cable.token(person(cable.account_id))
            async with cable.raw(f"?token={token}", origin="https://any.example.test") as client:
                assert (await client.next())["type"] == "welcome"


class TestAccepting:
    async def test_a_draining_hub_sends_new_sockets_elsewhere(self, cable: Cable) -> None:
        cable.hub.draining = True
        with pytest.raises(InvalidStatus) as refused:
            async with cable.raw(f"?token={cable.token(person(cable.account_id))}"):
                pass
        assert refused.value.response.status_code == 503
        assert "Retry-After" in refused.value.response.headers
        assert cable.hub.counters[Count.REFUSED] == 1
