"""Names in Redis. All keys of one stream share a hash tag, so that one script may touch them; nothing else spells them."""

from __future__ import annotations

MAX_STREAM_CHARS = 200


def check_stream(stream: str) -> str:
    """Return the name as it is. Raises ValueError for one that cannot be a hash tag of its own."""
    if not stream or len(stream) > MAX_STREAM_CHARS or "{" in stream or "}" in stream:
        raise ValueError(f"not a stream name: {stream!r}")
    return stream


def meta_key(stream: str) -> str:
    """Return the hash of a stream's `run`, `epoch` and `top` offset."""
    return f"{{{stream}}}:meta"


def log_key(stream: str) -> str:
    """Return the log of a stream's recent events; an entry's id is `<offset>-0`, `p` its payload, `t` its time in ms, `x` whom to spare."""
    return f"{{{stream}}}:log"


def event_key(stream: str, event_id: str) -> str:
    """Return where a published event's position is remembered, so that a repeat adds nothing."""
    return f"{{{stream}}}:e:{event_id}"


def live_channel(stream: str) -> str:
    """Return the pub/sub channel that carries a stream's live events."""
    return f"{{{stream}}}:live"


def members_key(stream: str) -> str:
    r"""Return the sorted set of who is present: `<id as JSON>\x1f<sid>`, scored by the time until when, in ms."""
    return f"{{{stream}}}:members"


def member_counts_key(stream: str) -> str:
    """Return the hash of how many sockets each present id has."""
    return f"{{{stream}}}:counts"


def member_infos_key(stream: str) -> str:
    """Return the hash of what each present id said about itself, as JSON."""
    return f"{{{stream}}}:infos"


def session_key(sid: str) -> str:
    """Return where a socket's subscriptions are remembered, so that another process can take them over."""
    return f"{{session:{sid}}}"
