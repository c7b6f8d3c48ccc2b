"""Makes a webhook that waits to be sent. Called by the plays."""

from __future__ import annotations

import base64
import time
import uuid
from dataclasses import dataclass

from simulator.channel import Channel
from simulator.records import Delivery


@dataclass(frozen=True, slots=True)
class About:
    """What a webhook is about, for the logs: its kind, its id, the chat and the message."""

    kind: str
    event_id: str
    chat: str | None = None
    message_id: str | None = None


def new_delivery(
    channel: Channel,
    about: About,
    body: bytes,
    *,
    content_type: str = "application/json",
    queue: str | None = None,
    retry: bool = True,
    lifetime_s: float | None = None,
) -> Delivery:
    """Return a delivery. `queue`: what waits for what; `lifetime_s`: when the platform gives up."""
    return Delivery(
        id=uuid.uuid4().hex,
        channel=channel.name,
        kind=about.kind,
        event_id=about.event_id,
        chat=about.chat,
        message_id=about.message_id,
        body=base64.b64encode(body).decode(),
        content_type=content_type,
        queue=queue,
        copies=1,
        retry=retry,
        created_at=time.time(),
        lifetime_s=lifetime_s,
    )
