"""The control API's request bodies. Unknown fields are refused, so that a misspelt option does not pass unseen."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from simulator.model import Script
from simulator.records import Credentials, Options, Platform
from simulator.wish import Say


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class ChannelRef(_Body):
    """Names a channel: by name, by bot token, or the first of a platform."""

    channel: str | None = None
    token: str | None = None
    platform: Platform | None = None


class RegisterInput(_Body):
    """POST /_sim/channels."""

    platform: Platform
    name: str
    webhook_url: str | None = None
    credentials: Credentials
    options: Options = Options()
    verify: bool = False
    """Slack: send the url_verification handshake and report its outcome."""


class SayInput(Say):
    """POST /_sim/say."""

    channel: str | None = None
    token: str | None = None
    platform: Platform | None = None
    mode: Literal["send", "sign_only"] = "send"
    copies: int = 1
    """Identical deliveries at once."""
    wait: bool = False
    """Answer when every delivery was tried once."""


class DeliverInput(ChannelRef):
    """POST /_sim/deliver: any bytes, signed as the platform would."""

    body_base64: str
    content_type: str = "application/json"
    mode: Literal["send", "sign_only"] = "send"
    copies: int = 1
    wait: bool = False
    retry: bool = True


class PersonInput(ChannelRef):
    """POST /_sim/people: make a person and their private chat; or change one."""

    name: str
    blocked: bool | None = None
    is_bot: bool | None = None
    number: str | None = Field(default=None, pattern=r"^\d{7,15}$")
    """WhatsApp: they have this telephone number from now on, and the bot is told so."""
    number_hidden: bool | None = None
    """WhatsApp: whether the bot is told their user id alone."""


class ChatInput(ChannelRef):
    """POST /_sim/chats: make a group; or change one."""

    name: str
    kind: Literal["group", "supergroup", "channel", "mpim"] | None = None
    members: list[str] = []
    bot_member: bool | None = None
    threads: list[str] = []


class SocketInput(ChannelRef):
    """POST /_sim/sockets: what a channel's open sockets do; see the sockets for the orders."""

    order: str


class ReleaseInput(_Body):
    """POST /_sim/release: open the gate of one fault, or of all; `keep` lets the fault go on."""

    fault: str | None = None
    keep: bool = False


class ResetInput(_Body):
    """POST /_sim/reset: one channel, or everything."""

    channel: str | None = None
    forget_channels: bool = False


class ModelInput(_Body):
    """POST /_sim/model/script."""

    replies: list[Script]
    reset: bool = False
