"""`powernode platform-admin`: who administers the whole installation, beside the accounts they belong to.

Set in the database as its owner, since no route may. The person's sockets are told to come back, so that they are
opened with what the person may now; where Redis is away, each order still asks for the flag itself.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Final

from config import StackSettings
from db.accounts import set_platform_admin
from db.session import Database
from domain.errors import UnavailableError
from realtime.client import redis_client
from realtime.control import CONTROL_STREAM, Disconnect
from realtime.publish import Publisher
from stack.paths import VarDir
from stack.state import StackState

_NOTHING: Final = (
    "Set POWERNODE_DATABASE_OWNER_URL (or DATABASE_URL) and REDIS_URL, or start the stack with `make up`\n"
)


def run(settings: StackSettings, email: str, *, granted: bool) -> int:
    """Grant it, or take it away; return the exit status: 2 where there is no database, 1 for nobody by that address."""
    owner, redis = settings.owner_url(), settings.redis_url
    redis_url = redis.get_secret_value() if redis else None
    if owner is None or redis_url is None:
        state = StackState.read(VarDir.at(settings.var_dir))
        if state is None:
            sys.stderr.write(_NOTHING)
            return 2
        owner, redis_url = owner or state.database_owner_url, redis_url or state.redis_url
    if not asyncio.run(change(owner, redis_url, email, granted=granted)):
        sys.stderr.write(f"There is nobody with the address {email}\n")
        return 1
    sys.stdout.write(f"{email} is {'now' if granted else 'no longer'} a platform administrator\n")
    return 0


async def change(owner_url: str, redis_url: str, email: str, *, granted: bool) -> bool:
    """Set the flag and call the person's sockets back; whether there is such a person."""
    database, redis = Database(owner_url, pool_size=1), redis_client(redis_url)
    try:
        async with database.open() as conn:
            user_id = await set_platform_admin(conn, email, granted=granted)
        if user_id is not None:
            order = Disconnect({"user_id": str(user_id)}, reconnect=True)
            try:
                await Publisher(redis).publish_transient(CONTROL_STREAM, order.dump())
            except UnavailableError:
                sys.stderr.write("Redis does not answer: sockets that are open stay as they are\n")
        return user_id is not None
    finally:
        await redis.aclose()
        await database.close()
