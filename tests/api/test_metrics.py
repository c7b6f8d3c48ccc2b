"""`GET /metrics`: who may read it, and that what happened at the hub is in it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families

from api.hub import open_hub
from realtime.counters import Count
from realtime.hub import Hub
from tests.api.conftest import build_app, client_of
from tests.conftest import DatabaseUrls

TOKEN = "m" * 16


@pytest.fixture
async def measured(database_urls: DatabaseUrls, redis_url: str, redis: object) -> AsyncIterator[FastAPI]:
    app = build_app(database_urls.app, redis_url, metrics_token=TOKEN)
    yield app
    await app.state.services.close()


async def numbers(client: httpx2.AsyncClient) -> dict[str, float]:
    """All samples that have no labels, by name, and the buckets by `le`."""
    answer = await client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        sample.name + "".join(sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


class TestAccess:
    async def test_there_is_none_without_a_token_set(self, anybody: httpx2.AsyncClient) -> None:
        answer = await anybody.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 404

    @pytest.mark.parametrize("given", ["", "Bearer wrong", f"Basic {TOKEN}", "Bearer \u00fc", f"Bearer {TOKEN}x"])
    async def test_nobody_else_reads_it(self, measured: FastAPI, given: str) -> None:
        async with client_of(measured) as client:
            answer = await client.get("/metrics", headers={b"Authorization": given.encode()})
        assert answer.status_code == 401

    async def test_not_before_the_hub_is_there(self, measured: FastAPI) -> None:
        async with client_of(measured) as client:
            answer = await client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 503


class TestNumbers:
    async def test_every_counter_and_what_there_is_now(self, measured: FastAPI) -> None:
        async with open_hub(measured, measured.state.services), client_of(measured) as client:
            hub: Hub = measured.state.hub
            hub.counters.add(Count.GAP_FILLS, 3)
            found = await numbers(client)
        assert {f"powernode_realtime_{count.value}_total" for count in Count} <= set(found)
        assert found["powernode_realtime_gap_fills_total"] == 3
        for name in ("clients", "users", "streams", "subscriptions", "outbox_bytes", "draining"):
            assert found[f"powernode_realtime_{name}"] == 0, name
        assert found["powernode_realtime_loop_lag_seconds"] >= 0

    async def test_lag_is_counted_in_all_buckets_from_its_own_on(self, measured: FastAPI) -> None:
        async with open_hub(measured, measured.state.services), client_of(measured) as client:
            for taken_s in (0.003, 0.2, 99.0, -5.0):
                measured.state.hub.counters.lag.add(taken_s)
            found = await numbers(client)
        name = "powernode_realtime_broadcast_lag_seconds"
        buckets = {bound: found[f"{name}_bucket{bound}"] for bound in ("0.001", "0.005", "0.25", "10.0", "+Inf")}
        assert buckets == {"0.001": 1, "0.005": 2, "0.25": 3, "10.0": 3, "+Inf": 4}
        assert found[f"{name}_count"] == 4
        assert found[f"{name}_sum"] == pytest.approx(99.203)

    async def test_draining_shows(self, measured: FastAPI) -> None:
        async with open_hub(measured, measured.state.services), client_of(measured) as client:
            await measured.state.hub.drain(0)
            assert (await numbers(client))["powernode_realtime_draining"] == 1
