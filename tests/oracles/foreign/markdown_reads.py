"""Reads Markdown with other people's readers. JSON on standard input, {name: Markdown}; on standard output what each made of it.

`entities`: telegramify-markdown's, as [type, the text that it covers, address or language]; `html`: python-markdown's.
Run by the interpreter of .venv-oracles; see tests/oracles/test_rendering.py.
"""

from __future__ import annotations

import json
import sys

import markdown
import telegramify_markdown


def covered(text: str, offset: int, length: int) -> str:
    """Return what an entity covers; offsets count UTF-16 units."""
    units = text.encode("utf-16-le")
    return units[2 * offset : 2 * (offset + length)].decode("utf-16-le")


def read(source: str) -> dict[str, object]:
    """Return what both make of it."""
    text, entities = telegramify_markdown.convert(source)
    found = [(one.type, covered(text, one.offset, one.length), one.url or one.language or "") for one in entities]
    return {"text": text, "entities": found, "html": markdown.markdown(source, extensions=["fenced_code", "tables"])}


def main() -> None:
    """Read all."""
    json.dump({name: read(source) for name, source in json.load(sys.stdin).items()}, sys.stdout)


if __name__ == "__main__":
    main()
