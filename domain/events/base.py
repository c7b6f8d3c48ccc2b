"""What every event is: a wire name, streams and a payload of views."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Event(BaseModel):
    """Base of all events. `streams` says where it goes; `timestamp` is when the state it shows was reached."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    transient: ClassVar[bool] = False
    timestamp: datetime

    def streams(self) -> list[str]:
        """Return the streams that carry this event."""
        raise NotImplementedError
