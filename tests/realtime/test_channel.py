"""The registry: what must be declared, and what stops the start."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from pydantic import BaseModel, ConfigDict

from domain.permissions import Permission
from realtime.channel import Channel, Resources, discover, register
from realtime.identity import Identity


class _Params(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _LooseParams(BaseModel):
    pass


async def _authorize(_self: object, _identity: Identity, _params: _Params, _resources: Resources) -> Sequence[str]:
    return ["s"]


_COMPLETE: dict[str, object] = {
    "name": "SparkChannel", "params": _Params, "permission": Permission.SESSIONS_READ, "actions": (), "authorize": _authorize,
}  # fmt: skip


def declare(**changes: object) -> type[Channel[_Params]]:
    declared = {key: value for key, value in (_COMPLETE | changes).items() if value is not None}
    return type("SparkChannel", (Channel,), declared)


class TestRegister:
    @pytest.mark.parametrize("missing", ["name", "params", "permission", "actions", "authorize"])
    def test_every_declaration_is_asked_for(self, missing: str) -> None:
        with pytest.raises(RuntimeError, match=missing):
            register(declare(**{missing: None}))

    def test_params_must_forbid_extras(self) -> None:
        with pytest.raises(RuntimeError, match="extra='forbid'"):
            register(declare(params=_LooseParams))

    def test_permissions_must_be_of_the_catalogue(self) -> None:
        with pytest.raises(RuntimeError, match="catalogue"):
            register(declare(permission="chat.everything"))

    def test_a_taken_name_stops_with_both_places(self) -> None:
        discover()
        with pytest.raises(RuntimeError, match=r"realtime\.channels\.chat_session and .*test_channel"):
            register(declare(name="ChatSessionChannel", __module__=__name__))


class TestDiscover:
    def test_finds_every_file_of_the_folder(self) -> None:
        assert {"AiConversationChannel", "ChatChannelChannel", "ChatSessionChannel"} <= set(discover())
        assert all(name == channel.name == type(channel).__name__ for name, channel in discover().items())
