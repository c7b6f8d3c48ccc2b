"""Chat channels: create, read, change, connect, test, and what was set aside."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from adapters.base import CheckResult
from adapters.registry import platform_names
from api.deps import Desk, Principal, allow
from api.envelope import PageQuery, done, page
from api.services import Services
from db import channel_status, channel_views, session_views
from db.channels import load_channel
from domain.channel import ChannelStatus
from domain.errors import InvalidInputError
from domain.permissions import Permission
from domain.views import ChannelView

router = APIRouter(prefix="/api/v1/chat", tags=["channels"])

Reader = Annotated[Principal, allow(Permission.CHANNELS_READ)]
Manager = Annotated[Principal, allow(Permission.CHANNELS_MANAGE)]
Page = Annotated[PageQuery, Depends()]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ChannelFields(_Body):
    """What may be said of a channel. `configuration` keys in use: `busy_mode`, `collect_window_ms`, `groups`,
    `ambiguous_policy`, `idle_after_s`, `close_after_s`.
    """

    name: str | None = Field(None, min_length=1, max_length=255)
    default_agent_id: UUID | None = None
    rate_limit_per_minute: int | None = Field(None, ge=1, le=1000)
    credentials: dict[str, str] | None = None
    configuration: dict[str, Any] | None = None
    routing_config: dict[str, Any] | None = None
    agent_personality: dict[str, Any] | None = None

    def merged(self) -> dict[str, object] | None:
        """Return the configuration with the two blocks that the contract names beside it."""
        extra = {"routing_config": self.routing_config, "agent_personality": self.agent_personality}
        given = {name: value for name, value in extra.items() if value is not None}
        return None if self.configuration is None and not given else {**(self.configuration or {}), **given}


class NewChannelFields(ChannelFields):
    """A new channel needs a name and a platform."""

    name: str = Field(min_length=1, max_length=255)  # pyright: ignore[reportIncompatibleVariableOverride] - required
    platform: str


class NewChannelBody(_Body):
    """`{channel: {...}}`."""

    channel: NewChannelFields


class ChannelBody(_Body):
    """`{channel: {...}}`."""

    channel: ChannelFields


def check_credentials(desk: Services, platform: str, given: dict[str, str], *, complete: bool) -> None:
    """Refuse credentials that the platform does not know, and with `complete` ones that lack a required field."""
    fields = {field.name: field for field in desk.platforms.get(platform).capabilities.credentials}
    unknown = sorted(set(given) - set(fields))
    if unknown:
        raise InvalidInputError(f"Unknown credentials: {', '.join(unknown)}; known: {', '.join(fields)}")
    missing = [field for name, field in fields.items() if field.required and not given.get(name)]
    if complete and missing:
        where = "; ".join(f"{field.name} ({field.where})" for field in missing)
        raise InvalidInputError(f"Missing credentials: {where}")


async def _view(desk: Services, caller: Principal, channel_id: UUID) -> ChannelView:
    async with desk.db.account(caller.account_id) as conn:
        return await channel_views.get(conn, channel_id, desk.box, desk.settings.base_url())


@router.get("/channels", summary="List channels")
async def listing(
    *,
    desk: Desk,
    caller: Reader,
    query: Page,
    platform: str | None = None,
    status: str | None = None,
    active: bool = False,
) -> dict[str, Any]:
    """Newest first."""
    async with desk.db.account(caller.account_id) as conn:
        items, total = await channel_views.listing(
            conn, platform=platform, status=status, active=active, limit=query.per_page, offset=query.offset
        )
    return page(items, total, query)


@router.get("/channels/platforms", summary="List the platforms that can be connected")
async def platforms(desk: Desk, caller: Reader) -> dict[str, Any]:
    """Says for each which credentials it needs and where they are found."""
    found: list[dict[str, object]] = []
    for name in platform_names():
        can = desk.platforms.get(name).capabilities
        fields = [
            {"name": f.name, "label": f.label, "where": f.where, "secret": f.secret, "required": f.required}
            for f in can.credentials
        ]
        found.append({"id": name, "name": can.label, "supported": True, "credentials": fields})
    return done(platforms=found)


@router.post("/channels", status_code=201, summary="Create a channel")
async def create(body: NewChannelBody, desk: Desk, caller: Manager) -> dict[str, Any]:
    """Returns `data.channel` with the `webhook_url` to be given to the platform; `connect` does that where it can."""
    fields = body.channel
    credentials = fields.credentials or {}
    check_credentials(desk, fields.platform, credentials, complete=True)
    async with desk.db.account(caller.account_id) as conn:
        channel_id = await channel_views.create(
            conn,
            platform=fields.platform,
            name=fields.name,
            credentials=credentials,
            configuration=fields.merged() or {},
            rate_limit_per_minute=fields.rate_limit_per_minute or 60,
            default_agent_id=fields.default_agent_id,
            box=desk.box,
        )
    return done(channel=await _view(desk, caller, channel_id))


@router.get("/channels/{channel_id}", summary="Show a channel")
async def show(channel_id: UUID, desk: Desk, caller: Reader) -> dict[str, Any]:
    """Credentials are never shown, only which are set."""
    return done(channel=await _view(desk, caller, channel_id))


@router.put("/channels/{channel_id}", summary="Change a channel")
@router.patch("/channels/{channel_id}", summary="Change a channel")
async def change(channel_id: UUID, body: ChannelBody, desk: Desk, caller: Manager) -> dict[str, Any]:
    """Changes what is given; given credentials are merged with those that are set."""
    fields = body.channel
    async with desk.db.account(caller.account_id) as conn:
        row = await load_channel(conn, channel_id)
        credentials = None
        if fields.credentials is not None:
            check_credentials(desk, row.platform, fields.credentials, complete=False)
            credentials = {**desk.box.open(row.id, row.credentials), **fields.credentials}
        configuration = fields.merged()
        await channel_views.update(
            conn,
            channel_id,
            name=fields.name,
            rate_limit_per_minute=fields.rate_limit_per_minute,
            configuration=None if configuration is None else {**row.configuration, **configuration},
            credentials=credentials,
            default_agent_id=fields.default_agent_id,
            box=desk.box,
        )
    return done(channel=await _view(desk, caller, channel_id))


@router.delete("/channels/{channel_id}", summary="Delete a channel")
async def remove(channel_id: UUID, desk: Desk, caller: Manager) -> dict[str, Any]:
    """Only one that never received anything; 409 otherwise: its history is kept, disconnect it instead."""
    async with desk.db.account(caller.account_id) as conn:
        await load_channel(conn, channel_id)
        await channel_views.delete(conn, channel_id)
    return done("Channel deleted")


async def _set_status(
    desk: Services, caller: Principal, channel_id: UUID, status: ChannelStatus, error: str | None = None
) -> None:
    async with desk.db.account(caller.account_id) as conn:
        aggregate = await channel_status.change(conn, caller.account_id, channel_id, status, error=error)
    if aggregate is not None:
        desk.dispatcher.notify(aggregate)


async def _check(desk: Services, caller: Principal, channel_id: UUID, *, register: bool) -> CheckResult:
    """Test a channel's credentials at the platform; keeps what was learned of our own bot."""
    async with desk.db.account(caller.account_id) as conn:
        row = await load_channel(conn, channel_id)
    adapter, context = desk.channels.open(row)
    url = f"{desk.settings.base_url()}/api/v1/chat/webhooks/{row.webhook_token}" if register else None
    result = await adapter.check(context, url)
    if result.ok:
        async with desk.db.account(caller.account_id) as conn:
            await channel_views.save_identity(conn, channel_id, result.identity)
    return result


