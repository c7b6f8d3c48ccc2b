"""How often a bot may speak, shared by all workers through Redis: the platforms' rules, and the waits they impose.

One script in one round trip asks for all that applies: waits first, then a token bucket per rule. Whoever has to wait gets a
place in the queue with the wait (a ticket), so that a thousand who wait for one bot do not all come back at once.

A wait for a whole bot is also kept on the channel's row, so that it holds when Redis has lost it. While Redis is away each
process remembers waits and counts by itself (ruling 13).
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from typing import Final, cast
from uuid import UUID

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from activities.token_buckets import MOST, Bucket, Buckets
from adapters.base import Capabilities, ChannelContext
from adapters.limits import Place, Scope, Verb
from realtime.client import Script

log = structlog.get_logger()

ASK_S: Final = 1.0
"""How long an answer is waited for: the claim runs out meanwhile."""
AWAY_S: Final = 1.0
"""How long Redis is not asked again once it did not answer: no message waits for its time-outs meanwhile."""
SPARE: Final = 1
"""How many requests a preview leaves in every bucket for the messages themselves."""

# KEYS: waits, buckets, the ticket. ARGV: how many waits, what to spare, then interval (microseconds) and burst of each
# bucket. A ticket is "until when, which buckets are paid". Returns microseconds to wait; who spares gets no place.
_TAKE: Final = Script(b"""
local t = redis.call('TIME')
local now, waits, spare = t[1] * 1000000 + t[2], tonumber(ARGV[1]), tonumber(ARGV[2])
local wait = 0
for i = 1, waits do wait = math.max(wait, redis.call('PTTL', KEYS[i]) * 1000) end
if wait > 0 then return wait end
local ticket, held = KEYS[#KEYS], false
if spare == 0 then held = redis.call('GET', ticket) end
local due, paid = string.match(held or '0 ', '^(%d+) (%d*)$')
if tonumber(due) > now then return tonumber(due) - now end
local full, late, late_too, any = {}, {}, '', false
for i = 1, #KEYS - waits - 1 do
  local interval, burst = tonumber(ARGV[2 * i + 1]), tonumber(ARGV[2 * i + 2])
  local is_paid = string.sub(paid, i, i) == '1'
  if not is_paid then
    full[i] = math.max(tonumber(redis.call('GET', KEYS[waits + i]) or '0'), now)
    local after = full[i] + (1 + spare - burst) * interval - now
    if after > 0 then late[i], any, wait = true, true, math.max(wait, after) end
  end
  late_too = late_too .. ((is_paid or late[i]) and '1' or '0')
end
if any and spare > 0 then return math.ceil(wait) end
for i, at in pairs(full) do
  if late[i] or not any then
    local again = at + tonumber(ARGV[2 * i + 1])
    redis.call('SET', KEYS[waits + i], string.format('%.0f', again), 'PX', math.ceil((again - now) / 1000) + 1000)
  end
end
if any then
  redis.call('SET', ticket, string.format('%.0f %s', now + math.ceil(wait), late_too), 'PX', math.ceil(wait / 1000) + 60000)
elseif held then
  redis.call('DEL', ticket)
end
return math.ceil(wait)
""")


def place_of(
    capabilities: Capabilities,
    context: ChannelContext,
    platform: str,
    chat: str,
    verb: Verb,
    *,
    with_file: bool = False,
) -> Place:
    """Return where a request goes. Two channels with one bot's credentials share its limits."""
    told_apart = [context.credentials.get(name, "") for name in capabilities.bot_credentials]
    bot = hashlib.sha256("\n".join([platform, *told_apart]).encode("utf-8", "surrogatepass")).hexdigest()[:24]
    rules = tuple(rule for rule in capabilities.send_rules if verb in rule.verbs and rule.applies(chat))
    cost = 2 if with_file and capabilities.uploads_counted else 1
    return Place(bot, chat, verb, rules, apart=capabilities.edits_apart, cost=cost)


class SendLimiter:
    """One per process. `pace`: how much faster than the rules; 0 leaves only the waits that platforms impose.

    Shape in Redis, all under `send:{bot}:`: `wait:<chat or *>:<verb or *>` lives as long as the wait; `rule:<name>:<chat>`
    is a bucket, the time in microseconds at which it is full again; `ticket:<message>` is a place in the queue.
    """

    def __init__(self, redis: Redis, pace: float = 1.0) -> None:
        self._redis = redis
        self._pace = pace
        self._own: dict[str, float] = {}
        self._away_until = 0.0
        self._buckets = Buckets()

    def waits_here(self, channel_id: UUID) -> bool:
        """Whether this process knows that a channel's bot must be silent; others' waits are on the channel's row."""
        return self.wait_s(channel_id) > 0

    def wait_s(self, channel_id: UUID) -> float:
        """Return how many seconds a channel's bot must still be silent, as far as this process knows."""
        return self._own_wait_s(str(channel_id))

    async def take(self, place: Place, ticket: str) -> float:
        """Ask to send once; 0, or the seconds to wait before asking again. `ticket`: the message, whose place is kept."""
        return await self._ask(place, ticket, 0)

    async def has_room(self, place: Place) -> bool:
        """Ask for what can be left out: it is done at once or never, and only where others keep room enough."""
        return await self._ask(place, "", SPARE) <= 0

    async def pause(self, place: Place, seconds: float, scope: Scope, *, verb: Verb | None = None) -> None:
        """Keep a wait that the platform named, for the bot or one chat; a longer one already known stays.

        `verb`: it concerns only this.
        """
        key = _wait_key(place, scope is Scope.CHAT, verb)
        self._keep(key, seconds)
        milliseconds = int(seconds * 1000)
        try:
            if not await self._redis.set(key, 1, px=milliseconds, nx=True):
                await self._redis.pexpire(key, milliseconds, gt=True)
        except (RedisError, OSError) as error:
            log.warning("limiter.redis_away", error=type(error).__name__)

    async def refused(self, channel_id: UUID, place: Place, wait_s: float, named: Scope | None) -> bool:
        """Keep the wait of a request that was refused for its rate; returns whether the whole bot has to be silent.

        `named`: whom it concerns, where the platform says so. Where edits are counted apart, a wait that names nobody is
        that of the method which was called.
        """
        scope, alone = named or place.blames(wait_s), place.apart and named is not Scope.BOT
        await self.pause(place, wait_s, scope, verb=place.verb if alone else None)
        whole = scope is Scope.BOT and not (alone and place.verb is Verb.EDIT)
        if whole:
            # Known by the channel as well, so that no part is claimed for nothing.
            self._keep(str(channel_id), wait_s)
        return whole

    def _keep(self, key: str, seconds: float) -> None:
        now = time.monotonic()
        if len(self._own) > MOST:
            self._own = {known: until for known, until in self._own.items() if until > now}
        self._own[key] = max(self._own.get(key, 0.0), now + seconds)

    def _own_wait_s(self, key: str) -> float:
        return max(0.0, self._own.get(key, 0.0) - time.monotonic())

    async def _ask(self, place: Place, ticket: str, spare: int) -> float:
        waits = [_wait_key(place, in_chat, verb) for in_chat in (False, True) for verb in (None, place.verb)]
        known = max(self._own_wait_s(key) for key in waits)
        if known > 0:
            return known
        wanted = self._wanted(place)
        ticket = f"send:{{{place.bot}}}:ticket:{ticket}"
        if self._away_until > time.monotonic():
            return self._buckets.take(wanted, ticket, spare)
        numbers = [value for one in wanted.values() for value in (round(one.interval_s * 1e6), one.burst)]
        try:
            async with asyncio.timeout(ASK_S):
                answer = await _TAKE.run(self._redis, [*waits, *wanted, ticket], len(waits), spare, *numbers)
        except (RedisError, OSError) as error:
            log.warning("limiter.redis_away", error=type(error).__name__)
            self._away_until = time.monotonic() + AWAY_S
            return self._buckets.take(wanted, ticket, spare)
        return cast("int", answer) / 1e6

    def _wanted(self, place: Place) -> dict[str, Bucket]:
        """Return the buckets by key."""
        if self._pace <= 0:
            return {}
        buckets: dict[str, Bucket] = {}
        for rule in place.rules:
            chat = place.chat if rule.scope is Scope.CHAT else "*"
            key = f"send:{{{place.bot}}}:rule:{rule.name}:{chat}"
            # What costs two is one of half as many, twice as far apart.
            every_s = rule.per_s / rule.count / self._pace * place.cost
            buckets[key] = Bucket(key, every_s, max(1, rule.burst // place.cost))
        return buckets


def _wait_key(place: Place, in_chat: bool, verb: Verb | None) -> str:
    return f"send:{{{place.bot}}}:wait:{place.chat if in_chat else '*'}:{verb.value if verb else '*'}"
