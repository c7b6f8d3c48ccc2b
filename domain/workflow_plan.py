"""What a person may say of a workflow: to make one, and to change one. Nothing else of the row can be set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from domain.run_views import Json, WorkflowEdgeView, WorkflowNodeView
from domain.runs import Visibility, WorkflowStatus

MAX_NODES: Final = 500
MAX_EDGES: Final = 2_000

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255)]
Description = Annotated[str, StringConstraints(max_length=5_000)]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=150)]
Kind = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,50}$")]
Semver = Annotated[str, StringConstraints(pattern=r"^\d{1,9}\.\d{1,9}\.\d{1,9}$")]


class WorkflowFields(BaseModel):
    """A new workflow. Without a slug it is made from the name; `is_active` is an older word for the status."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: Name
    description: Description | None = None
    slug: Slug | None = None
    status: WorkflowStatus | None = None
    visibility: Visibility = Visibility.ACCOUNT
    workflow_type: Kind = "ai"
    configuration: Json = Field(default_factory=dict)
    version: Semver = "1.0.0"
    is_active: bool | None = None

    def standing(self) -> WorkflowStatus:
        """Return the status that is meant."""
        if self.status is not None:
            return self.status
        if self.is_active is None:
            return WorkflowStatus.DRAFT
        return WorkflowStatus.ACTIVE if self.is_active else WorkflowStatus.INACTIVE


class WorkflowUpdates(BaseModel):
    """What may be changed of a workflow; what is missing stays as it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: Name | None = None
    description: Description | None = None
    status: WorkflowStatus | None = None
    visibility: Visibility | None = None
    configuration: Json | None = None
    nodes: Annotated[list[WorkflowNodeView], Field(max_length=MAX_NODES)] | None = None
    edges: Annotated[list[WorkflowEdgeView], Field(max_length=MAX_EDGES)] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("nothing is to be changed")
        return self


def plan_fault(nodes: Sequence[WorkflowNodeView], edges: Sequence[WorkflowEdgeView]) -> str | None:
    """Return what is wrong with a plan: doubled ids, or an edge to a node that is not there; None for a sound one."""
    names = [node.node_id for node in nodes]
    if len(set(names)) != len(names):
        return "two nodes have the same node_id"
    if len({edge.edge_id for edge in edges}) != len(edges):
        return "two edges have the same edge_id"
    known = set(names)
    loose = [edge.edge_id for edge in edges if not {edge.source_node_id, edge.target_node_id} <= known]
    return f"edge {loose[0][:64]} leads to or from a node that is not there" if loose else None
