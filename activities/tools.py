"""The built-in tools that an agent may call. Each is small, safe to repeat, and answers in text for the model.

Arguments come from a model: they are validated by a pydantic model whose schema is what the model was shown; a wrong
call gets an answer that says so, never an exception.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from activities.file_tools import MAX_CHARACTERS, FileDesk, FileToolError, known_file, written_file
from db.handoff import hand_to_human
from db.session import Database
from domain.agent import ToolSpec
from domain.outbound import ButtonList, Buttons, ChoiceList, Location, Menu, Payload, Words


@dataclass(frozen=True, slots=True)
class ToolContext:
    """In whose session a tool runs. `desk`: what sends files there."""

    db: Database
    account_id: UUID
    session_id: UUID
    desk: FileDesk | None = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """A tool's answer. `terminal` ends the turn with `text`, which is then what the person reads, and `extras` go with it."""

    text: str
    terminal: bool = False
    extras: tuple[Payload, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return it as a step's response: `{result, terminal, extras?}`."""
        response: dict[str, object] = {"result": self.text, "terminal": self.terminal}
        return response | ({"extras": [one.model_dump(mode="json") for one in self.extras]} if self.extras else {})


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CurrentTimeArguments(_Arguments):
    """Arguments of `current_time`."""

    timezone: str = Field(default="UTC", description="IANA name such as Europe/Berlin", max_length=64)


class CalculateArguments(_Arguments):
    """Arguments of `calculate`."""

    expression: str = Field(description="Arithmetic with + - * / ** % and parentheses", max_length=200)


class TransferArguments(_Arguments):
    """Arguments of `transfer_to_human`."""

    reason: str = Field(default="", description="Why a human is needed", max_length=500)


class SendButtonsArguments(_Arguments):
    """Arguments of `send_buttons`."""

    text: Words = Field(description="What stands above the buttons", max_length=4_000)
    buttons: ButtonList = Field(
        description="Each has a label, and either a value that comes back when it is pressed, or a url that it opens"
    )


class SendMenuArguments(_Arguments):
    """Arguments of `send_menu`."""

    text: Words = Field(description="What stands above the list", max_length=4_000)
    label: str = Field(default="Choose", description="What opens the list", min_length=1, max_length=20)
    choices: ChoiceList = Field(description="Each has a label, a value that comes back, perhaps a description")


class SendFileArguments(_Arguments):
    """Arguments of `send_file`."""

    text: str = Field(default="", description="What is said beside it", max_length=4_000)
    name: Words = Field(
        description="The name of a file of this conversation; or, with `content`, of a new one: .txt, .csv or .md",
        max_length=200,
    )
    content: str | None = Field(
        default=None, description="The whole text of a new file", min_length=1, max_length=MAX_CHARACTERS
    )


class SendLocationArguments(_Arguments):
    """Arguments of `send_location`."""

    text: str = Field(default="", description="What is said beside it", max_length=4_000)
    location: Location


async def _current_time(_context: ToolContext, arguments: CurrentTimeArguments) -> ToolResult:
    try:
        zone = ZoneInfo(arguments.timezone)
    except (ZoneInfoNotFoundError, ValueError):
        return ToolResult(f"There is no time zone {arguments.timezone!r}.")
    return ToolResult(datetime.now(UTC).astimezone(zone).isoformat(timespec="seconds"))


_BINARY: Final[dict[type[ast.operator], Callable[[float, float], float]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda left, right: left / right,
    ast.Mod: operator.mod,
    ast.Pow: lambda left, right: float(left**right),
}


def _evaluate(node: ast.expr) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_evaluate(node.operand)
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        left, right = _evaluate(node.left), _evaluate(node.right)
        if isinstance(node.op, ast.Pow) and (abs(left) > 1e6 or abs(right) > 64):
            raise ValueError("too large a power")
        return _BINARY[type(node.op)](left, right)
    raise ValueError("only numbers and + - * / ** % are understood")


async def _calculate(_context: ToolContext, arguments: CalculateArguments) -> ToolResult:
    try:
        return ToolResult(str(_evaluate(ast.parse(arguments.expression, mode="eval").body)))
    except (ValueError, SyntaxError, ArithmeticError, RecursionError) as error:
        return ToolResult(f"That cannot be calculated: {error}")


async def _transfer(context: ToolContext, arguments: TransferArguments) -> ToolResult:
    async with context.db.account(context.account_id) as conn:
        await hand_to_human(conn, context.session_id, arguments.reason)
    return ToolResult("A colleague takes over from here and will answer you in this chat.", terminal=True)


async def _buttons(_context: ToolContext, arguments: SendButtonsArguments) -> ToolResult:
    return ToolResult(arguments.text, terminal=True, extras=(Buttons(buttons=arguments.buttons),))


async def _menu(_context: ToolContext, arguments: SendMenuArguments) -> ToolResult:
    menu = Menu(label=arguments.label, choices=arguments.choices)
    return ToolResult(arguments.text, terminal=True, extras=(menu,))


async def _file(context: ToolContext, arguments: SendFileArguments) -> ToolResult:
    where, desk = (context.db, context.account_id, context.session_id), context.desk
    if desk is None:
        return ToolResult("Files cannot be sent here.")
    try:
        if arguments.content is None:
            part = await known_file(*where, desk, arguments.name)
        else:
            part = await written_file(*where, desk, name=arguments.name, content=arguments.content)
    except FileToolError as error:
        return ToolResult(str(error))
    return ToolResult(arguments.text, terminal=True, extras=(part,))


async def _location(_context: ToolContext, arguments: SendLocationArguments) -> ToolResult:
    return ToolResult(arguments.text, terminal=True, extras=(arguments.location,))


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool with the schema of its arguments."""

    description: str
    arguments: type[_Arguments]
    run: Callable[..., Awaitable[ToolResult]]
    risky: bool = False
    """It does what cannot be taken back: it runs only with a person's word, whatever the agent's settings say."""


TOOLS: Final[dict[str, Tool]] = {
    "current_time": Tool("Tell the current date and time.", CurrentTimeArguments, _current_time),
    "calculate": Tool("Work out an arithmetic expression.", CalculateArguments, _calculate),
    "transfer_to_human": Tool(
        "Hand the conversation to a human colleague. Ends your turn.", TransferArguments, _transfer
    ),
    "send_buttons": Tool(
        "Answer with a text and buttons to press under it. Ends your turn; the pressed one comes as the next message.",
        SendButtonsArguments,
        _buttons,
    ),
    "send_menu": Tool(
        "Answer with a text and a list to choose one line from. Ends your turn; the choice comes as the next message.",
        SendMenuArguments,
        _menu,
    ),
    "send_file": Tool(
        "Answer with a file: one of this conversation, or a text that you write. Ends your turn.",
        SendFileArguments,
        _file,
    ),
    "send_location": Tool("Answer with a place on the map. Ends your turn.", SendLocationArguments, _location),
}


def needs_approval(name: str, approve: Collection[str]) -> bool:
    """Return whether a call of a tool waits for a person's word. `approve`: the agent's own `approve_tools`."""
    tool = TOOLS.get(name)
    return tool is not None and (tool.risky or name in approve)


def tool_specs(names: Iterable[str]) -> list[ToolSpec]:
    """Return the named tools as a model sees them."""
    return [ToolSpec(name, TOOLS[name].description, TOOLS[name].arguments.model_json_schema()) for name in names]


async def run_tool(context: ToolContext, name: str, arguments: str) -> ToolResult:
    """Run a tool; an unknown one or wrong arguments give an answer that the model can act on."""
    tool = TOOLS.get(name)
    if tool is None:
        return ToolResult(f"There is no tool named {name!r}.")
    try:
        parsed = tool.arguments.model_validate_json(arguments or "{}")
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        return ToolResult(f"The arguments do not fit: {problems}")
    return await tool.run(context, parsed)
