"""What may be said of a channel, and what is said of platforms. For api/channels.py only."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, field_validator

from adapters.base import Capabilities
from adapters.connectors import transport_of
from domain.channel import AmbiguousPolicy, BusyMode
from domain.errors import InvalidInputError
from domain.outbound import OutboundLimits, Template
from domain.preview import Streaming
from domain.views import View

_SECONDS_IN_A_YEAR = 366 * 24 * 3600


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Configuration(BaseModel):
    """The keys that the system reads; others are kept as they are. A wrong value here would stop every session."""

    model_config = ConfigDict(extra="allow", use_enum_values=True)
    busy_mode: BusyMode | None = Field(None, description="What a message does that comes while an answer is made")
    collect_window_ms: int | None = Field(None, ge=0, le=60_000, description="How long `collect` waits for more")
    groups: Literal["mentions", "all"] | None = Field(None, description="In groups: answer when spoken to, or always")
    ambiguous_policy: AmbiguousPolicy | None = Field(None, description="A send with an unknown outcome: repeat it?")
    transport: Literal["webhook", "polling", "socket_mode"] | None = Field(
        None, description="How the platform's word comes to us"
    )
    streaming: Streaming | None = Field(None, description="Show a reply while it is made, where the platform can")
    catch_up_s: float | None = Field(
        None,
        ge=0,
        le=_SECONDS_IN_A_YEAR,
        description="What was said longer ago, while nobody listened, is shown as `late` and not answered; 900 if not given",
    )
    idle_after_s: float | None = Field(
        None, gt=0, le=_SECONDS_IN_A_YEAR, description="Silence after which a session is idle; 24 hours if not given"
    )
    close_after_s: float | None = Field(
        None, gt=0, le=_SECONDS_IN_A_YEAR, description="Silence after that which closes it; 7 days if not given"
    )
    shards: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="Into how many connections a bot is split; what the platform advises if not given",
    )
    typing_indicator: bool | None = Field(None, description="Show that an answer is being written; on where not said")
    window_template: Template | None = Field(
        None,
        description="Sent in place of a text when the reply window is closed; `{text}` in a parameter is that text",
    )
    answer_bots: bool | None = Field(
        None, description="Answer other bots, up to `bot_turn_cap`; by default nobody does"
    )
    bot_turn_cap: int | None = Field(
        None, ge=1, le=100, description="Turns that bots may open one after another in a conversation; default 3"
    )


class ChannelFields(_Body):
    """What may be said of a channel. A `configuration` key given as null is removed."""

    name: str | None = Field(None, min_length=1, max_length=255)
    default_agent_id: UUID | None = None
    rate_limit_per_minute: int | None = Field(None, ge=1, le=1000)
    credentials: dict[str, str] | None = Field(None, max_length=50)
    configuration: Configuration | None = None
    routing_config: dict[str, Any] | None = None
    agent_personality: dict[str, Any] | None = None

    @field_validator("configuration")
    @classmethod
    def _no_secrets(cls, value: Configuration | None) -> Configuration | None:
        if value is not None and "credentials" in (value.model_extra or {}):
            raise ValueError("credentials belong into the field of that name; configuration is shown to readers")
        return value

    def merged(self, stored: Mapping[str, object]) -> dict[str, object] | None:
        """Return the stored configuration with what was given, and the two blocks that the contract names beside it."""
        given: dict[str, object] = {}
        if self.configuration is not None:
            given |= self.configuration.model_dump(mode="json", exclude_unset=True)
        blocks = {"routing_config": self.routing_config, "agent_personality": self.agent_personality}
        given |= {name: value for name, value in blocks.items() if name in self.model_fields_set}
        if not given:
            return None
        return {name: value for name, value in {**stored, **given}.items() if value is not None}

    def agent(self) -> tuple[UUID | None] | None:
        """Return the agent that was given, which may be nobody; None when nothing was said of it."""
        return (self.default_agent_id,) if "default_agent_id" in self.model_fields_set else None


class NewChannelFields(ChannelFields):
    """A new channel needs a name and a platform."""

    name: str = Field(min_length=1, max_length=255)  # pyright: ignore[reportIncompatibleVariableOverride] - required
    platform: str


class CredentialView(View):
    """One secret or setting that a platform needs; `where` it is found."""

    name: str
    label: str
    where: str
    secret: bool
    required: bool
    made_up: bool
    transport: str | None


class CarriedView(View):
    """What a platform carries besides text; what it does not goes in another form. `files`: type -> most bytes.

    `buttons`, `menu`: how many at most, 0 where there are none. `reply_window_s`: how long after a person's words one may write
    freely, 0 for always.
    """

    files: dict[str, int]
    caption_limit: int
    buttons: int
    menu: int
    location: bool
    templates: bool
    reactions: bool
    reply_window_s: int


def _carried(can: OutboundLimits, reply_window_s: int) -> CarriedView:
    return CarriedView(
        files={name: limits.size for name, limits in can.files.items()},
        caption_limit=can.caption,
        buttons=can.buttons.count if can.buttons else 0,
        menu=can.menu.count if can.menu else 0,
        location=can.location,
        templates=can.templates,
        reactions=can.reactions,
        reply_window_s=reply_window_s,
    )


class PlatformView(View):
    """A platform that can be connected. `text_limit` is counted in `text_unit` for one part."""

    id: str
    name: str
    supported: bool
    registers_webhook: bool
    transports: list[str]
    has_receipts: bool
    text_limit: int
    text_unit: str
    carries: CarriedView
    credentials: list[CredentialView]


class CheckView(View):
    """What testing a channel found."""

    ok: bool
    identity: dict[str, str]
    problems: list[str]

    def words(self) -> str:
        """Return all of it as a sentence: what works may still lack something."""
        wrong = "; ".join(self.problems)
        fine = "The platform accepts the credentials"
        return wrong if wrong and not self.ok else f"{fine}, but: {wrong}" if wrong else fine


def platform_view(name: str, can: Capabilities) -> PlatformView:
    """Shape what a platform can do for who wants to connect it."""
    fields = [
        CredentialView(
            name=f.name,
            label=f.label,
            where=f.where,
            secret=f.secret,
            required=f.required,
            made_up=f.made_up,
            transport=f.transport,
        )
        for f in can.credentials
    ]
    return PlatformView(
        id=name,
        name=can.label,
        supported=True,
        registers_webhook=can.registers_webhook,
        transports=[one for one in ("webhook", transport_of(name)) if one],
        has_receipts=can.has_receipts,
        text_limit=can.text_limit,
        text_unit=can.text_unit,
        carries=_carried(can.outbound, can.reply_window_s),
        credentials=fields,
    )


class NewChannelBody(_Body):
    """`{channel: {...}}`."""

    channel: NewChannelFields


class ChannelBody(_Body):
    """`{channel: {...}}`."""

    channel: ChannelFields


def complete(can: Capabilities, stored: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Return stored credentials with the given ones; an empty value removes one, and what may be made up is.

    Raises InvalidInputError for one that the platform does not know, and for a required one that is missing.
    """
    fields = {field.name: field for field in can.credentials}
    unknown = sorted(set(given) - set(fields))
    if unknown:
        problem = f"Unknown credentials: {', '.join(unknown)}; known: {', '.join(fields)}"
        raise InvalidInputError(problem, details={"errors": [{"field": f"channel.credentials.{unknown[0]}"}]})
    whole = {name: value.strip() for name, value in {**stored, **given}.items() if value.strip()}
    made_up = [name for name, field in fields.items() if field.made_up and name not in {*whole, *given}]
    whole |= {name: secrets.token_urlsafe(32) for name in made_up}
    missing = [field for name, field in fields.items() if field.required and name not in whole]
    if missing:
        where = "; ".join(f"{field.name} ({field.where})" for field in missing)
        errors = [{"field": f"channel.credentials.{field.name}", "message": field.where} for field in missing]
        raise InvalidInputError(f"Missing credentials: {where}", details={"errors": errors})
    return whole
