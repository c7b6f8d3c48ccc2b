"""Chance in the simulator, apart from Python's own: that is shared with whoever seeds it, property tests among them."""

from __future__ import annotations

import random
from typing import Final

DICE: Final = random.Random()
