"""How often a platform lets a bot speak, as data: each adapter lists its rules, activities/limiter.py keeps them.

The rules are what the platforms publish, and where they count in fixed windows, what surely fits into one. They keep us
from being refused; what a refusal says always comes first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

EXPLAINED_S: Final = 5.0
"""No chat's own rule asks for a longer wait after a short burst, unless its window is longer."""


class Scope(StrEnum):
    """Whom a rule, or a platform's wait, concerns."""

    BOT = "bot"
    CHAT = "chat"


class Verb(StrEnum):
    """What is asked of the platform."""

    SEND = "send"
    EDIT = "edit"
    SIGN = "sign"
    """A passing sign: "typing", or that a message was read."""


def everywhere(_chat: str) -> bool:
    """Say that a rule applies to every chat."""
    return True


@dataclass(frozen=True, slots=True)
class SendRule:
    """`count` requests in `per_s` seconds, of which `burst` may come at once.

    `verbs`: which requests it counts, together. `applies`: to which of the platform's chats.
    """

    name: str
    count: float
    per_s: float
    burst: int
    scope: Scope
    verbs: frozenset[Verb] = frozenset(Verb)
    applies: Callable[[str], bool] = everywhere


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request goes. `bot`: tells bots apart, and is no secret; `rules`: those that count it.

    `apart`: the platform counts edits by themselves. `cost`: how many requests it takes, which all go at once.
    """

    bot: str
    chat: str
    verb: Verb
    rules: tuple[SendRule, ...]
    apart: bool = False
    cost: int = 1

    def blames(self, wait_s: float) -> Scope:
        """Return whose limit a refusal speaks of that does not say it: the chat's where its own rules explain the wait."""
        windows = [max(EXPLAINED_S, rule.per_s) for rule in self.rules if rule.scope is Scope.CHAT]
        return Scope.CHAT if windows and wait_s <= max(windows) else Scope.BOT
