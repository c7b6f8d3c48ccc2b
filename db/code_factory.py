"""The code factory's runs, contracts and reviews: recorded from reports, shown to readers.

Nothing of ours fills them yet; `POST /api/v1/events` does. Idempotent by the producers' ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar
from uuid import UUID, uuid4

from sqlalchemy import Row, Table, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from db.devops_rows import Recorded, change, changes, told, view_of
from db.outbox import Aggregate
from db.tables import code_factory_contracts, code_factory_review_states, code_factory_runs
from db.telling import acting_account
from domain.devops import ContractReport, FactoryRunReport, ReviewStateReport, may_become
from domain.devops_views import FactoryContractView, FactoryRunView, ReviewStateView
from domain.errors import NotFoundError
from domain.events.base import Event
from domain.events.devops import (
    CodeFactoryContractUpdated,
    CodeFactoryReviewStateUpdated,
    CodeFactoryRunUpdated,
    factory_stream,
)
from domain.file_views import View

V = TypeVar("V", bound=View)
TABLES: Final[Mapping[type[View], Table]] = {
    FactoryContractView: code_factory_contracts,
    FactoryRunView: code_factory_runs,
    ReviewStateView: code_factory_review_states,
}


async def find(conn: AsyncConnection, kind: type[V], row_id: UUID) -> V | None:
    """Return a run, contract or review; None when the entered account has no such one."""
    table = TABLES[kind]
    return view_of(kind, (await conn.execute(select(table).where(table.c.id == row_id))).one_or_none())


async def get(conn: AsyncConnection, kind: type[V], row_id: UUID) -> V:
    """Return a run, contract or review. Raises NotFoundError."""
    view = await find(conn, kind, row_id)
    if view is None:
        raise NotFoundError("The code factory has no such thing")
    return view


async def listing(conn: AsyncConnection, kind: type[V], *, limit: int, offset: int) -> tuple[list[V], int]:
    """Return a page, the latest first, and how many there are."""
    table = TABLES[kind]
    total: int = (await conn.execute(select(func.count()).select_from(table))).scalar_one()
    wanted = select(table).order_by(table.c.created_at.desc(), table.c.id).limit(limit).offset(offset)
    rows = (await conn.execute(wanted)).all()
    return [view for row in rows if (view := view_of(kind, row))], total


async def report_contract(conn: AsyncConnection, report: ContractReport) -> Recorded[FactoryContractView]:
    """Record how a contract stands."""
    row = await _find(conn, code_factory_contracts, {"external_id": report.external_id})
    row_id, changed = await _write(conn, code_factory_contracts, row, report.model_dump())
    view = await get(conn, FactoryContractView, row_id)
    account_id = await acting_account(conn)
    event = CodeFactoryContractUpdated(timestamp=datetime.now(UTC), account_id=account_id, payload=view)
    return await _tell(conn, view, event, changed=changed)


async def report_run(conn: AsyncConnection, report: FactoryRunReport) -> Recorded[FactoryRunView]:
    """Record how a run stands; its status only goes forward. Raises NotFoundError for an unknown contract."""
    if report.contract_id is not None:
        await get(conn, FactoryContractView, report.contract_id)
    row = await _find(conn, code_factory_runs, {"external_id": report.external_id})
    if row is not None and not may_become(row.status, report.status):
        return Recorded(await get(conn, FactoryRunView, row.id), factory_stream("run", row.id))
    row_id, changed = await _write(conn, code_factory_runs, row, report.model_dump())
    view = await get(conn, FactoryRunView, row_id)
    account_id = await acting_account(conn)
    event = CodeFactoryRunUpdated(timestamp=datetime.now(UTC), account_id=account_id, payload=view)
    return await _tell(conn, view, event, changed=changed)


async def report_review(conn: AsyncConnection, report: ReviewStateReport) -> Recorded[ReviewStateView]:
    """Record how a review stands. Raises NotFoundError for an unknown run."""
    await get(conn, FactoryRunView, report.run_id)
    key = {"run_id": report.run_id, "external_id": report.external_id}
    row = await _find(conn, code_factory_review_states, key)
    row_id, changed = await _write(conn, code_factory_review_states, row, report.model_dump())
    view = await get(conn, ReviewStateView, row_id)
    account_id = await acting_account(conn)
    event = CodeFactoryReviewStateUpdated(timestamp=datetime.now(UTC), account_id=account_id, payload=view)
    return await _tell(conn, view, event, changed=changed)


async def _find(conn: AsyncConnection, table: Table, key: Mapping[str, object]) -> Row[Any] | None:
    return (await conn.execute(select(table).filter_by(**key))).one_or_none()


async def _write(
    conn: AsyncConnection, table: Table, row: Row[Any] | None, values: Mapping[str, object]
) -> tuple[UUID, bool]:
    """Make or change a row; return its id and whether anything changed."""
    if row is None:
        row_id = uuid4()
        await conn.execute(insert(table).values({**values, "id": row_id, "account_id": await acting_account(conn)}))
        return row_id, True
    wanted = changes(row, values)
    if wanted:
        await change(conn, table, row.id, wanted)
    return row.id, bool(wanted)


async def _tell(conn: AsyncConnection, view: V, event: Event, *, changed: bool) -> Recorded[V]:
    if not changed:
        return Recorded(view, event.streams()[0])
    # One aggregate an account: its stream shows all, in the order of recording, which the outbox's ids tell.
    account_id = await acting_account(conn)
    aggregate = Aggregate(account_id, f"code_factory:{account_id}")
    return await told(conn, view, [event], aggregate, 0)
