"""What all Slack items share: where they happened, when, and under which keys. Called by parsing.py and events.py."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from adapters.base import ChannelContext, WebhookRequest
from adapters.bots import answers_bots
from adapters.foreign import digest, instant
from domain.message import EventKind, InboundEvent, ReplyAddress, Sender

_TS: Final = re.compile(r"\d{1,12}\.\d{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Where:
    """A place in Slack. `ts`: the message; `thread_ts`: its thread's root, if it is in a thread."""

    channel: str = ""
    ts: str | None = None
    thread_ts: str | None = None
    direct: bool = False

    @property
    def root(self) -> str | None:
        """The thread that an answer goes to: the message's own, or in a channel a new one under the message."""
        return self.thread_ts or (None if self.direct else self.ts)


@dataclass(frozen=True, slots=True)
class Context:
    """The request being read, and what is known of our own bot."""

    request: WebhookRequest
    own_user: str | None
    own_bot: str | None
    all_in_groups: bool
    answers_bots: bool

    @classmethod
    def of(cls, request: WebhookRequest, channel: ChannelContext) -> Context:
        """Build it from the channel's identity and configuration."""
        return cls(
            request=request,
            own_user=channel.identity.get("user_id"),
            own_bot=channel.identity.get("bot_id"),
            all_in_groups=channel.configuration.get("groups") == "all",
            answers_bots=answers_bots(channel),
        )

    def item(self, kind: EventKind, where: Where, ts: str | None) -> InboundEvent:
        """Return an item; `ts` is Slack's time and order in one, else the signed time of the request counts."""
        stamp = ts if ts and _TS.fullmatch(ts) else self._signed_time()
        seconds, _, fraction = stamp.partition(".")
        return InboundEvent(
            dedup_key=digest(self.request.body),
            order_key=f"{int(seconds):012d}.{fraction:0<9}",
            kind=kind,
            session_key=f"{where.channel}:{where.root}" if where.root else where.channel,
            reply_to=ReplyAddress(chat=where.channel, thread=where.root, message=where.ts),
            sender=Sender(""),
            message_id=where.ts or "",
            text="",
            occurred_at=instant(float(stamp), self.request.received_at),
            is_group=bool(where.channel) and not where.direct,
        )

    def unknown(self, reason: str) -> InboundEvent:
        """Return an item for what is not understood."""
        return replace(self.item(EventKind.UNKNOWN, Where(), None), text=reason)

    def _signed_time(self) -> str:
        signed = self.request.header("x-slack-request-timestamp") or ""
        return f"{signed}.0" if _TS.fullmatch(f"{signed}.0") else f"{max(self.request.received_at, 0):.6f}"
