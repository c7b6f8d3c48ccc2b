"""The typed search attributes by which an operator finds a message's story in the Temporal UI."""

from __future__ import annotations

from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from domain.work import SessionRef, attribute_values


def search_attributes(ref: SessionRef, trace_id: str) -> TypedSearchAttributes:
    """Return the attributes of a turn's or a delivery's workflow."""
    return TypedSearchAttributes(
        [
            SearchAttributePair(SearchAttributeKey.for_keyword(name), value)
            for name, value in attribute_values(ref, trace_id).items()
        ]
    )