@router.post("/channels/{channel_id}/connect", summary="Connect a channel")
async def connect(channel_id: UUID, desk: Desk, caller: Manager) -> dict[str, Any]:
    """Tests the credentials and registers the webhook where the platform has an API for it. Safe to repeat; 422 with
    the reasons in words when it fails, and the channel's status is then `error`.
    """
    await _view(desk, caller, channel_id)
    await _set_status(desk, caller, channel_id, ChannelStatus.CONNECTING)
    result = await _check(desk, caller, channel_id, register=True)
    if not result.ok:
        await _set_status(desk, caller, channel_id, ChannelStatus.ERROR, "; ".join(result.problems))
        raise InvalidInputError("; ".join(result.problems), details={"errors": list(result.problems)})
    await _set_status(desk, caller, channel_id, ChannelStatus.CONNECTED)
    return done(channel=await _view(desk, caller, channel_id), problems=list(result.problems))


@router.post("/channels/{channel_id}/disconnect", summary="Disconnect a channel")
async def disconnect(channel_id: UUID, desk: Desk, caller: Manager) -> dict[str, Any]:
    """Marks it as disconnected."""
    await _view(desk, caller, channel_id)
    await _set_status(desk, caller, channel_id, ChannelStatus.DISCONNECTED)
    return done(channel=await _view(desk, caller, channel_id))


@router.post("/channels/{channel_id}/test", summary="Test a channel")
async def test(channel_id: UUID, desk: Desk, caller: Manager) -> dict[str, Any]:
    """Says in words what is wrong, if anything is; changes nothing."""
    result = await _check(desk, caller, channel_id, register=False)
    words = "The platform accepts the credentials" if result.ok else "; ".join(result.problems)
    details = {"ok": result.ok, "identity": dict(result.identity), "problems": list(result.problems)}
    return done(words, message=words, details=details)


@router.post("/channels/{channel_id}/regenerate_token", summary="Give a channel a new webhook address")
async def regenerate_token(channel_id: UUID, desk: Desk, caller: Manager) -> dict[str, Any]:
    """The old address is unknown at once; connect the channel again afterwards."""
    async with desk.db.account(caller.account_id) as conn:
        await channel_views.regenerate_token(conn, channel_id)
    view = await _view(desk, caller, channel_id)
    return done(channel=view, webhook_url=view.webhook_url)


@router.get("/channels/{channel_id}/sessions", summary="List a channel's sessions")
async def sessions(
    *,
    channel_id: UUID,
    desk: Desk,
    caller: Annotated[Principal, allow(Permission.SESSIONS_READ)],
    query: Page,
    status: str | None = None,
    active: bool = False,
) -> dict[str, Any]:
    """The latest activity first."""
    async with desk.db.account(caller.account_id) as conn:
        await load_channel(conn, channel_id)
        items, total = await session_views.listing(
            conn, channel_id=channel_id, status=status, active=active, limit=query.per_page, offset=query.offset
        )
    return page(items, total, query)


@router.get("/quarantined", summary="List webhooks that were set aside")
async def quarantined(
    desk: Desk, caller: Reader, query: Page, channel_id: Annotated[UUID | None, Query()] = None
) -> dict[str, Any]:
    """Verified, stored and answered 2xx, but not understood; each with its reason."""
    async with desk.db.account(caller.account_id) as conn:
        items, total = await channel_views.quarantined(conn, channel_id, limit=query.per_page, offset=query.offset)
    return page(items, total, query)
