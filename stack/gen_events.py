"""docs/events.md, made from the event catalogue."""

from __future__ import annotations

from typing import Final, get_args

from domain.events import CATALOGUE
from domain.events.base import Event

_HEAD: Final = """# Events

<!-- Made by `make gen` from domain/events/; do not edit. -->

Every event that reaches a subscriber of `/cable`. Stored ones leave by the outbox, in order per stream, and can be read
again by offset; passing ones are sent to whoever listens. Views are those of REST, whole, with a `version` that only grows.

| event | type | stored | fields |
|---|---|---|---|
"""
_STREAMS_HEAD: Final = """

| streams | channel |
|---|---|
"""
_STREAMS: Final = (
    ("`ai_conversation_{conversation_id}`", "AiConversationChannel"),
    ("`chat_session_{id}`", "ChatSessionChannel"),
    ("`chat_channel_{id}`", "ChatChannelChannel"),
    ("`mission:mission:{id}`, `mission:account:{account id}`", "MissionChannel"),
    ("`team_channel:{id}`", "TeamChannelChannel"),
    ("`team_execution:{team id}`", "TeamExecutionChannel"),
    ("`notifications:{account id}:{user id}`", "NotificationChannel"),
    ("`account_subscription_{account id}`", "SubscriptionChannel"),
    ("`customer_updates_{account id}`, `customer_updates_global`", "CustomerChannel"),
    ("`analytics_account_{account id}`, `analytics_global`", "AnalyticsChannel"),
    ("`devops_pipeline_{id}`, `devops_account_{account id}`", "DevopsPipelineChannel"),
    ("`git_job_logs:{job id}`", "GitJobLogsChannel"),
    ("`ai_agent_execution:{execution id}`", "AiAgentExecutionChannel"),
    ("`ai_streaming:execution:{execution id}`, `ai_streaming:conversation:{conversation id}`", "AiStreamingChannel"),
    (
        "`ai_orchestration:{type}:{id}`, in the envelope `{event, resource_type, resource_id, payload, timestamp}`",
        "AiOrchestrationChannel",
    ),
    (
        "`ai_orchestration:monitoring:{account id}`, `ai_orchestration:account:{account id}`, `ai_orchestration:workflow:{id}`",
        "AiWorkflowMonitoringChannel",
    ),
    ("`ai_orchestration:account:{account id}`", "AiWorkflowOrchestrationChannel"),
    ("`ai_conversations_list:account_{account id}`", "AiConversationsListChannel"),
    ("`mcp_account_{account id}`, `mcp_user_{user id}`, `mcp_tools_{account id}`", "McpChannel"),
    ("`code_factory:{run, contract, review_state or account}:{id}`", "CodeFactoryChannel"),
)


def _type(event: type[Event]) -> str:
    named = event.model_fields.get("type") or event.model_fields["event"]
    return "`, `".join(str(name) for name in get_args(named.annotation))


def _fields(event: type[Event]) -> str:
    names = [name for name, field in event.model_fields.items() if name not in {"type", "event"} and not field.exclude]
    return ", ".join(f"`{name}`" for name in names)


def events() -> str:
    """Return docs/events.md."""
    rows = [
        f"| {event.__name__}: {(event.__doc__ or '').strip().splitlines()[0]} | `{_type(event)}` |"
        f" {'passing' if event.transient else 'yes'} | {_fields(event)} |"
        for event in CATALOGUE
    ]
    return (
        _HEAD
        + "\n".join(rows)
        + _STREAMS_HEAD
        + "\n".join(f"| {stream} | `{name}` |" for stream, name in _STREAMS)
        + "\n"
    )
