"""Everything that requests need, built once per process by app.py and found in `app.state.services`.

The api starts and accepts webhooks while Temporal or Redis is away: the connection to Temporal is sought in the
background, and what cannot leave waits in the outbox.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import httpx2
import structlog
from redis.asyncio import Redis
from starlette.requests import HTTPConnection
from temporalio.client import Client

from activities.arrival_limit import ArrivalLimit
from activities.channels import ChannelDesk
from activities.dispatch import Dispatcher
from activities.failpoints import Failpoints
from activities.files import FileStore, file_store
from activities.intake import Intake
from adapters.guard import WayOut, places_of, way_out
from adapters.registry import Platforms
from api.failures import Failures, client_ip
from api.known_channels import KnownChannels
from api.links import LinkMint
from api.tokens import TokenMint
from api.webhooks import WebhookDesk
from config import Settings
from db.credentials import CredentialBox
from db.session import Database
from realtime.client import redis_client
from realtime.publish import Publisher

log = structlog.get_logger()


@dataclass
class Services:
    """One per process."""

    settings: Settings
    db: Database
    redis: Redis
    http: httpx2.AsyncClient
    tenants: WayOut
    files: FileStore
    platforms: Platforms
    publisher: Publisher
    box: CredentialBox
    mint: TokenMint
    links: LinkMint
    dispatcher: Dispatcher
    channels: ChannelDesk
    webhooks: WebhookDesk
    failures: Failures
    temporal: list[Client] = field(default_factory=list[Client])
    draining: bool = False

    def client_ip(self, request: HTTPConnection) -> str:
        """Return the address that failures are counted by."""
        return client_ip(request, self.settings.trusted_proxies)

    async def connect_temporal(self) -> None:
        """Look for Temporal until it is found; run in the background."""
        wait_s = 0.2
        while not self.temporal:
            try:
                self.temporal.append(await Client.connect(**self.settings.temporal_connect()))
            except RuntimeError as error:
                log.warning("api.temporal_away", reason=str(error)[:200])
                await asyncio.sleep(wait_s)
                wait_s = min(2.0, wait_s * 1.5)

    async def close(self) -> None:
        """Close in the reverse order of use."""
        await self.dispatcher.close()
        await self.webhooks.intake.limit.settle()
        await self.tenants.http.aclose()
        await self.http.aclose()
        await self.redis.aclose()
        await self.db.close()


def build(settings: Settings) -> Services:
    """Build the services; nothing is connected yet."""
    db = Database(settings.database_url.get_secret_value())
    redis = redis_client(settings.redis_url.get_secret_value())
    http = httpx2.AsyncClient(timeout=15.0)
    tenants = way_out(places_of(settings.allowed_private_hosts))
    platforms = Platforms(http, settings.platform_api_base, tenants)
    publisher = Publisher(redis)
    box = CredentialBox(settings.credentials_keys())
    temporal: list[Client] = []
    dispatcher = Dispatcher(db, lambda: temporal[0] if temporal else None, publisher, task_queue=settings.chat_queue)
    channels = ChannelDesk(db, platforms, box, dispatcher, settings.base_url())
    return Services(
        settings=settings,
        db=db,
        redis=redis,
        http=http,
        tenants=tenants,
        files=file_store(settings.files_folder(), settings.bucket()),
        platforms=platforms,
        publisher=publisher,
        box=box,
        mint=TokenMint(settings.jwt_secret.get_secret_value()),
        links=LinkMint(settings.jwt_secret.get_secret_value()),
        dispatcher=dispatcher,
        channels=channels,
        webhooks=WebhookDesk(
            channels,
            Intake(db, dispatcher, ArrivalLimit(redis), Failpoints(settings.failpoint)),
            Failures(redis, "webhook"),
            KnownChannels(db),
        ),
        failures=Failures(redis, "login"),
        temporal=temporal,
    )
