"""Whose a stream is: a caller may publish to those of the own account only, whatever its token's prefixes say.

A name that no line here knows belongs to nobody. What a name stands for is found in the entered account by the same
finders that channels use, and the name must be spelled as that thing's own stream is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from api.finders import FINDERS
from domain.devops_views import FactoryContractView, FactoryRunView, GitJobView, PipelineView, ReviewStateView
from domain.events.chat import channel_stream, conversation_stream, session_stream
from domain.events.devops import devops_account_stream, factory_stream, job_log_stream, pipeline_stream
from domain.events.missions import account_missions_stream, mission_stream
from domain.events.orchestration import orchestration_stream
from domain.events.people import analytics_stream
from domain.events.runs import execution_stream
from domain.events.streaming import conversation_tokens_stream, execution_tokens_stream
from domain.events.teams import team_channel_stream, team_stream
from domain.loop_views import BatchExecutionView, RalphLoopView, WorktreeSessionView
from domain.missions import MissionView
from domain.run_views import AgentExecutionView, AgentStandingView, WorkflowRunView, WorkflowView
from domain.teams import TeamChannelView
from domain.views import ChannelSummaryView, SessionView
from realtime.channel import ConversationRef
from realtime.teamwork import TeamAtWork

Owner = Callable[[AsyncConnection, UUID, str], Awaitable[bool]]
"""(connection in the account, account, the stream's rest after its beginning) -> whether it is the account's."""


def thing(kind: type, key_of: Callable[[Any], object]) -> Owner:
    """Return the rule of a stream that is named after a thing of the account."""

    async def owned(conn: AsyncConnection, _account_id: UUID, rest: str) -> bool:
        found = await FINDERS[kind](conn, rest)
        return found is not None and str(key_of(found)) == rest

    return owned


async def account(_conn: AsyncConnection, account_id: UUID, rest: str) -> bool:
    """The rule of a stream that is named after the account."""
    return rest == str(account_id)


def _id(found: Any) -> object:
    return found.id


OWNERS: Final[Mapping[str, Owner]] = {
    conversation_stream(""): thing(ConversationRef, lambda found: found.public_id),
    session_stream(""): thing(SessionView, _id),
    channel_stream(""): thing(ChannelSummaryView, _id),
    pipeline_stream(""): thing(PipelineView, _id),
    devops_account_stream(""): account,
    job_log_stream(""): thing(GitJobView, _id),
    factory_stream("run", ""): thing(FactoryRunView, _id),
    factory_stream("contract", ""): thing(FactoryContractView, _id),
    factory_stream("review_state", ""): thing(ReviewStateView, _id),
    factory_stream("account", ""): account,
    mission_stream(""): thing(MissionView, _id),
    account_missions_stream(""): account,
    team_channel_stream(""): thing(TeamChannelView, _id),
    team_stream(""): thing(TeamAtWork, lambda found: found.team.id),
    analytics_stream(""): account,
    execution_stream(""): thing(AgentExecutionView, lambda found: found.execution_id),
    execution_tokens_stream(""): thing(AgentExecutionView, lambda found: found.execution_id),
    conversation_tokens_stream(""): thing(ConversationRef, lambda found: found.public_id),
    orchestration_stream("account", ""): account,
    orchestration_stream("monitoring", ""): account,
    orchestration_stream("workflow", ""): thing(WorkflowView, _id),
    orchestration_stream("workflow_run", ""): thing(WorkflowRunView, lambda found: found.run_id),
    orchestration_stream("agent", ""): thing(AgentStandingView, lambda found: found.agent_id),
    orchestration_stream("batch_execution", ""): thing(BatchExecutionView, lambda found: found.batch_id),
    orchestration_stream("ralph_loop", ""): thing(RalphLoopView, _id),
    orchestration_stream("worktree_session", ""): thing(WorktreeSessionView, _id),
}
"""The beginning of a stream's name → its rule. A new kind of stream is a line here.

Of notifications, subscriptions and customers we alone tell: they are nobody else's to make known.
"""


async def is_owned(conn: AsyncConnection, account_id: UUID, stream: str) -> bool:
    """Whether a stream belongs to the entered account; of several beginnings that fit, the longest counts."""
    fitting = [beginning for beginning in OWNERS if stream.startswith(beginning)]
    if not fitting:
        return False
    beginning = max(fitting, key=len)
    return await OWNERS[beginning](conn, account_id, stream.removeprefix(beginning))
