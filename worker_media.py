"""The part of the worker that fetches files: built from the settings, on a task queue with slots of its own."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import httpx2
from temporalio.client import Client
from temporalio.worker import Worker

from activities.channels import ChannelDesk
from activities.clamd import Clamd
from activities.dispatch import Dispatcher
from activities.failpoints import Failpoints
from activities.files import FileStore
from activities.media import MediaActivities, Outside
from activities.queues import TaskQueues
from activities.retention import Retention
from adapters.downloads import Downloads, Limits
from adapters.guard import Guard, places_of
from adapters.transcription import OpenAITranscriber
from config import Settings
from db.session import Database

SHUTDOWN: Final = timedelta(seconds=10)


def media_activities(
    settings: Settings,
    channels: ChannelDesk,
    http: httpx2.AsyncClient,
    queues: TaskQueues,
    failpoints: Failpoints,
    *,
    files: FileStore,
) -> MediaActivities:
    """Return what fetches, keeps and transcribes files."""
    outside = _outside(settings, http)
    return MediaActivities(channels.db, channels, files, outside, channels.dispatcher, queues, failpoints)


def _outside(settings: Settings, http: httpx2.AsyncClient) -> Outside:
    """Return how files come in. Where platforms are played by the simulator, their origins may be private."""
    allowed = places_of((*settings.platform_api_base.values(), *settings.allowed_private_hosts))
    limits = Limits(
        settings.file_max_bytes, total_s=settings.file_timeout_s, least_bytes_per_s=settings.file_least_bytes_per_s
    )
    transcriber = None
    if settings.transcription_base_url is not None:
        key = settings.transcription_api_key.get_secret_value() if settings.transcription_api_key else None
        transcriber = OpenAITranscriber(http, settings.transcription_base_url, key, settings.transcription_model)
    scanner = Clamd(settings.clamd) if settings.clamd else None
    return Outside(Downloads(Guard(allowed)), limits, scanner, transcriber)


def retention(settings: Settings, db: Database, files: FileStore, dispatcher: Dispatcher) -> Retention:
    """Return what deletes files after their time."""
    days = settings.files_keep_days
    keep = None if days is None else timedelta(days=days)
    return Retention(db, files, dispatcher, timedelta(hours=settings.uploads_keep_hours), keep)


def make_fetcher(client: Client, queue: str, media: MediaActivities, *, most: int) -> Worker:
    """Return the worker of downloads and transcriptions: each holds a connection and a file."""
    return Worker(
        client,
        task_queue=queue,
        activities=[media.fetch_attachment, media.transcribe_attachment],
        max_concurrent_activities=most,
        graceful_shutdown_timeout=SHUTDOWN,
    )
