"""Chat channels: create, read, change, connect, test, and what was set aside."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from adapters.base import CheckResult
from adapters.registry import platform_names
from api.channel_bodies import ChannelBody, CheckView, NewChannelBody, PlatformView, complete, platform_view
from api.channel_sockets import check_transport, move_socket, takes_webhooks
from api.deps import Desk, Principal, allow
from api.envelope import PageQuery, done, page
from api.openapi import listed, shows
from api.services import Services
from db import blacklists, channel_status, channel_views, outbox, session_views
from db.channels import load_channel
from db.credentials import CredentialKeyError
from domain.channel import ChannelStatus
from domain.errors import InvalidInputError
from domain.permissions import Permission
from domain.session import SessionStatus
from domain.views import ChannelSummaryView, ChannelView, QuarantinedView, SessionView

router = APIRouter(prefix="/api/v1/chat", tags=["channels"])

Reader = Annotated[Principal, allow(Permission.CHANNELS_READ)]
Manager = Annotated[Principal, allow(Permission.CHANNELS_MANAGE)]
Page = Annotated[PageQuery, Depends()]


SHOWN = shows("Channel", channel=ChannelView)


async def _view(desk: Services, caller: Principal, channel_id: UUID) -> ChannelView:
    async with desk.db.account(caller.account_id) as conn:
        return await channel_views.get(conn, channel_id, desk.box, desk.settings.base_url())


@router.get("/channels", summary="List channels", responses=listed("Channels", ChannelSummaryView))
async def listing(
    *,
    desk: Desk,
    caller: Reader,
    query: Page,
    platform: str | None = None,
    status: ChannelStatus | None = None,
    active: bool = False,
) -> dict[str, Any]:
    """Newest first. `active`: only those that are connected or connecting."""
    async with desk.db.account(caller.account_id) as conn:
        items, total = await channel_views.listing(
            conn, platform=platform, status=status, active=active, limit=query.per_page, offset=query.offset
        )
    return page(items, total, query)


@router.get(
    "/channels/platforms",
    summary="List the platforms that can be connected",
    responses=shows("Platforms", platforms=list[PlatformView]),
)
async def platforms(desk: Desk, caller: Reader) -> dict[str, Any]:
    """Says for each which credentials it needs and where they are found."""
    return done(platforms=[platform_view(name, desk.platforms.get(name).capabilities) for name in platform_names()])


@router.post(
    "/channels",
    status_code=201,
    summary="Create a channel",
    responses=shows("ChannelCreated", 201, channel=ChannelView),
)
async def create(body: NewChannelBody, desk: Desk, caller: Manager) -> dict[str, Any]:
    """Returns `data.channel` with the `webhook_url` to be given to the platform; `connect` does that where it can."""
    fields = body.channel
    configuration = fields.merged({}) or {}
    check_transport(fields.platform, configuration)
    credentials = complete(desk.platforms.get(fields.platform).capabilities, {}, fields.credentials or {})
    async with desk.db.account(caller.account_id) as conn:
        channel_id = await channel_views.create(
            conn,
            platform=fields.platform,
            name=fields.name,
            credentials=credentials,
            configuration=configuration,
            rate_limit_per_minute=fields.rate_limit_per_minute or 60,
            default_agent_id=fields.default_agent_id,
            box=desk.box,
        )
    return done(channel=await _view(desk, caller, channel_id))


@router.get("/channels/{channel_id}", summary="Show a channel", responses=SHOWN)
async def show(channel_id: UUID, desk: Desk, caller: Reader) -> dict[str, Any]:
    """Credentials are never shown, only which are set."""
    return done(channel=await _view(desk, caller, channel_id))


@router.put("/channels/{channel_id}", summary="Change a channel", responses=SHOWN)
@router.patch("/channels/{channel_id}", summary="Change a channel", responses=SHOWN)
async def change(channel_id: UUID, body: ChannelBody, desk: Desk, caller: Manager) -> dict[str, Any]:
    """Changes what is given. Credentials and configuration are merged with what is set; `default_agent_id: null` takes
    the agent away.
    """
    fields = body.channel
    async with desk.db.account(caller.account_id) as conn:
        row = await load_channel(conn, channel_id)
        configuration = fields.merged(row.configuration)
        check_transport(row.platform, configuration)
        credentials = None
        if fields.credentials is not None:
            stored = channel_views.opened(desk.box, row.id, row.credentials) or {}
            credentials = complete(desk.platforms.get(row.platform).capabilities, stored, fields.credentials)
        await channel_views.update(
            conn,
            channel_id,
            name=fields.name,
            rate_limit_per_minute=fields.rate_limit_per_minute,
            configuration=configuration,
            credentials=credentials,
            agent=fields.agent(),
            box=desk.box,
        )
        aggregate = await channel_status.announce(conn, caller.account_id, channel_id)
        if fields.credentials is not None or fields.configuration is not None:
            await move_socket(conn, row, configuration)
    desk.dispatcher.notify(aggregate)
    return done(channel=await _view(desk, caller, channel_id))


@router.delete("/channels/{channel_id}", summary="Delete a channel", responses=shows("ChannelDeleted"))
async def remove(channel_id: UUID, desk: Desk, caller: Manager) -> dict[str, Any]:
    """Only one that never received anything; 409 otherwise: its history is kept, disconnect it instead."""
    async with desk.db.account(caller.account_id) as conn:
        row = await load_channel(conn, channel_id)
        await blacklists.remove_of_channel(conn, channel_id)
        await move_socket(conn, row)
        await channel_views.delete(conn, channel_id)
    desk.dispatcher.notify(outbox.channel_aggregate(caller.account_id, channel_id))
    return done("Channel deleted")


async def _set_status(
    desk: Services, caller: Principal, channel_id: UUID, status: ChannelStatus, error: str | None = None
) -> None:
    async with desk.db.account(caller.account_id) as conn:
        await load_channel(conn, channel_id)
        aggregate = await channel_status.change(conn, caller.account_id, channel_id, status, error=error)
    if aggregate is not None:
        desk.dispatcher.notify(aggregate)


async def _settle(desk: Services, caller: Principal, channel_id: UUID, status: ChannelStatus) -> None:
    """End a change of status, of the socket too: a channel that has one is connected when its socket is."""
    async with desk.db.account(caller.account_id) as conn:
        moved = await move_socket(conn, await load_channel(conn, channel_id))
        if not (moved and status is ChannelStatus.CONNECTED):
            await channel_status.change(conn, caller.account_id, channel_id, status)
    desk.dispatcher.notify(outbox.channel_aggregate(caller.account_id, channel_id))


async def _check(desk: Services, caller: Principal, channel_id: UUID, *, register: bool) -> CheckResult:
    """Test a channel's credentials at the platform; keeps what was learned of our own bot."""
    async with desk.db.account(caller.account_id) as conn:
        row = await load_channel(conn, channel_id)
    try:
        adapter, context = desk.channels.open(row)
    except CredentialKeyError:
        return CheckResult(ok=False, problems=("The stored credentials cannot be read any more; enter them again",))
    url = (
        f"{desk.settings.base_url()}/api/v1/chat/webhooks/{row.webhook_token}"
        if register and takes_webhooks(row)
        else None
    )
    result = await adapter.check(context, url)
    if result.ok:
        async with desk.db.account(caller.account_id) as conn:
            await channel_views.save_identity(conn, channel_id, result.identity)
    return result


