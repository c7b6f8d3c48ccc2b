"""A bot whose servers are split over two connections: one worker holds both, and nothing is lost or doubled with either."""

from __future__ import annotations

import itertools

from adapters.platform.discord.sessions import shard_of
from simulator import names
from tests.e2e.desk import desk_of
from tests.e2e.sockets import STATE, STATUS, heard, listeners
from tests.e2e.system import HASH, System, Talk
from tests.tenants import Wish

SESSIONS = "SELECT count(*) FROM channel_connections WHERE position ?& ARRAY['0:session', '1:session']"


def room(talk: Talk, shard: int) -> str:
    """Return a channel of a server that this connection hears of."""
    servers = (f"server-{number}" for number in itertools.count())
    return next(f"{one}/help" for one in servers if shard_of(names.discord_id("guild", talk.name, one), 2) == shard)


class TestTwoConnections:
    async def test_both_are_answered_once_over_a_lost_connection_and_a_dead_worker(self, system: System) -> None:
        wish = Wish(password_hash=HASH, configuration={"groups": "all"})
        talk = await system.open_talk("discord", wish, shards=2, identify_every_s=5)
        desk = await desk_of(talk)
        assert (await desk.post(f"/chat/channels/{talk.tenant.channel_id}/connect")).status_code == 200
        await listeners(talk, 2)
        await talk.until(STATE, "connected")
        await talk.until(STATUS, "connected")
        for shard in (0, 1):
            await talk.say("alice", f"first {shard}", chat=room(talk, shard), wait=False)
        await talk.replies(2)
        await talk.until(SESSIONS, 1)
        await system.simulator.post("sockets", {"channel": talk.name, "order": "drop 1"})
        await talk.say("alice", "second 1", chat=room(talk, 1), wait=False)
        await talk.replies(3)
        await system.worker.kill()
        await listeners(talk, 0)
        for shard in (0, 1):
            await talk.say("alice", f"third {shard}", chat=room(talk, shard), wait=False)
        # Sessions are resumed: a new one would be refused for an hour.
        await system.simulator.register(
            "discord", talk.name, talk.webhook_url, talk.credentials, shards=2, identify_every_s=3600
        )
        system.worker.start()
        await talk.replies(5)
        await heard(talk, "alice", "last")
        replies = [str(reply["text"]) for reply in await talk.replies(6)]
        said = ["first 0", "first 1", "second 1", "third 0", "third 1", "last"]
        assert sorted(word for reply in replies for word in said if word in reply) == sorted(said)
