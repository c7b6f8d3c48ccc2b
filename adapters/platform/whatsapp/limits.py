"""How often a number may speak: 80 messages a second, and one in six seconds to one person after a burst of 45.

*WhatsApp Cloud API, Throughput* and *Pair rate limits* (errors 130429 and 131056). Messages cannot be changed by the API.
"""

from __future__ import annotations

from typing import Final

from adapters.base import ErrorClass, Refused
from adapters.limits import Scope, SendRule, Verb

RULES: Final = (
    SendRule("number", 80, 1, 80, Scope.BOT),
    SendRule("pair", 1, 6, 45, Scope.CHAT, frozenset({Verb.SEND})),
)
NO_CHANGES: Final = Refused(ErrorClass.PERMANENT, "not_supported", "WhatsApp has no API for changing messages")
