"""Made-up credentials of simulated bots: the same secret gives the same ones, in the form that each platform's have."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Final

from simulator.discord_keys import public_key


def _telegram(secret: str) -> Mapping[str, str]:
    return {"bot_token": f"{int(secret[:8], 16)}:{secret}", "webhook_secret": secret[::-1]}


def _slack(secret: str) -> Mapping[str, str]:
    return {"bot_token": f"xoxb-{secret}", "signing_secret": secret[::-1], "app_token": f"xapp-{secret}"}


def _whatsapp(secret: str) -> Mapping[str, str]:
    phone_id = f"1{int(secret[:12], 16)}"
    return {
        "access_token": f"EAA{secret}",
        "app_secret": secret[::-1],
        "phone_number_id": phone_id,
        "verify_token": secret,
    }


def _mattermost(secret: str) -> Mapping[str, str]:
    tokens = {"webhook_token": secret[:26], "command_token": secret[6:]}
    return {"site_url": "https://mattermost.invalid", "bot_token": secret[::-1], **tokens}


def _discord(secret: str) -> Mapping[str, str]:
    return {"bot_token": secret, "public_key": public_key(secret)}


CREDENTIALS: Final[Mapping[str, Callable[[str], Mapping[str, str]]]] = {
    "slack": _slack,
    "telegram": _telegram,
    "whatsapp": _whatsapp,
    "mattermost": _mattermost,
    "discord": _discord,
}
"""Platform → what makes its bot's credentials of 32 hexadecimal digits."""


def credentials(platform: str, secret: str) -> dict[str, str]:
    """Return what a platform's bot has, made of any secret."""
    return dict(CREDENTIALS[platform](hashlib.sha256(f"{secret} {platform}".encode()).hexdigest()[:32]))
