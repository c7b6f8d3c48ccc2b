"""Notifications: one row for one person in one account; others do not see them, colleagues included.

Each change leaves its event in the outbox, in one transaction; the aggregate returned is for the dispatcher.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import Row, insert, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from db import principals
from db.outbox import Aggregate
from db.paging import fetch_page
from db.rows import mapping
from db.tables import notifications
from db.telling import acting_account, tell
from domain.errors import NotFoundError
from domain.events.people import NewNotification, NotificationDismissed, NotificationRead
from domain.people import NotificationView, Severity

_COLUMNS: Final = """
    n.id, n.notification_type, n.title, n.message, n.severity, n.category, n.action_url, n.action_label, n.icon,
    n.metadata, n.read_at IS NOT NULL AS read, n.read_at, n.dismissed_at, n.expires_at, n.created_at, n.version,
    n.account_id, n.user_id, now() AS at
"""
_TYPES: Final[dict[str, Any]] = {"metadata": JSONB}
_ONE: Final = text(
    f"SELECT {_COLUMNS} FROM notifications n WHERE n.id = :id AND n.user_id = :user_id"  # noqa: S608
).columns(**_TYPES)
_LIST: Final = text(
    f"""
    SELECT {_COLUMNS}, count(*) OVER () AS total FROM notifications n
    WHERE n.user_id = :user_id AND (:dismissed OR n.dismissed_at IS NULL) AND NOT (:unread AND n.read_at IS NOT NULL)
      AND (n.expires_at IS NULL OR n.expires_at > now())
    ORDER BY n.created_at DESC, n.id LIMIT :limit OFFSET :offset
    """  # noqa: S608 - constant columns
).columns(**_TYPES)
_UNREAD: Final = text(
    "SELECT count(*) FROM notifications n WHERE n.user_id = :user_id AND n.read_at IS NULL AND n.dismissed_at IS NULL"
    " AND (n.expires_at IS NULL OR n.expires_at > now())"
)
_READ: Final = text(
    "UPDATE notifications SET read_at = now(), version = version + 1"
    " WHERE id = :id AND user_id = :user_id AND read_at IS NULL RETURNING id"
)
_DISMISS: Final = text(
    "UPDATE notifications SET dismissed_at = now(), version = version + 1"
    " WHERE id = :id AND user_id = :user_id AND dismissed_at IS NULL RETURNING id"
)


@dataclass(frozen=True, slots=True)
class NotificationDraft:
    """What a person is told. `action_url`: a path of the front end, or an address."""

    notification_type: str
    title: str
    message: str
    severity: Severity = Severity.INFO
    category: str = "general"
    action_url: str | None = None
    action_label: str | None = None
    icon: str | None = None
    metadata: Mapping[str, object] = field(default_factory=dict[str, object])
    expires_at: datetime | None = None


def _view(row: Row[Any]) -> NotificationView:
    names = NotificationView.model_fields
    return NotificationView.model_validate({name: value for name, value in mapping(row).items() if name in names})


async def notify(conn: AsyncConnection, user_id: UUID, draft: NotificationDraft) -> tuple[NotificationView, Aggregate]:
    """Tell a person of the account. Raises NotFoundError for anybody else."""
    if not await principals.is_member(conn, user_id):
        raise NotFoundError("There is no such person in the account")
    notification_id = uuid4()
    values = {
        "id": notification_id, "account_id": await acting_account(conn), "user_id": user_id,
        "notification_type": draft.notification_type, "title": draft.title, "message": draft.message,
        "severity": draft.severity.value, "category": draft.category, "action_url": draft.action_url,
        "action_label": draft.action_label, "icon": draft.icon, "metadata": dict(draft.metadata),
        "expires_at": draft.expires_at,
    }  # fmt: skip
    await conn.execute(insert(notifications).values(values))
    row = await _row(conn, user_id, notification_id)
    event = NewNotification(account_id=row.account_id, user_id=user_id, notification=_view(row), timestamp=row.at)
    return _view(row), await tell(conn, _aggregate(row), row.version, event)


async def mark_read(
    conn: AsyncConnection, user_id: UUID, notification_id: UUID
) -> tuple[NotificationView, Aggregate | None]:
    """Note that a person has read one of theirs. Idempotent; None when it was read before. Raises NotFoundError."""
    changed = (await conn.execute(_READ, {"id": notification_id, "user_id": user_id})).one_or_none()
    row = await _row(conn, user_id, notification_id)
    if changed is None:
        return _view(row), None
    event = NotificationRead(
        account_id=row.account_id, user_id=user_id, notification_id=row.id, notification=_view(row), timestamp=row.at
    )
    return _view(row), await tell(conn, _aggregate(row), row.version, event)


async def dismiss(
    conn: AsyncConnection, user_id: UUID, notification_id: UUID
) -> tuple[NotificationView, Aggregate | None]:
    """Put one of a person's away. Idempotent; None when it was put away before. Raises NotFoundError."""
    changed = (await conn.execute(_DISMISS, {"id": notification_id, "user_id": user_id})).one_or_none()
    row = await _row(conn, user_id, notification_id)
    if changed is None:
        return _view(row), None
    event = NotificationDismissed(
        account_id=row.account_id, user_id=user_id, notification_id=row.id, notification=_view(row), timestamp=row.at
    )
    return _view(row), await tell(conn, _aggregate(row), row.version, event)


async def get(conn: AsyncConnection, user_id: UUID, notification_id: UUID) -> NotificationView:
    """Return one of a person's. Raises NotFoundError."""
    return _view(await _row(conn, user_id, notification_id))


async def unread(conn: AsyncConnection, user_id: UUID) -> int:
    """Return how many a person has not read, put away or let expire."""
    found: int = (await conn.execute(_UNREAD, {"user_id": user_id})).scalar_one()
    return found


async def listing(
    conn: AsyncConnection, user_id: UUID, *, only_unread: bool, with_dismissed: bool, limit: int, offset: int
) -> tuple[list[NotificationView], int]:
    """Return a page of a person's, the latest first, and how many there are. What has expired is not shown."""
    values = {"user_id": user_id, "unread": only_unread, "dismissed": with_dismissed}
    rows, total = await fetch_page(conn, _LIST, values, limit=limit, offset=offset)
    return [_view(row) for row in rows], total


async def _row(conn: AsyncConnection, user_id: UUID, notification_id: UUID) -> Row[Any]:
    row = (await conn.execute(_ONE, {"id": notification_id, "user_id": user_id})).one_or_none()
    if row is None:
        raise NotFoundError("No such notification")
    return row


def _aggregate(row: Row[Any]) -> Aggregate:
    return Aggregate(row.account_id, f"notification:{row.id}")
