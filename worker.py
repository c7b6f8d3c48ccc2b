"""The worker: task queue -> workflows and activities. Builds the clients, runs until told to stop, shuts down.

Started by `powernode worker`, by the supervisor and in containers; any number may run beside each other.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import httpx2
import structlog
import uvloop
from redis.asyncio import Redis
from temporalio.client import Client
from temporalio.worker import PollerBehaviorAutoscaling, UnsandboxedWorkflowRunner, Worker, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities import logs
from activities.agent import AgentActivities
from activities.approvals import ApprovalActivities
from activities.arrival_limit import ArrivalLimit
from activities.channels import ChannelDesk
from activities.connections import ConnectionActivities
from activities.delivery import DeliveryActivities
from activities.dispatch import Dispatcher
from activities.failpoints import Failpoints
from activities.files import FileStore, file_store
from activities.indications import Indications
from activities.intake import Intake
from activities.limiter import SendLimiter
from activities.media import MediaActivities
from activities.messages import MessageActivities
from activities.previews import Previews
from activities.profiles import Profiles
from activities.queues import TaskQueues
from activities.replies import Replies
from activities.sessions import SessionActivities
from activities.sweeper import Sweeper
from adapters.connectors import Connectors, socket_kinds
from adapters.guard import WayOut, places_of, way_out
from adapters.models import AgentModels
from adapters.registry import Platforms, platform_names
from config import Settings
from db.credentials import CredentialBox
from db.part_rows import Claims
from db.session import Database
from realtime.client import redis_client
from realtime.publish import Publisher
from worker_media import make_fetcher, media_activities, retention
from workflows.connection import ChannelConnectionWorkflow
from workflows.delivery import OutboundDeliveryWorkflow
from workflows.media import MediaFetchWorkflow
from workflows.response import AgentResponseWorkflow
from workflows.session import ChatSessionWorkflow

log = structlog.get_logger()

WORKFLOWS: Final = [
    ChatSessionWorkflow,
    AgentResponseWorkflow,
    OutboundDeliveryWorkflow,
    ChannelConnectionWorkflow,
    MediaFetchWorkflow,
]
SHUTDOWN: Final = timedelta(seconds=10)
STICKY_TIMEOUT: Final = timedelta(seconds=5)
PASSED_THROUGH: Final = ("domain", "activities", "adapters", "db", "realtime", "pydantic", "structlog", "orjson")


def workflow_runner(*, sandbox: bool) -> WorkflowRunner:
    """Return the sandbox (tests, replay) or the plain runner (production default, design §10)."""
    if not sandbox:
        return UnsandboxedWorkflowRunner()
    return SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH))


@dataclass
class Desk:
    """Everything that activities need, built once per process."""

    db: Database
    redis: Redis
    http: httpx2.AsyncClient
    tenants: WayOut
    dispatcher: Dispatcher
    sessions: SessionActivities
    agent: AgentActivities
    approvals: ApprovalActivities
    messages: MessageActivities
    delivery: DeliveryActivities
    connections: ConnectionActivities
    media: MediaActivities
    chores: Sequence[Callable[[], Awaitable[object]]]

    def activities(self) -> list[object]:
        """Return the bound activity methods."""
        return [
            self.sessions.load_session,
            self.sessions.mark_session_idle,
            self.sessions.close_session,
            self.sessions.supersede_turn,
            self.agent.request_model,
            self.agent.run_tool,
            self.approvals.ask_approval,
            self.messages.record_outbound,
            self.delivery.deliver,
            self.connections.load_connection,
            self.media.load_media,
            self.media.give_up_attachment,
        ]

    async def close(self) -> None:
        """Close in the reverse order of use."""
        await self.dispatcher.close()
        await self.connections.intake.limit.settle()
        await self.agent.indications.close()
        await self.media.outside.downloads.close()
        await self.tenants.http.aclose()
        await self.http.aclose()
        await self.redis.aclose()
        await self.db.close()


def _models(settings: Settings, http: httpx2.AsyncClient) -> AgentModels:
    key = settings.agent_api_key
    return AgentModels(http, base_url=settings.agent_base_url, api_key=key.get_secret_value() if key else None)


def _chores(
    settings: Settings, channels: ChannelDesk, delivery: DeliveryActivities, files: FileStore
) -> list[Callable[[], Awaitable[object]]]:
    """Return what the sweeper looks after besides its own."""
    db, dispatcher = channels.db, channels.dispatcher
    kept = retention(settings, db, files, dispatcher)
    return [delivery.placeholders.sweep, Profiles(db, channels, dispatcher).sweep, kept.sweep]


def build(settings: Settings, client: Client, queues: TaskQueues) -> Desk:
    """Build what the activities need. `client` signals workflows from the outbox."""
    db = Database(settings.database_url.get_secret_value())
    redis = redis_client(settings.redis_url.get_secret_value())
    http = httpx2.AsyncClient(timeout=15.0, limits=httpx2.Limits(max_connections=200, max_keepalive_connections=100))
    publisher = Publisher(redis)
    tenants = way_out(places_of(settings.allowed_private_hosts))
    platforms = Platforms(http, settings.platform_api_base, tenants)
    dispatcher = Dispatcher(db, lambda: client, publisher, task_queue=queues.chat)
    box = CredentialBox(settings.credentials_keys())
    channels = ChannelDesk(db, platforms, box, dispatcher, settings.base_url())
    models = _models(settings, http)
    replies = Replies(db, platforms, dispatcher)
    failpoints, claims = Failpoints(settings.failpoint), Claims(settings.claim_s)
    limiter = SendLimiter(redis, settings.send_pace)
    files = file_store(settings.files_folder(), settings.bucket())
    delivery = DeliveryActivities(db, channels, limiter, dispatcher, failpoints, claims, files)
    previews, indications = Previews(db, channels, limiter, failpoints), Indications(db, channels, limiter)
    approvals = ApprovalActivities(db, dispatcher)
    intake = Intake(db, dispatcher, ArrivalLimit(redis), failpoints)
    connectors = Connectors(http, settings.platform_api_base, tenants)
    return Desk(
        db=db,
        redis=redis,
        http=http,
        tenants=tenants,
        dispatcher=dispatcher,
        sessions=SessionActivities(
            db, dispatcher, queues, history_cap=settings.history_cap, file_wait_s=settings.file_wait_s
        ),
        agent=AgentActivities(db, models, publisher, replies, delivery, approvals, indications, previews),
        approvals=approvals,
        messages=MessageActivities(db, replies),
        delivery=delivery,
        connections=ConnectionActivities(db, channels, intake, connectors, queues),
        media=media_activities(settings, channels, http, queues, failpoints, files=files),
        chores=_chores(settings, channels, delivery, files),
    )


def task_queues(settings: Settings) -> tuple[TaskQueues, list[str]]:
    """Return the mapping of work to queues, and which of them this worker serves."""
    queues = TaskQueues(settings.chat_queue, split=settings.task_queues == "split")
    everything = queues.all(platform_names())
    serves = list(settings.queues)
    if serves == ["all"]:
        return queues, everything
    unknown = sorted(set(serves) - set(everything))
    if unknown:
        raise SystemExit(
            f"POWERNODE_QUEUES names unknown queues: {', '.join(unknown)}; one of: {', '.join(everything)}"
        )
    return queues, serves


def make_worker(client: Client, queue: str, desk: Desk, *, sandbox: bool) -> Worker:
    """Return a worker for one task queue of chats, turns or deliveries."""
    return Worker(
        client,
        task_queue=queue,
        workflows=WORKFLOWS,
        activities=desk.activities(),  # pyright: ignore[reportArgumentType] - bound methods of @activity.defn
        workflow_runner=workflow_runner(sandbox=sandbox),
        max_cached_workflows=10_000,
        max_concurrent_workflow_tasks=200,
        max_concurrent_activities=200,
        max_concurrent_local_activities=200,
        workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
        activity_task_poller_behavior=PollerBehaviorAutoscaling(),
        sticky_queue_schedule_to_start_timeout=STICKY_TIMEOUT,
        graceful_shutdown_timeout=SHUTDOWN,
    )


def make_holder(client: Client, queue: str, desk: Desk, *, most: int) -> Worker:
    """Return the worker of held sockets: each takes a slot for as long as it lasts, so they have slots of their own."""
    return Worker(
        client,
        task_queue=queue,
        activities=[desk.connections.hold_connection],
        max_concurrent_activities=most,
        # A worker that hangs is still handed what it polls for, and each time a heartbeat has to be missed.
        max_concurrent_activity_task_polls=1,
        graceful_shutdown_timeout=SHUTDOWN,
    )


async def connect(settings: Settings) -> Client:
    """Connect to Temporal, waiting for it as long as it takes."""
    wait_s = 0.2
    while True:
        try:
            return await Client.connect(**settings.temporal_connect())
        except RuntimeError as error:
            log.warning("worker.temporal_away", reason=str(error)[:200])
        await asyncio.sleep(wait_s)
        wait_s = min(2.0, wait_s * 1.5)


async def run(settings: Settings) -> None:
    """Serve the configured queues until SIGTERM or SIGINT."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    queues, serves = task_queues(settings)
    client = await connect(settings)
    desk = build(settings, client, queues)
    desk.dispatcher.start()
    sweeper = Sweeper(
        desk.db,
        desk.dispatcher,
        f"{socket.gethostname()}:{os.getpid()}",
        serves,
        socket_kinds(),
        also=desk.chores,
    )
    sweeper.start()
    try:
        async with AsyncExitStack() as stack:
            for queue in serves:
                if queue == queues.connectors:
                    worker = make_holder(client, queue, desk, most=settings.connections_per_worker)
                elif queue == queues.media:
                    worker = make_fetcher(client, queue, desk.media, most=settings.files_at_once)
                else:
                    worker = make_worker(client, queue, desk, sandbox=settings.workflow_sandbox)
                await stack.enter_async_context(worker)
            log.info("worker.ready", queues=serves)
            await stopping.wait()
            log.info("worker.stopping")
    finally:
        await sweeper.close()
        await desk.close()


def main() -> None:
    """Run the worker. Ends by os._exit, because the SDK can abort in the interpreter's own exit (sdk-python#300)."""
    settings = Settings.load()
    logs.configure(settings.log_level)
    uvloop.run(run(settings))  # pyright: ignore[reportArgumentType]
    os._exit(0)


if __name__ == "__main__":
    main()
