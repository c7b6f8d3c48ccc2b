"""A message of any kind becomes the parts that its platform is sent: rendered, within its limits, with honest stand-ins.

The one place where a text meets what goes with it: what fits is a caption, or stands above buttons; what is too long for that
goes before it as parts of its own. Called by activities and by the api, before anything is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from adapters.base import PlatformAdapter, RenderedPart
from domain.fallbacks import carried
from domain.outbound import Buttons, FilePart, Menu, OutboundLimits, Payload

_INVITATION: Final = "…"
"""Stands above buttons whose sender said nothing: no platform shows buttons without a text."""


def compose(adapter: PlatformAdapter, markdown: str, extras: Sequence[Payload] = ()) -> list[RenderedPart]:
    """Return the parts, in order; the text goes with the first of `extras`. Raises InvalidInputError for what cannot be sent."""
    if not extras:
        return adapter.render(markdown)
    can = adapter.capabilities
    parts: list[RenderedPart] = []
    for position, extra in enumerate(extras):
        said = carried(can.outbound, markdown if position == 0 else "", extra, can.label)
        if said.extra is None:
            parts += adapter.render(said.markdown)
        else:
            parts += _with(adapter, said.markdown, said.extra)
    return parts


def _with(adapter: PlatformAdapter, markdown: str, extra: Payload) -> list[RenderedPart]:
    if isinstance(extra, Buttons | Menu):
        *before, last = adapter.render(markdown or _INVITATION, _text_limit(adapter.capabilities.outbound, extra))
        return [*before, replace(last, payload=extra)]
    if not markdown:
        return [RenderedPart("", "", extra)]
    if isinstance(extra, FilePart) and extra.type not in adapter.capabilities.outbound.uncaptioned:
        captions = adapter.render(markdown, adapter.capabilities.outbound.caption)
        if len(captions) == 1:
            return [replace(captions[0], payload=extra)]
    return [*adapter.render(markdown), RenderedPart("", "", extra)]


def _text_limit(can: OutboundLimits, extra: Buttons | Menu) -> int | None:
    limits = can.buttons if isinstance(extra, Buttons) else can.menu
    return None if limits is None else limits.text
