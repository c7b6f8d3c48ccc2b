"""Compares four histories after a storm: webhooks answered 2xx, our rows, the agents' calls, what the platform received.

Every person's text is unique and every answer quotes it, so each question can be followed to its answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.e2e.system import Talk


@dataclass
class Verdict:
    """What was found; empty lists mean that all is well."""

    asked: int = 0
    answered_once: int = 0
    unknown: int = 0
    lost: list[str] = field(default_factory=list[str])
    doubled: list[str] = field(default_factory=list[str])
    unstored: list[str] = field(default_factory=list[str])
    called_twice: list[str] = field(default_factory=list[str])


def judge(
    asked: Iterable[str], stored: Iterable[str], calls: Counter[str], sent: list[str], open_: set[str]
) -> Verdict:
    """Judge the histories. `calls`: recorded answers per text; `sent`: what the platform has; `open_`: texts whose
    answer is listed as unknown or dead."""
    verdict, rows = Verdict(), Counter(stored)
    quoted = Counter(text for text in asked for one in sent if text in one)
    for text in asked:
        verdict.asked += 1
        if rows[text] != 1:
            verdict.unstored.append(text)
        if calls[text] > 1:
            verdict.called_twice.append(text)
        if quoted[text] > 1:
            verdict.doubled.append(text)
        elif quoted[text] == 1:
            verdict.answered_once += 1
        elif text in open_:
            verdict.unknown += 1
        else:
            verdict.lost.append(text)
    return verdict


async def check(talk: Talk, asked: list[str]) -> Verdict:
    """Read the four histories of a talk and judge them."""
    stored = [row.content for row in await talk.rows("SELECT content FROM chat_messages WHERE direction = 'inbound'")]
    answers = await talk.rows(
        "SELECT q.content, m.id, bool_or(d.status IN ('unknown', 'dead')) AS open FROM chat_messages m"
        " JOIN chat_messages q ON q.turn_id = m.turn_id AND q.direction = 'inbound'"
        " JOIN message_deliveries d ON d.message_id = m.id WHERE m.direction = 'outbound' GROUP BY 1, 2"
    )
    received = await talk.system.simulator.received(talk.name, at_least=0)
    return judge(
        asked,
        stored,
        Counter(row.content for row in answers),
        [one["text"] for one in received],
        {row.content for row in answers if row.open},
    )
