"""`powernode token` on a running system: made, listed, revoked, refused in words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stack.embedded import StackUrls
from tests.conftest import DatabaseUrls
from tests.stack.people import place

pytestmark = pytest.mark.usefixtures("redis")


async def test_make_list_and_revoke(
    stack_urls: StackUrls, database_urls: DatabaseUrls, redis_url: str, tmp_path: Path
) -> None:
    async with place(stack_urls, database_urls, redis_url, tmp_path, "telegram") as here:
        command = ("token", "add", "build server", "--permission", "events.publish", "--prefix", "devops_")
        status, out, err = await here.powernode(*command)
        assert (status, out[:5]) == (0, "pnst_"), err
        status, listed, err = await here.powernode("token", "list", "--json")
        [token] = [one for one in json.loads(listed)["items"] if one["name"] == "build server"]
        assert (token["stream_prefixes"], out.strip() in listed) == (["devops_"], False), err
        status, shown, err = await here.powernode("token", "revoke", token["id"])
        assert (status, shown.split()[:2]) == (0, [token["id"], "revoked"]), err
        status, _, err = await here.powernode("token", "add", "x", "--permission", "everything")
        assert status == 1
        assert "permissions" in err
