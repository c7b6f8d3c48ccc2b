"""`powernode migrate` on a Temporal that knows nothing of us."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from stack.migrate import register_search_attributes
from stack.temporal import SEARCH_ATTRIBUTES
from tests.stack.stacks import until_true


class TestRegisterSearchAttributes:
    async def test_adds_what_is_missing_once(self, temporal_client: Client) -> None:
        request = RegisterNamespaceRequest(namespace=f"test-{uuid4().hex}")
        request.workflow_execution_retention_period.FromTimedelta(timedelta(days=1))
        await temporal_client.workflow_service.register_namespace(request)
        client = await Client.connect(temporal_client.service_client.config.target_host, namespace=request.namespace)
        added: list[str] = []

        async def registered() -> bool:
            try:
                added.extend(await register_search_attributes(client))
            except RPCError:  # the server's own cache does not know the namespace yet
                return False
            return True

        await until_true(registered)
        assert sorted(added) == sorted(SEARCH_ATTRIBUTES)
        assert await register_search_attributes(client) == []
