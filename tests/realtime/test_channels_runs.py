"""The channels of runs, executions, loops and the like on a shelf in memory: params, greetings, first state, actions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID, uuid4

import pytest

from domain.conversation_view import ConversationView
from domain.errors import ConflictError
from domain.events.streaming import execution_tokens_stream
from domain.loop_views import RalphLoopView, WorktreeSessionView
from domain.permissions import Permission, Role
from domain.run_views import AgentExecutionView, DashboardStatsView, WorkflowRunView, WorkflowView
from domain.runs import (
    ExecutionMode,
    ExecutionStatus,
    LoopStatus,
    MergeStrategy,
    RunStatus,
    SchedulingMode,
    TriggerType,
    Visibility,
    WorkflowStatus,
    WorktreeSessionStatus,
)
from realtime.identity import Identity
from realtime.resources import BreakerService
from realtime.run_orders import CreateWorkflow, ExecuteWorkflow, GetActiveExecutions, GetDashboardStats, UpdateWorkflow
from realtime.token_stream import TokenStream
from tests.realtime.cable import Cable, Client, identifier, person
from tests.realtime.test_channels import Message, subscribed

NOW = datetime.now(UTC)
ROW: dict[str, Any] = {"started_at": NOW, "completed_at": None, "created_at": NOW, "version": 3}


def run_view() -> WorkflowRunView:
    return WorkflowRunView(
        id=uuid4(), run_id=str(uuid4()), ai_workflow_id=uuid4(), status=RunStatus.RUNNING, cancelled_at=None,
        trigger_type=TriggerType.MANUAL, duration_seconds=None, total_nodes=2, completed_nodes=1, failed_nodes=0,
        cost_usd=0, output_variables={}, error_details={}, progress_percentage=50, **ROW,
    )  # fmt: skip


def loop_view() -> RalphLoopView:
    return RalphLoopView(
        id=uuid4(), name="Tidy", status=LoopStatus.RUNNING, default_agent_id=None, default_agent_name=None,
        mcp_server_ids=[], current_iteration=1, max_iterations=9, total_tasks=4, completed_tasks=1, failed_tasks=0,
        task_count=4, completed_task_count=1, progress_percentage=25, duration_ms=None,
        scheduling_mode=SchedulingMode.MANUAL, schedule_paused=False, next_scheduled_at=None, last_scheduled_at=None,
        daily_iteration_count=0, **ROW,
    )  # fmt: skip


def worktrees_view() -> WorktreeSessionView:
    return WorktreeSessionView(
        id=uuid4(), status=WorktreeSessionStatus.ACTIVE, repository_path="/srv/r", base_branch="main",
        merge_strategy=MergeStrategy.MANUAL, max_parallel=2, total_worktrees=0, completed_worktrees=0,
        failed_worktrees=0, progress_percentage=0, source_type=None, source_id=None,
        execution_mode=ExecutionMode.COMPLEMENTARY, max_duration_seconds=None, conflict_matrix={}, error_message=None,
        duration_ms=None, **ROW,
    )  # fmt: skip


def execution_view() -> AgentExecutionView:
    return AgentExecutionView(
        id=uuid4(), execution_id=f"exec_{uuid4().hex}", agent_id=uuid4(), agent_name="Ada",
        status=ExecutionStatus.RUNNING, execution_time_ms=None, tokens_used=0, total_cost=0, input_data={},
        output_data={}, error_message=None, error_details={}, **ROW,
    )  # fmt: skip


def workflow_view() -> WorkflowView:
    return WorkflowView(
        id=uuid4(), name="Greet", description=None, slug="greet", status=WorkflowStatus.ACTIVE,
        visibility=Visibility.ACCOUNT, workflow_type="ai", workflow_version="1.0.0", total_nodes=0, created_by=None,
        created_at=NOW, updated_at=NOW, version=1,
    )  # fmt: skip


def put(cable: Cable, view: Any, *keys: str, account_id: UUID | None = None) -> None:
    for key in keys:
        cable.shelf.put(account_id or cable.account_id, key, view)


async def answer_to(client: Client, name: str, action: str, **data: object) -> Message:
    await client.perform(name, action, **data)
    return cast("Message", await client.message())


def without(who: Identity, permission: Permission) -> Identity:
    return replace(who, permissions=who.permissions - {permission.value})


class TestAiOrchestrationChannel:
    @pytest.mark.parametrize("kind", ["workflow_run", "ralph_loop", "worktree_session"])
    async def test_greets_and_shows_how_it_stands(self, cable: Cable, kind: str) -> None:
        views: dict[str, tuple[Any, str, str]] = {
            "workflow_run": (run_view(), "workflow_run", "workflow.run.status.changed"),
            "ralph_loop": (loop_view(), "ralph_loop", "ralph_loop.progress"),
            "worktree_session": (worktrees_view(), "session", "worktree_session.status_changed"),
        }
        view, field, event = views[kind]
        key = view.run_id if kind == "workflow_run" else str(view.id)
        put(cable, view, key)
        async with cable.client() as client:
            greeting, state = await subscribed(client, identifier("AiOrchestrationChannel", type=kind, id=key))
            await cable.publisher.publish(f"ai_orchestration:{kind}:{key}", "e", b'"live"')
            assert await client.message() == "live"
        assert greeting.pop("timestamp")
        assert greeting == {
            "type": "subscription.confirmed", "subscription_type": kind, "resource_id": key,
            "stream_key": f"ai_orchestration:{kind}:{key}",
        }  # fmt: skip
        assert (state["event"], state["is_initial_status"], state["resource_type"]) == (event, True, kind)
        assert set(state) == {
            "event", "resource_type", "resource_id", "payload", "timestamp", "is_initial_status",
        }  # fmt: skip
        assert cast("Message", state["payload"])[field] == view.model_dump(mode="json")

    @pytest.mark.parametrize("kind", ["account", "monitoring"])
    async def test_only_the_own_account(self, cable: Cable, kind: str) -> None:
        async with cable.client() as client:
            [greeting] = await subscribed(
                client, identifier("AiOrchestrationChannel", type=kind, id=str(cable.account_id))
            )
            assert greeting["stream_key"] == f"ai_orchestration:{kind}:{cable.account_id}"
            other = await client.subscribe(identifier("AiOrchestrationChannel", type=kind, id=str(uuid4())))
        assert other["type"] == "reject_subscription"

    async def test_streams_that_no_id_makes_unique_hold_the_account(self, cable: Cable) -> None:
        put(cable, BreakerService("openai"), "openai")
        async with cable.client() as client:
            for kind, key in (("circuit_breaker", "all"), ("circuit_breaker_service", "openai")):
                [greeting] = await subscribed(client, identifier("AiOrchestrationChannel", type=kind, id=key))
                assert str(cable.account_id) in str(greeting["stream_key"])
        async with cable.client(person(uuid4())) as stranger:
            name = identifier("AiOrchestrationChannel", type="circuit_breaker_service", id="openai")
            assert (await stranger.subscribe(name))["type"] == "reject_subscription"

    @pytest.mark.parametrize(
        "params",
        [
            {},
            {"type": "workflow"},
            {"id": "x"},
            {"type": "everything", "id": "x"},
            {"type": "workflow", "id": 7},
            {"type": "workflow", "id": ["x"]},
            {"type": "workflow", "id": "x:y"},
            {"type": "workflow", "id": ""},
            {"type": "account", "id": "all"},
            {"type": "system", "id": "all"},
            {"type": "workflow", "id": "x", "more": 1},
        ],
    )
    async def test_what_does_not_fit_is_refused(self, cable: Cable, params: dict[str, object]) -> None:
        async with cable.client(person(cable.account_id, Role.OWNER)) as client:
            answer = await client.subscribe(identifier("AiOrchestrationChannel", **params))
        assert answer["type"] == "reject_subscription"

    async def test_needs_its_permission(self, cable: Cable) -> None:
        who = without(person(cable.account_id), Permission.WORKFLOWS_READ)
        async with cable.client(who) as client:
            name = identifier("AiOrchestrationChannel", type="account", id=str(cable.account_id))
            assert (await client.subscribe(name))["type"] == "reject_subscription"


class TestAiAgentExecutionChannel:
    async def test_greets_and_answers(self, cable: Cable) -> None:
        view = execution_view()
        put(cable, view, view.execution_id)
        name = identifier("AiAgentExecutionChannel", execution_id=view.execution_id)
        async with cable.client() as client:
            [greeting] = await subscribed(client, name)
            assert (greeting["channel"], greeting["execution_id"]) == ("agent_execution", view.execution_id)
            status = await answer_to(client, name, "request_status")
            assert (status["type"], status["execution"]) == ("execution_status", view.model_dump(mode="json"))
            gone = await answer_to(client, name, "request_agent_status", agent_id=str(uuid4()))
            assert (gone["type"], gone["message"]) == ("error", "No such agent")
            wrong = await answer_to(client, name, "request_agent_status", agent_id="x")
            assert wrong["message"] == "Not valid: agent_id"
            cable.shelf.things.clear()
            assert (await answer_to(client, name, "request_status"))["message"] == "This execution is gone"


class TestAiStreamingChannel:
    async def test_a_text_is_heard_from_beginning_to_end(self, cable: Cable) -> None:
        view = execution_view()
        put(cable, view, view.execution_id, str(view.id))
        stream = execution_tokens_stream(view.execution_id)
        async with cable.client() as client:
            name = identifier("AiStreamingChannel", execution_id=str(view.id))
            [greeting] = await subscribed(client, name)
            assert (greeting["subscription_type"], greeting["execution_id"]) == ("execution", str(view.id))
            text = TokenStream(cable.publisher, stream, "s1")
            await text.start({"model": "local"})
            await text.token("Hel")
            await text.token("lo")
            await text.end(prompt_tokens=3, completion_tokens=2)
            messages = [cast("dict[str, Any]", await client.message()) for _ in range(4)]
            broken = TokenStream(cable.publisher, stream, "s1", attempt=2)
            await broken.token("Hm")
            await broken.fail("The model is away")
            piece, error = [cast("dict[str, Any]", await client.message()) for _ in range(2)]
        assert [message["type"] for message in messages] == ["stream_start", "token", "token", "stream_end"]
        assert [message["data"]["content"] for message in messages[1:]] == ["Hel", "lo", "Hello"]
        assert [message["data"]["chunk_index"] for message in messages[1:3]] == [0, 1]
        assert messages[3]["data"]["usage"] == {"prompt": 3, "completion": 2, "total": 5}
        assert (piece["data"]["attempt"], piece["data"]["chunk_index"]) == (2, 0)
        assert (error["type"], error["data"]["partial_content"]) == ("stream_error", "Hm")

    async def test_a_conversation_by_either_id(self, cable: Cable) -> None:
        ref = cable.shelf.add_conversation(cable.account_id)
        async with cable.client() as client:
            for key in (str(ref.id), ref.public_id):
                [greeting] = await subscribed(client, identifier("AiStreamingChannel", conversation_id=key))
                assert (greeting["subscription_type"], greeting["conversation_id"]) == ("conversation", key)
            await cable.publisher.publish(f"ai_streaming:conversation:{ref.public_id}", "e", b'"live"')
            assert [await client.message() for _ in range(2)] == ["live"] * 2

    @pytest.mark.parametrize("both", [True, False])
    async def test_one_of_the_two_must_be_given(self, cable: Cable, both: bool) -> None:
        ref = cable.shelf.add_conversation(cable.account_id)
        view = execution_view()
        put(cable, view, view.execution_id)
        params = {"conversation_id": ref.public_id, "execution_id": view.execution_id} if both else {}
        async with cable.client() as client:
            answer = await client.subscribe(identifier("AiStreamingChannel", **params))
        assert answer["type"] == "reject_subscription"

    async def test_executions_need_the_permission_to_read_agents(self, cable: Cable) -> None:
        view = execution_view()
        put(cable, view, view.execution_id)
        who = without(person(cable.account_id), Permission.AGENTS_READ)
        async with cable.client(who) as client:
            answer = await client.subscribe(identifier("AiStreamingChannel", execution_id=view.execution_id))
        assert answer["type"] == "reject_subscription"


class TestAiWorkflowMonitoringChannel:
    async def test_hears_the_account_and_asks_for_its_numbers(self, cable: Cable) -> None:
        stats = DashboardStatsView(total_workflows=1, active_executions=2, completed_today=3, failed_today=4, version=5)
        cable.orders.answers = {GetDashboardStats: stats, GetActiveExecutions: []}
        name = identifier("AiWorkflowMonitoringChannel")
        async with cable.client() as client:
            [greeting] = await subscribed(client, name)
            assert (greeting["channel"], greeting["workflow_id"]) == ("workflow_monitoring", None)
            answer = await answer_to(client, name, "get_dashboard_stats")
            assert (answer["type"], answer["stats"]) == ("dashboard_stats", stats.model_dump(mode="json"))
            answer = await answer_to(client, name, "get_active_executions")
            assert (answer["type"], answer["executions"]) == ("active_executions", [])
            for kind in ("monitoring", "account"):
                await cable.publisher.publish(f"ai_orchestration:{kind}:{cable.account_id}", "e", b'"live"')
                assert await client.message() == "live"

    async def test_one_workflow(self, cable: Cable) -> None:
        view = workflow_view()
        put(cable, view, str(view.id))
        name = identifier("AiWorkflowMonitoringChannel", workflow_id=str(view.id))
        async with cable.client() as client:
            [greeting] = await subscribed(client, name)
            assert greeting["workflow_id"] == str(view.id)
            cable.orders.answers = {GetActiveExecutions: []}
            await answer_to(client, name, "get_active_executions")
            assert cable.orders.given == [GetActiveExecutions(view.id)]
        async with cable.client(person(uuid4())) as stranger:
            assert (await stranger.subscribe(name))["type"] == "reject_subscription"


class TestAiWorkflowOrchestrationChannel:
    async def test_orders_are_handed_on(self, cable: Cable) -> None:
        name = identifier("AiWorkflowOrchestrationChannel")
        workflow_id = uuid4()
        async with cable.client(person(cable.account_id, Role.ADMIN)) as client:
            [greeting] = await subscribed(client, name)
            assert greeting["channel"] == "workflow_orchestration"
            answers = [
                await answer_to(client, name, "create_workflow", workflow={"name": "Greet"}),
                await answer_to(client, name, "update_workflow", workflow_id=str(workflow_id), updates={"name": "x"}),
                await answer_to(client, name, "execute_workflow", workflow_id=str(workflow_id)),
            ]
        assert [answer["type"] for answer in answers] == [
            "workflow_created", "workflow_updated", "workflow_execution_started",
        ]  # fmt: skip
        assert [type(order) for order in cable.orders.given] == [CreateWorkflow, UpdateWorkflow, ExecuteWorkflow]

    @pytest.mark.parametrize(
        ("action", "data", "fault"),
        [
            ("create_workflow", {}, "workflow"),
            ("create_workflow", {"workflow": {"name": ""}}, "workflow.name"),
            ("create_workflow", {"workflow": {"name": "x", "account_id": "y"}}, "workflow.account_id"),
            ("create_workflow", {"workflow": {"name": "x", "status": "alive"}}, "workflow.status"),
            ("create_workflow", {"workflow": {"name": "x"}, "nodes": [{"node_id": "a"}]}, "nodes.0.node_type"),
            ("update_workflow", {"workflow_id": str(uuid4()), "updates": {"created_by": "y"}}, "updates.created_by"),
            ("update_workflow", {"workflow_id": str(uuid4()), "updates": {}}, "updates"),
            ("update_workflow", {"workflow_id": "x", "updates": {"name": "x"}}, "workflow_id"),
            ("execute_workflow", {"workflow_id": str(uuid4()), "input_variables": []}, "input_variables"),
        ],
    )
    async def test_what_does_not_fit_is_an_error(
        self, cable: Cable, action: str, data: dict[str, object], fault: str
    ) -> None:
        name = identifier("AiWorkflowOrchestrationChannel")
        async with cable.client(person(cable.account_id, Role.ADMIN)) as client:
            await subscribed(client, name)
            answer = await answer_to(client, name, action, **data)
        assert answer["type"] == "error"
        assert fault in str(answer["message"])
        assert cable.orders.given == []

    async def test_a_refusal_is_said_with_its_reason(self, cable: Cable) -> None:
        name = identifier("AiWorkflowOrchestrationChannel")
        cable.orders.refusal = ConflictError("A workflow that is draft cannot be executed")
        async with cable.client() as client:
            await subscribed(client, name)
            answer = await answer_to(client, name, "execute_workflow", workflow_id=str(uuid4()))
        assert answer["message"] == "A workflow that is draft cannot be executed"

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
    async def test_who_may_not_manage_may_not_change(self, cable: Cable, role: Role) -> None:
        name = identifier("AiWorkflowOrchestrationChannel")
        async with cable.client(person(cable.account_id, role)) as client:
            await subscribed(client, name)
            answer = await answer_to(client, name, "create_workflow", workflow={"name": "x"})
        assert "ai.workflows.manage" in str(answer["message"])
        assert cable.orders.given == []


class TestAiConversationsListChannel:
    async def test_hears_the_own_account(self, cable: Cable) -> None:
        name = identifier("AiConversationsListChannel")
        async with cable.client() as client, cable.client(person(uuid4())) as stranger:
            [greeting] = await subscribed(client, name)
            await subscribed(stranger, name)
            await cable.publisher.publish(f"ai_conversations_list:account_{cable.account_id}", "e", b'"live"')
            assert await client.message() == "live"
            assert await stranger.settled() == []
        assert greeting["channel"] == "ai_conversations_list"

    async def test_takes_no_params(self, cable: Cable) -> None:
        async with cable.client() as client:
            name = identifier("AiConversationsListChannel", account_id=str(uuid4()))
            assert (await client.subscribe(name))["type"] == "reject_subscription"

    def test_what_each_message_changes_is_no_part_of_the_view(self) -> None:
        assert not {"message_count", "last_activity_at"} & set(ConversationView.model_fields)
