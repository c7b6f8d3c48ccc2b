"""The walk through a Markdown tree that writes it as steps (ops.py) in a dialect. Called by the renderer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from markdown_it.tree import SyntaxTreeNode

from adapters.markdown.fences import parted
from adapters.markdown.ops import Atom, Break, Cut, Dialect, Enter, Leave, Mark, Op, Text

_STYLES: Final = frozenset({"strong", "em", "s"})
_LANGUAGE: Final = re.compile(r"[\w+#.-]{1,32}", re.ASCII)
_ADDRESS: Final = re.compile(r"(?:https?://|mailto:|tel:)[^\s<>|\"]{1,500}", re.IGNORECASE)
_INDENT: Final = Mark(line_prefix="   ", plain_prefix="   ")
_PARAGRAPH: Final = Break(Cut.PARAGRAPH)
_LINE: Final = Break(Cut.LINE)


class Writer:
    """Writes one document. `source`: the Markdown's lines, for what the tree does not keep."""

    def __init__(self, dialect: Dialect, source: Sequence[str]) -> None:
        self._dialect = dialect
        self._source = source
        self._active: list[str] = []

    def document(self, root: SyntaxTreeNode) -> list[Op]:
        """Return the whole document's steps."""
        ops = self._blocks(root.children)
        return parted(_jointed(ops, self._dialect.joint)) if self._dialect.joint else ops

    def _blocks(self, nodes: Iterable[SyntaxTreeNode], between: Break = _PARAGRAPH) -> list[Op]:
        ops: list[Op] = []
        for node in nodes:
            written = self._block(node)
            if written and ops:
                ops.append(between)
            ops += written
        return ops

    def _block(self, node: SyntaxTreeNode) -> list[Op]:
        match node.type:
            case "heading":
                return self._marked("strong", node.children)
            case "bullet_list" | "ordered_list":
                return self._list(node)
            case "blockquote":
                return self._quote(node)
            case "fence" | "code_block":
                return self._code(node)
            case "table":
                return self._table(node)
            case "hr":
                return [Text("———")]
            case _:
                return self._inlines(node.children) if node.children else self._text(node.content)

    def _list(self, node: SyntaxTreeNode) -> list[Op]:
        ops: list[Op] = []
        tight = all(child.hidden for item in node.children for child in item.children if child.type == "paragraph")
        between = _LINE if tight else _PARAGRAPH
        for item in node.children:
            bullet = "• " if node.type == "bullet_list" else f"{item.info}. "
            if ops:
                ops.append(between)
            ops += [Atom(bullet, bullet), Enter(_INDENT), *self._blocks(item.children, between), Leave()]
        return ops

    def _quote(self, node: SyntaxTreeNode) -> list[Op]:
        if "blockquote" in self._active:
            return self._blocks(node.children)
        self._active.append("blockquote")
        ops = self._blocks(node.children)
        self._active.pop()
        return _wrapped(self._dialect.marks["blockquote"], ops)

    def _code(self, node: SyntaxTreeNode) -> list[Op]:
        first, _, rest = node.info.strip().partition(" ")
        if first and not _LANGUAGE.fullmatch(first):
            # Not a language, so it is text that somebody wants to be read.
            first, rest = "", node.info.strip()
        content = node.content.removesuffix("\n")
        text = f"{rest}\n{content}" if rest else content
        return _wrapped(self._dialect.code_block(first), [Text(self._dialect.clean_code(text))])

    def _table(self, node: SyntaxTreeNode) -> list[Op]:
        rows = [
            [_plain(cell).replace("\n", " ") for cell in row.children]
            for part in node.children
            for row in part.children
        ]
        text = "\n".join(self._table_lines(node, rows))
        return _wrapped(self._dialect.code_block(""), [Text(self._dialect.clean_code(text))])

    def _table_lines(self, node: SyntaxTreeNode, rows: list[list[str]]) -> list[str]:
        start, end = node.map or (0, 0)
        source = self._source[start:end]
        if any(line.strip().strip("|").count("|") >= len(rows[0]) for line in source):
            # The parser drops cells beyond the header's; as written, nothing is lost.
            return list(source)
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = [
            " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
        ]
        return [lines[0], "-+-".join("-" * width for width in widths), *lines[1:]]

    def _inlines(self, nodes: Iterable[SyntaxTreeNode]) -> list[Op]:
        ops: list[Op] = []
        for node in nodes:
            ops += self._inline(node)
        return ops

    def _inline(self, node: SyntaxTreeNode) -> list[Op]:
        match node.type:
            case "inline":
                return self._inlines(node.children)
            case "softbreak" | "hardbreak":
                return self._line_end()
            case "code_inline":
                return self._dialect.inline_code(self._dialect.clean_code(node.content))
            case "link":
                return self._link(str(node.attrs.get("href", "")), node)
            case "image":
                return self._link(str(node.attrs.get("src", "")), node)
            case kind if kind in _STYLES:
                return self._marked(kind, node.children)
            case _:
                return self._text(node.content)

    def _text(self, text: str) -> list[Op]:
        return [Text(self._dialect.clean(text))] if text else []

    def _line_end(self) -> list[Op]:
        if not self._dialect.per_line:
            return [_LINE]
        open_styles = [self._dialect.marks[name] for name in self._active if name in _STYLES]
        return [*(Leave() for _ in open_styles), _LINE, *(Enter(mark) for mark in open_styles)]

    def _marked(self, name: str, nodes: Iterable[SyntaxTreeNode]) -> list[Op]:
        if name in self._active:
            return self._inlines(nodes)
        self._active.append(name)
        ops = self._inlines(nodes)
        self._active.pop()
        return _wrapped(self._dialect.marks[name], ops)

    def _link(self, address: str, node: SyntaxTreeNode) -> list[Op]:
        label = _plain(node)
        inside = "link" in self._active
        self._active.append("link")
        ops = self._inlines(node.children) or self._text(node.content)
        self._active.pop()
        title = self._text(f" ({node.attrs['title']})") if node.attrs.get("title") else []
        if not address or label in {address, address.removeprefix("mailto:")}:
            return [*ops, *title]
        if inside or not _ADDRESS.fullmatch(address):
            return [*ops, *self._text(f" ({address})"), *title]
        if not label.strip():
            return [*self._text(address), *title]
        return [*self._dialect.link(address, ops, label), *title]


def _plain(node: SyntaxTreeNode) -> str:
    if node.type in {"softbreak", "hardbreak"}:
        return " "
    if node.children:
        return "".join(_plain(child) for child in node.children)
    return node.content if not node.is_root else ""


def _wrapped(mark: Mark, ops: list[Op]) -> list[Op]:
    """Put a mark round steps that show something; signs round nothing would be read as text."""
    if not any((isinstance(op, Text) and op.text.strip()) or isinstance(op, Atom) for op in ops):
        return ops
    return [Enter(mark), *ops, Leave()]


def _jointed(ops: list[Op], joint: str) -> list[Op]:
    """Part a style's sign from the word character beside it, where the sign would otherwise be read as text."""
    written: list[Op] = []
    before, left = "", False
    signs: list[bool] = []
    for op in ops:
        if isinstance(op, Enter):
            signs.append(bool(op.mark.open) and not op.mark.verbatim)
            if signs[-1] and before.isalnum():
                written.append(Atom(joint, ""))
            before = ""
        elif isinstance(op, Leave):
            left = signs.pop()
        elif isinstance(op, Text) and op.text:
            if left and op.text[0].isalnum():
                written.append(Atom(joint, ""))
            before, left = op.text[-1], False
        else:
            before, left = "", False
        written.append(op)
    return written
