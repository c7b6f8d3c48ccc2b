"""Fetches the files of one message: durable, in parallel, apart from the session, whose answers never wait on a download.

A file ends `stored`, `refused` or `failed`; the rows say which. Where the message is nothing but files, the session's
turn waits a while for them, and is told here when they are settled.
"""

from __future__ import annotations

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError, is_cancelled_exception

from domain.media import MEDIA_WORKFLOW, Fetched, GivenUp, MediaFile, MediaPlan, MediaRef
from domain.work import SESSION_WORKFLOW, session_workflow_id
from workflows import policies

with workflow.unsafe.imports_passed_through():
    from activities.media import MediaActivities

MEDIA_SETTLED = "media_settled"
"""The session's signal: the files of these messages are settled."""


@workflow.defn(name=MEDIA_WORKFLOW)
class MediaFetchWorkflow:
    """Id `media:{message_id}`, started by the outbox when the message was stored; ends when every file has."""

    @workflow.init
    def __init__(self, media: MediaRef) -> None:
        self._media = media
        self._lines: dict[str, str] = {}

    @workflow.run
    async def run(self, media: MediaRef) -> None:
        """Fetch every file, each with retries of its own."""
        plan = await workflow.execute_local_activity_method(
            MediaActivities.load_media,
            media,
            start_to_close_timeout=policies.DATABASE_TIMEOUT,
            retry_policy=policies.DATABASE_RETRY,
            summary="which files",
        )
        await asyncio.gather(*(self._settle(plan, file) for file in plan.files))
        if plan.awaited:
            await self._tell_session()

    async def _settle(self, plan: MediaPlan, file: MediaFile) -> None:
        self._describe(file, "is being fetched")
        try:
            fetched = await self._fetch(plan, file)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            fetched = await self._give_up(file, _reason(error))
        self._describe(file, fetched.state)
        if fetched.transcribe:
            await self._transcribe(plan, file)

    async def _fetch(self, plan: MediaPlan, file: MediaFile) -> Fetched:
        return await workflow.execute_activity_method(
            MediaActivities.fetch_attachment,
            file,
            task_queue=plan.queue,
            start_to_close_timeout=policies.FETCH_TIMEOUT,
            schedule_to_close_timeout=policies.FETCH_TOTAL,
            heartbeat_timeout=policies.HEARTBEAT,
            retry_policy=policies.FETCH_RETRY,
            summary=f"{file.label} of {self._media.trace_id}",
        )

    async def _give_up(self, file: MediaFile, reason: str) -> Fetched:
        return await workflow.execute_local_activity_method(
            MediaActivities.give_up_attachment,
            GivenUp(file, reason),
            start_to_close_timeout=policies.DATABASE_TIMEOUT,
            retry_policy=policies.DATABASE_RETRY,
        )

    async def _transcribe(self, plan: MediaPlan, file: MediaFile) -> None:
        self._describe(file, "is being transcribed")
        try:
            await workflow.execute_activity_method(
                MediaActivities.transcribe_attachment,
                file,
                task_queue=plan.queue,
                start_to_close_timeout=policies.TRANSCRIBE_TIMEOUT,
                heartbeat_timeout=policies.HEARTBEAT,
                retry_policy=policies.TRANSCRIBE_RETRY,
                summary=f"what {file.label} of {self._media.trace_id} says",
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            # The file itself is there: a person can listen to it.
            self._describe(file, f"stored; not transcribed: {_reason(error)}")
            return
        self._describe(file, "stored and transcribed")

    async def _tell_session(self) -> None:
        session = workflow.get_external_workflow_handle(session_workflow_id(self._media.ref.session_id))
        try:
            await session.signal(MEDIA_SETTLED, [self._media.message_id])
        except FailureError:
            # No session waits: it was answered, or closed, before.
            workflow.logger.info("%s does not run", SESSION_WORKFLOW)

    def _describe(self, file: MediaFile, how: str) -> None:
        """Keep what the UI shows under "Current Details" true; it costs no event."""
        self._lines[file.attachment_id] = f"- {file.label} `{file.attachment_id}`: {how}"
        workflow.set_current_details("\n".join(self._lines.values()))


def _reason(error: ActivityError) -> str:
    """Return the last failure in words; only our own activities' words are fit to be shown."""
    cause = error.cause
    if isinstance(cause, ApplicationError) and cause.type == "MediaError":
        return cause.message
    return "it could not be fetched in time"
