"""Where each of a bot's connections stands, as positions: which session, how far, and the last message of each channel.

Servers are dealt out by `(server >> 22) % shards`; direct chats come by the first connection
(https://docs.discord.com/developers/events/gateway#sharding). Position of a bot with one connection: `session`, `url`, `seq`;
of one with more the same with the connection's number before it (`1:session`), and `shards`. Always `at:{channel}` = the last
message there and its server: that is true whatever the number of connections.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_OURS = ("session", "url", "seq")


@dataclass(slots=True)
class Session:
    """Where one connection stands. `places`: channel → last message and server. `own`: our id, as Discord said."""

    shard: int = 0
    shards: int = 1
    id: str = ""
    url: str = ""
    seq: int | None = None
    places: dict[str, str] = field(default_factory=dict[str, str])
    own: str = ""

    @classmethod
    def of(cls, position: Mapping[str, str], shard: int, shards: int) -> Session:
        """Read a whole bot's position. A session of another number of connections is worth nothing; its places are."""
        places = {
            name[3:]: mark
            for name, mark in position.items()
            if name.startswith("at:") and shard_of(mark.partition(":")[2], shards) == shard
        }
        if shards_of(position) != shards:
            return cls(shard, shards, places=places)
        id_, url, seq = (position.get(_key(name, shard, shards), "") for name in _OURS)
        return cls(shard, shards, id_, url, int(seq) if seq.isdigit() else None, places)

    def position(self) -> dict[str, str]:
        """Return its part of the bot's position."""
        found = {"session": self.id, "url": self.url, "seq": "" if self.seq is None else str(self.seq)}
        named = {_key(name, self.shard, self.shards): value for name, value in found.items() if value}
        if self.shards > 1:
            named["shards"] = str(self.shards)
        return named | {f"at:{chat}": mark for chat, mark in self.places.items()}

    def forget(self) -> None:
        """Begin anew; the places stay."""
        self.id, self.url, self.seq = "", "", None


def shards_of(position: Mapping[str, str]) -> int:
    """Return how many connections a position is of."""
    spelled = position.get("shards", "")
    return int(spelled) if spelled.isdigit() and int(spelled) else 1


def has_session(position: Mapping[str, str]) -> bool:
    """Whether anything of it can be resumed."""
    return any(name.rpartition(":")[2] == "session" and not name.startswith("at:") for name in position)


def shard_of(guild: str, shards: int) -> int:
    """Return by which connection a server's events come."""
    return (int(guild) >> 22) % shards if guild.isascii() and guild.isdigit() else 0


def _key(name: str, shard: int, shards: int) -> str:
    return name if shards == 1 else f"{shard}:{name}"
