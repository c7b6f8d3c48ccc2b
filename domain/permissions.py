"""The permission catalogue and what each role may do; every route and every channel names one of these.

`*` in a role stands for every permission. The catalogue is checked at start: a route that names an unknown
permission stops the api.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Permission(StrEnum):
    """All permissions there are."""

    CHANNELS_READ = "chat.channels.read"
    CHANNELS_MANAGE = "chat.channels.manage"
    SESSIONS_READ = "chat.sessions.read"
    SESSIONS_REPLY = "chat.sessions.reply"
    SESSIONS_MANAGE = "chat.sessions.manage"
    CONVERSATIONS_READ = "ai.conversations.read"
    AGENTS_READ = "ai.agents.read"
    AGENTS_MANAGE = "ai.agents.manage"
    APPROVALS_RESOLVE = "ai.approvals.resolve"
    BUDGETS_READ = "ai.budgets.read"
    BUDGETS_MANAGE = "ai.budgets.manage"
    OPERATIONS_READ = "operations.read"
    OPERATIONS_MANAGE = "operations.manage"
    EVENTS_PUBLISH = "events.publish"
    WORKFLOWS_READ = "ai.workflows.read"
    WORKFLOWS_MANAGE = "ai.workflows.manage"
    WORKFLOWS_EXECUTE = "ai.workflows.execute"
    MISSIONS_READ = "ai.missions.read"
    MISSIONS_MANAGE = "ai.missions.manage"
    TEAMS_READ = "ai.teams.read"
    TEAMS_EXECUTE = "ai.teams.execute"
    CODE_FACTORY_READ = "ai.code_factory.read"
    PIPELINES_READ = "git.pipelines.read"
    PIPELINES_LOGS = "git.pipelines.logs"
    PIPELINES_MANAGE = "git.pipelines.manage"
    ANALYTICS_VIEW = "analytics.view"
    NOTIFICATIONS_READ = "notifications.read"
    SUBSCRIPTIONS_READ = "billing.subscriptions.read"
    CUSTOMERS_READ = "customers.read"
    CUSTOMERS_MANAGE = "customers.manage"
    SYSTEM_ADMIN = "system.admin"
    """No role's: what a platform administrator has in addition (`users.platform_admin`)."""


class Role(StrEnum):
    """What a person is in an account."""

    OWNER = "owner"
    ADMIN = "admin"
    OPERATOR = "operator"
    VIEWER = "viewer"


_VIEWER: Final = frozenset(
    {
        Permission.CHANNELS_READ,
        Permission.SESSIONS_READ,
        Permission.CONVERSATIONS_READ,
        Permission.AGENTS_READ,
        Permission.WORKFLOWS_READ,
        Permission.MISSIONS_READ,
        Permission.TEAMS_READ,
        Permission.CODE_FACTORY_READ,
        Permission.PIPELINES_READ,
        Permission.NOTIFICATIONS_READ,
    }
)
_OPERATOR: Final = _VIEWER | {
    Permission.SESSIONS_REPLY,
    Permission.SESSIONS_MANAGE,
    Permission.OPERATIONS_READ,
    Permission.BUDGETS_READ,
    Permission.APPROVALS_RESOLVE,
    Permission.WORKFLOWS_EXECUTE,
    Permission.TEAMS_EXECUTE,
    Permission.PIPELINES_LOGS,
    Permission.ANALYTICS_VIEW,
}
_ALL: Final = frozenset(Permission) - {Permission.SYSTEM_ADMIN}

ROLE_PERMISSIONS: Final[dict[Role, frozenset[Permission]]] = {
    Role.OWNER: _ALL,
    Role.ADMIN: _ALL,
    Role.OPERATOR: _OPERATOR,
    Role.VIEWER: _VIEWER,
}
