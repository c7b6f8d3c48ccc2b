"""`GET /metrics`: what this process's hub counts, as Prometheus reads it. It counts nothing itself.

For the installation's operator, not for tenants: numbers of all accounts together, so it has a token of its own.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from fastapi import APIRouter, Request
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from starlette.responses import Response

from api.deps import Desk
from api.hub import live_hub
from domain.errors import AuthenticationError, NotFoundError
from realtime.counters import Count
from realtime.hub import Hub

router = APIRouter(tags=["health"])

_PREFIX = "powernode_realtime_"


@router.get("/metrics", include_in_schema=False)
async def metrics(desk: Desk, request: Request) -> Response:
    """Answer to whoever knows `POWERNODE_METRICS_TOKEN`. Raises NotFoundError where there is none."""
    wanted = desk.settings.metrics_token
    if wanted is None:
        raise NotFoundError("There is nothing here")
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secrets.compare_digest(
        given.strip().encode(), wanted.get_secret_value().encode()
    ):
        raise AuthenticationError
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_HubCollector(live_hub(request)))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


class _HubCollector(Collector):
    """Reads a hub once a scrape."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def collect(self) -> Iterator[Metric]:
        """Yield all families."""
        yield from self._gauges()
        counted = self._hub.counters.snapshot()
        counted[Count.SENT_BYTES] += self._hub.standing().sent_bytes  # sockets hand theirs in when they go
        for name, times in counted.items():
            yield CounterMetricFamily(_PREFIX + name, f"Since the start: {name.replace('_', ' ')}", value=times)
        buckets, total_s = self._hub.counters.lag.cumulated()
        yield HistogramMetricFamily(
            _PREFIX + "broadcast_lag_seconds",
            "From Redis's stamp on a stored event to its fan-out here",
            buckets=buckets,
            sum_value=total_s,
        )

    def _gauges(self) -> Iterator[Metric]:
        standing = self._hub.standing()
        for name, meaning, value in (
            ("clients", "Open sockets and streams of events", standing.clients),
            ("users", "Different people among them", standing.users),
            ("streams", "Streams that somebody hears", standing.streams),
            ("subscriptions", "Subscriptions to streams", standing.subscriptions),
            ("outbox_bytes", "What waits to be sent", standing.outbox_bytes),
            ("loop_lag_seconds", "How late the event loop was when it was last looked at", standing.loop_lag_s),
            ("hearing", "1 while events of Redis come through", int(self._hub.hearing)),
            ("draining", "1 while clients are sent away; how far, `clients` says", int(self._hub.draining)),
        ):
            yield GaugeMetricFamily(_PREFIX + name, meaning, value=value)
