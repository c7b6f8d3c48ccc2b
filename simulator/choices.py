"""Buttons and menu lines as people see them, whatever the platform calls them: `{label, value, url}`. Pure."""

from __future__ import annotations

from simulator.records import Json, Message


def choice(label: object, value: object = None, url: object = None) -> Json:
    """Return one of them; `value` is what a press gives back, `url` what it opens."""
    return {
        "label": str(label or ""),
        "value": None if value is None else str(value),
        "url": None if url is None else str(url),
    }


def find_choice(message: Message, wanted: str) -> Json | None:
    """Return the button that a person means, by its label or its value; None where the message has none such."""
    return next((one for one in message.choices if wanted in {one["label"], one["value"]}), None)
