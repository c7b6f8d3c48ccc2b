"""What the simulator remembers: channels, people, chats, messages, and what happened. Data only.

Plain dataclasses, so that the journal writes them as they are. Times: `at` in seconds since 1970, `mono` on the machine's
monotonic clock (comparable between processes of one machine).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

Platform = Literal["telegram", "slack", "whatsapp", "mattermost", "discord"]
Json = dict[str, object]


class Options(BaseModel):
    """How one channel's platform behaves; defaults are the real platform's, without its limits on rate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    time_factor: float = Field(default=1.0, gt=0)
    """Every waiting time of the redelivery schedule is divided by this."""
    persistent: bool = False
    """Test aid, no platform does it: redeliver until 2xx, never give up."""
    echo_own: bool = True
    """Slack: the bot's own posts come back as events, as they do in reality."""
    flood_control: bool = False
    """Enforce the rate limits on sends with 429."""
    privacy_mode: bool = False
    """Telegram: in groups, deliver only commands, mentions and replies to the bot (the platform's own default is on)."""
    open_world: bool = False
    """Test aid: chats, threads and messages that nobody has seen are taken for real, as recorded payloads need it."""
    ack_timeout_s: float | None = None
    """How long a webhook may take; None is the platform's own limit. Not divided by time_factor."""
    heartbeat_s: float = 41.25
    """Discord: how often the gateway wants a heartbeat."""
    shards: int = 1
    """Discord: how many connections it advises; fewer are refused."""
    max_concurrency: int = 1
    """Discord: into how many rate limit keys new sessions fall."""
    identify_every_s: float = 0.0
    """Discord: the pause between two new sessions of a key (5 there); a faster one is refused. 0: no limit."""
    scopes: str | None = None
    """Slack: what the app may do, separated by commas, as it is told to who asks; None: nothing is told."""
    message_content: bool = True
    """Discord: whether the bot may read messages; else a connection that asks for it is closed (4014)."""
    is_bot: bool = True
    """Mattermost: whether the token is a bot's, not a person's."""
    receipts: tuple[Literal["sent", "delivered", "read"], ...] = ("sent", "delivered")
    """WhatsApp: the receipts that follow an accepted send."""


class Credentials(BaseModel):
    """What proves who is who; the platform decides which are used."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    bot_token: str = Field(validation_alias=AliasChoices("bot_token", "access_token"))
    webhook_secret: str = ""
    signing_secret: str = ""
    team_id: str = ""
    app_secret: str = ""
    phone_number_id: str = ""
    verify_token: str = ""
    webhook_token: str = ""
    command_token: str = ""
    app_token: str = ""


@dataclass(slots=True)
class Person:
    """Someone with a phone. `blocked`: refuses messages from the bot.

    `number`: another telephone number than the first, which is the id of their chat for good; `number_hidden`: the bot is
    told their user id alone.
    """

    name: str
    user_id: str
    is_bot: bool = False
    blocked: bool = False
    number: str = ""
    number_hidden: bool = False


@dataclass(slots=True)
class Chat:
    """A conversation as the platform names it. `members` are names of people."""

    id: str
    name: str
    kind: str
    bot_member: bool = True
    members: list[str] = field(default_factory=list[str])
    threads: list[str] = field(default_factory=list[str])
    last_id: int = 0
    moved_to: str | None = None
    """The id that the chat has since it was upgraded; this one is only kept to refer to it."""


@dataclass(slots=True)
class File:
    """A file in a message. `kind`: image, voice, audio, video, document or sticker. `head`: base64 of how it begins; it is
    filled up to `size` with zeros, so that a large one takes no memory.
    """

    id: str
    kind: str
    name: str
    mime_type: str
    size: int
    head: str
    origin: str


@dataclass(slots=True)
class Message:
    """One message as the platform stores it. `text` is what is seen, `source` what was sent."""

    chat: str
    id: str
    author: str
    from_bot: bool
    text: str
    source: str
    at: float
    thread: str | None = None
    reply_to: str | None = None
    edited_at: float | None = None
    deleted: bool = False
    metadata: Json | None = None
    blocks: list[object] | None = None
    entities: list[Json] = field(default_factory=list[Json])
    buttons: list[object] | None = None
    subtype: str | None = None
    reactions: list[str] = field(default_factory=list[str])
    """The bot's; `felt` are people's."""
    felt: list[str] = field(default_factory=list[str])
    kind: str = "text"
    """text, image, audio, video, document, sticker, location."""
    file: Json | None = None
    """The bot's: `{id, name, mime, size, url}`; see bot_files.py."""
    files: list[File] = field(default_factory=list[File])
    """A person's; see files.py."""
    location: Json | None = None
    """`{latitude, longitude, name?, address?}`."""
    choices: list[Json] = field(default_factory=list[Json])
    """Its buttons and menu lines as people see them; see choices.py."""
    history: list[str] = field(default_factory=list[str])
    """What it said before each of its edits."""

    def reword(self, text: str, source: str, at: float) -> None:
        """Let it say something else."""
        self.history.append(self.text)
        self.text, self.source, self.edited_at = text, source, at


@dataclass(slots=True)
class Draft:
    """What a bot is writing, as it is seen until the message comes or the time is over."""

    id: str
    text: str
    at: float
    until: float


@dataclass(slots=True)
class Received:
    """One send, edit, delete or draft of a bot that the platform accepted."""

    channel: str
    platform: str
    kind: str
    chat: str
    chat_name: str
    message_id: str
    thread: str | None
    reply_to: str | None
    text: str
    source: str
    metadata: Json | None
    at: float
    mono: float
    truncated: bool = False
    n: int = 0


@dataclass(slots=True)
class Call:
    """One request to a platform's or the model's API, faulted or not. `status` 0: dropped without an answer."""

    platform: str
    channel: str | None
    method: str
    chat: str | None
    chat_name: str | None
    body: Json
    at: float
    mono: float
    status: int = 0
    error: str | None = None
    fault: str | None = None
    accepted: bool = False
    message_id: str | None = None
    retry_after_s: float | None = None
    ended_at: float = 0.0
    ended_mono: float = 0.0
    n: int = 0


@dataclass(slots=True)
class Delivery:
    """One webhook on its way. `body` is base64; `queue` None: waits for nobody; `lifetime_s` None: the schedule ends it."""

    id: str
    channel: str
    kind: str
    event_id: str
    chat: str | None
    message_id: str | None
    body: str
    content_type: str
    queue: str | None
    copies: int
    retry: bool
    created_at: float
    lifetime_s: float | None = None
    url: str | None = None
    """Where it goes, if not to the channel's webhook."""


@dataclass(slots=True)
class Attempt:
    """One delivery attempt. `status` 0: no answer, see `error`. `outcome`: acked, retrying, dropped."""

    delivery: str
    channel: str
    kind: str
    event_id: str
    chat: str | None
    message_id: str | None
    number: int
    copy: int
    status: int
    error: str | None
    outcome: str
    at: float
    mono: float
    ended_mono: float
    n: int = 0
