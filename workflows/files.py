"""How a session's turn waits for files: a message that is nothing but files is answered by what they hold (adr/0013)."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import Final

from temporalio import workflow

from domain.work import Arrival
from workflows.inbox import Inbox

REMEMBERED: Final = 200


class AwaitedFiles:
    """What a session knows of its messages' files. Of its own it keeps what was settled lately, for messages that it
    reads from the table while word of their files is on its way.
    """

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._settled: deque[str] = deque(maxlen=REMEMBERED)

    def settled(self, message_ids: list[str]) -> None:
        """Take note that the files of these messages were fetched, or will not be."""
        self._inbox.files_settled(message_ids)
        self._settled.extend(message_ids)

    async def wait(self, batch: list[Arrival]) -> None:
        """Wait for the files of a batch, for a while. Later messages wait with it, as behind any turn (ORDER)."""
        awaited = {arrival.message_id for arrival in batch if arrival.files}
        if awaited.issubset(self._settled):
            return
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: awaited.issubset(self._settled),
                timeout=self._inbox.plan.file_wait_s,
                timeout_summary="answered without its files",
            )
