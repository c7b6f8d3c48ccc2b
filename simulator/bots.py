"""Bots that are there from the start, and the page of JSON by which a program that uses the simulator finds everything."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from simulator.made_up import CREDENTIALS, credentials
from simulator.plays import PLAYS
from simulator.records import Credentials, Json, Options
from simulator.state import World

API_PATHS: Final[Mapping[str, str]] = {
    "telegram": "/bot{bot_token}",
    "slack": "/api",
    "discord": "/api/v10",
    "mattermost": "/api/v4",
    "whatsapp": "/v23.0/{phone_number_id}",
}
"""Platform → where its API begins."""


@dataclass(frozen=True, slots=True)
class Bot:
    """One bot of a platform, named after it. `webhook`: where it wants to be told; None until somebody sets it."""

    platform: str
    seed: str
    webhook: str | None = None

    @property
    def credentials(self) -> dict[str, str]:
        """Return what both sides know."""
        return credentials(self.platform, self.seed)

    def enter(self, world: World) -> None:
        """Register at a world; a webhook that was set before stays where none is given now."""
        given = Credentials.model_validate(self.credentials)
        channel = world.register(self.platform, self.platform, given, Options())  # pyright: ignore[reportArgumentType] - one of them
        channel.webhook.secret = PLAYS[self.platform].secret(given)
        channel.webhook.url = self.webhook or channel.webhook.url
        world.save_channel(channel)

    def describe(self, origin: str) -> Json:
        """Return how it is reached."""
        path = API_PATHS[self.platform].format(**self.credentials)
        return {
            "name": self.platform,
            "platform": self.platform,
            "api": f"{origin}{path}",
            "webhook": self.webhook,
            "credentials": self.credentials,
        }


def wanted(names: Sequence[str], webhooks: Sequence[str], seed: str) -> list[Bot]:
    """Return the bots asked for: `names` (none: one of each platform), `webhooks` as platform=address. Raises ValueError."""
    told = dict[str, str]()
    for pair in webhooks:
        platform, sign, url = pair.partition("=")
        if not sign or not url.startswith(("http://", "https://")):
            raise ValueError(f"--webhook wants platform=http://…, not {pair!r}")
        told[platform] = url
    unknown = [name for name in [*names, *told] if name not in CREDENTIALS]
    if unknown:
        raise ValueError(f"unknown platform {unknown[0]!r}; one of: {', '.join(CREDENTIALS)}")
    chosen = [name for name in CREDENTIALS if name in names or name in told or not names]
    return [Bot(name, seed, told.get(name)) for name in chosen]


def describe(origin: str, bots: Sequence[Bot]) -> Json:
    """Return all that a program needs to know. Shape: docs/simulator.md."""
    return {
        "origin": origin,
        "page": f"{origin}/",
        "control": f"{origin}/_sim",
        "model": f"{origin}/v1",
        "pid": os.getpid(),
        "bots": {bot.platform: bot.describe(origin) for bot in bots},
    }


def write(path: Path, found: Json) -> None:
    """Write the page, whole or not at all: who waits for the file may read it at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.touch(mode=0o600)
    beside.write_text(json.dumps(found, indent=2) + "\n")
    beside.replace(path)
