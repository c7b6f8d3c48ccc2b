"""What a hub has just now: in numbers for api/metrics.py, one account's sockets for realtime/survey.py."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from realtime.connection import Connection
from realtime.fanout import Fanout
from realtime.survey import Seen


@dataclass(frozen=True, slots=True)
class Standing:
    """One process's. `users` are different people, `outbox_bytes` what waits to be sent to them, `sent_bytes` what was."""

    clients: int
    users: int
    streams: int
    subscriptions: int
    outbox_bytes: int
    sent_bytes: int
    loop_lag_s: float


def stand(sockets: Collection[Connection], fanout: Fanout, loop_lag_s: float) -> Standing:
    """Count what there is."""
    return Standing(
        clients=len(sockets),
        users=len({socket.identity.user_id for socket in sockets}),
        streams=len(fanout.streams()),
        subscriptions=len(fanout),
        outbox_bytes=sum(socket.size_bytes for socket in sockets),
        sent_bytes=sum(socket.sent_bytes for socket in sockets),
        loop_lag_s=loop_lag_s,
    )


def look(sockets: Collection[Connection], fanout: Fanout, account_id: str) -> list[Seen]:
    """Return one account's sockets and what each hears."""
    mine = {socket for socket in sockets if str(socket.identity.account_id) == account_id}
    hears = fanout.heard_by(mine)
    return [
        Seen(
            id=socket.sid[:8],
            user_id=socket.identity.user_id,
            name=socket.identity.name,
            waiting_bytes=socket.size_bytes,
            sent_bytes=socket.sent_bytes,
            hears=hears.get(socket, {}),
        )
        for socket in mine
    ]