@router.post(
    "/channels/{channel_id}/connect",
    summary="Connect a channel",
    responses=shows("ChannelConnected", channel=ChannelView, problems=list[str]),
)
async def connect(channel_id: UUID, desk: Desk, caller: Manager) -> dict[str, Any]:
    """Tests the credentials and registers the webhook where the platform has an API for it. Safe to repeat; 422 with
    the reasons in words when it fails, and the channel's status is then `error`. `data.problems` are warnings. On a
    platform that speaks over a socket the status stays `connecting` until that is open.
    """
    await _set_status(desk, caller, channel_id, ChannelStatus.CONNECTING)
    try:
        result = await _check(desk, caller, channel_id, register=True)
    except BaseException:
        # Also when the caller hangs up: a channel must not look as if somebody were still connecting it.
        await asyncio.shield(
            _set_status(desk, caller, channel_id, ChannelStatus.ERROR, "The attempt to connect was broken off")
        )
        raise
    if not result.ok:
        await _set_status(desk, caller, channel_id, ChannelStatus.ERROR, "; ".join(result.problems))
        raise InvalidInputError("; ".join(result.problems), details={"errors": list(result.problems)})
    await _settle(desk, caller, channel_id, ChannelStatus.CONNECTED)
    return done(channel=await _view(desk, caller, channel_id), problems=list(result.problems))


@router.post("/channels/{channel_id}/disconnect", summary="Disconnect a channel", responses=SHOWN)
async def disconnect(channel_id: UUID, desk: Desk, caller: Manager) -> dict[str, Any]:
    """Marks it as disconnected and closes its socket, where it has one. What the platform still sends by webhook is
    stored and answered: take the webhook away there.
    """
    await _settle(desk, caller, channel_id, ChannelStatus.DISCONNECTED)
    return done(channel=await _view(desk, caller, channel_id))


@router.post(
    "/channels/{channel_id}/test",
    summary="Test a channel",
    responses=shows("ChannelTested", message=str, details=CheckView),
)
async def test(channel_id: UUID, desk: Desk, caller: Manager) -> dict[str, Any]:
    """Says in words what is wrong, if anything is; changes nothing."""
    result = await _check(desk, caller, channel_id, register=False)
    details = CheckView(ok=result.ok, identity=dict(result.identity), problems=list(result.problems))
    return done(details.words(), message=details.words(), details=details)


@router.post(
    "/channels/{channel_id}/regenerate_token",
    summary="Give a channel a new webhook address",
    responses=shows("TokenRegenerated", channel=ChannelView, webhook_url=str),
)
async def regenerate_token(channel_id: UUID, desk: Desk, caller: Manager) -> dict[str, Any]:
    """The old address is unknown at once; connect the channel again afterwards."""
    async with desk.db.account(caller.account_id) as conn:
        await channel_views.regenerate_token(conn, channel_id)
        aggregate = await channel_status.announce(conn, caller.account_id, channel_id)
    desk.dispatcher.notify(aggregate)
    view = await _view(desk, caller, channel_id)
    return done(channel=view, webhook_url=view.webhook_url)


@router.get(
    "/channels/{channel_id}/sessions",
    summary="List a channel's sessions",
    responses=listed("ChannelSessions", SessionView),
)
async def sessions(
    *,
    channel_id: UUID,
    desk: Desk,
    caller: Annotated[Principal, allow(Permission.SESSIONS_READ)],
    query: Page,
    status: SessionStatus | None = None,
    active: bool = False,
) -> dict[str, Any]:
    """The latest activity first."""
    async with desk.db.account(caller.account_id) as conn:
        await load_channel(conn, channel_id)
        items, total = await session_views.listing(
            conn, channel_id=channel_id, status=status, active=active, limit=query.per_page, offset=query.offset
        )
    return page(items, total, query)


async def _quarantined(desk: Services, caller: Principal, channel_id: UUID | None, query: PageQuery) -> dict[str, Any]:
    async with desk.db.account(caller.account_id) as conn:
        if channel_id is not None:
            await load_channel(conn, channel_id)
        items, total = await channel_views.quarantined(conn, channel_id, limit=query.per_page, offset=query.offset)
    return page(items, total, query)


@router.get(
    "/channels/{channel_id}/quarantined",
    summary="List a channel's webhooks that were set aside",
    responses=listed("ChannelQuarantined", QuarantinedView),
)
async def quarantined_of(channel_id: UUID, desk: Desk, caller: Reader, query: Page) -> dict[str, Any]:
    """Verified, stored and answered 2xx, but not understood, as a whole or in part; each with its reason."""
    return await _quarantined(desk, caller, channel_id, query)


@router.get(
    "/quarantined", summary="List webhooks that were set aside", responses=listed("Quarantined", QuarantinedView)
)
async def quarantined(
    desk: Desk, caller: Reader, query: Page, channel_id: Annotated[UUID | None, Query()] = None
) -> dict[str, Any]:
    """Of all channels; see the list of one channel."""
    return await _quarantined(desk, caller, channel_id, query)
