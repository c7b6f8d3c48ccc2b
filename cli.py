"""The command `powernode`. Only names, options and help; what a command does stands in a module of its own.

Commands that need the settings of a process read the environment; those for people read the stack that runs here.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Final

from cyclopts import App, Parameter

from config import Settings, SettingsError, StackSettings

app: Final = App(
    name="powernode",
    help="Chat platforms, AI agents and operators, joined by durable workflows.",
    version="0.1.0",
)


@app.command
def up(*, detach: Annotated[bool, Parameter(help="Return when all is ready.")] = False) -> int:
    """Start everything: Postgres, Valkey, Temporal, the api, a worker and the simulator."""
    from stack.up import detached, foreground

    settings = StackSettings.load()
    return detached(settings) if detach else foreground(settings)


@app.command
def down() -> int:
    """Stop what `up` started; data stays."""
    from stack.down import down as end

    sys.stdout.write("stopped\n" if end(StackSettings.load()) else "nothing was running\n")
    return 0


@app.command
def reset() -> int:
    """Stop, and wipe databases, logs and secrets."""
    from stack.down import reset as wipe

    wipe(StackSettings.load())
    sys.stdout.write("wiped\n")
    return 0


@app.command
def api() -> int:
    """Serve REST, webhooks and /cable on POWERNODE_HOST and POWERNODE_PORT."""
    from stack.serve import serve_api

    return serve_api(Settings.load())


@app.command
def worker() -> int:
    """Run workflows and activities of the queues in POWERNODE_QUEUES."""
    import worker as process

    process.main()
    return 0


@app.command
def simulate(
    *bots: Annotated[str, Parameter(help="Platforms; one bot of each if none is named.")],
    host: Annotated[str, Parameter(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, Parameter(help="Port to listen on; a free one if not given.")] = 0,
    webhook: Annotated[
        list[str] | None, Parameter(help="Where a bot is told, platform=address; may be repeated.")
    ] = None,
    json: Annotated[
        str | None, Parameter(help="File for addresses and credentials; - prints them.", allow_leading_hyphen=True)
    ] = None,
    seed: Annotated[str, Parameter(help="What the made-up credentials are made of.")] = "simulated",
    state_file: Annotated[str | None, Parameter(help="Remember bots, people and messages here.")] = None,
) -> int:
    """Play the platforms and a model, alone: for your own tests, or to try a bot by hand. docs/simulator.md has more."""
    from simulator.__main__ import main as play

    options = ["--host", host, "--port", str(port), "--seed", seed, "--bots"]
    options += [one for name in bots for one in ("--bot", name)]
    options += [one for pair in webhook or () for one in ("--webhook", pair)]
    options += ["--json", json] if json else []
    options += ["--state-file", state_file] if state_file else []
    return play(options)


@app.command
def migrate() -> int:
    """Bring the database to the current schema, as its owner."""
    from stack.migrate import migrate as upgrade

    return upgrade(StackSettings.load())


@app.command
def platform_admin(email: str, *, revoke: Annotated[bool, Parameter(help="Take it away again.")] = False) -> int:
    """Let a person administer the whole installation: all customers, all figures."""
    from stack.platform_admin import run

    return run(StackSettings.load(), email, granted=not revoke)


@app.command
def status(*, json: Annotated[bool, Parameter(help="For programs.")] = False) -> int:
    """Show what runs and what needs a person."""
    from stack.status import show

    return show(StackSettings.load(), as_json=json)


@app.command
def trace(
    trace_id: Annotated[str, Parameter(help="As `say` shows it, as messages and logs carry it, or from X-Trace-Id.")],
    *,
    json: Annotated[bool, Parameter(help="For programs.")] = False,
) -> int:
    """Tell one message's story, from its webhook to the receipts of its answer."""
    from stack.trace import show

    return show(StackSettings.load(), trace_id, as_json=json)


@app.command
def say(
    text: str = "",
    *,
    file: Annotated[
        Path | None, Parameter(help="A file to send along, or alone; an Ogg file is a voice message.")
    ] = None,
    platform: Annotated[str | None, Parameter(help="Which demo channel; the first one if not given.")] = None,
    as_: Annotated[str, Parameter(name="--as", help="Who writes.")] = "alice",
    json: Annotated[bool, Parameter(help="For programs.")] = False,
) -> int:
    """Write as a person on a simulated platform, and watch the answer come."""
    from stack.say import Wish, run
    from stack.state import running

    state = running(StackSettings.load().var_dir)
    if state is None:
        return 3
    return run(state, Wish(platform or next(iter(state.demo_channels), ""), as_, text, file=file), as_json=json)


channel: Final = App(name="channel", help="Channels of the running stack.")
app.command(channel)


@channel.command
def add(
    platform: str,
    *,
    name: Annotated[str | None, Parameter(help="As operators see it; the platform's name if not given.")] = None,
    transport: Annotated[
        str | None, Parameter(help="How its word comes to us: webhook, polling or socket_mode, where it offers that.")
    ] = None,
    agent: Annotated[str | None, Parameter(help="Slug of the agent that answers.")] = None,
    set_: Annotated[
        list[str] | None, Parameter(name="--set", help="A credential, name=value; what is missing is asked for.")
    ] = None,
    json: Annotated[bool, Parameter(help="For programs.")] = False,
) -> int:
    """Add a channel: says what it needs and where that is found, connects it, and says what is wrong."""
    from stack.channel_setup import Wish, given, run
    from stack.service import StartError
    from stack.state import running

    state = running(StackSettings.load().var_dir)
    if state is None:
        return 3
    try:
        wish = Wish(platform, name or platform.capitalize(), transport, agent, given(set_ or ()))
    except StartError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return run(state, wish, as_json=json)


token: Final = App(name="token", help="Service tokens, for programs that call the running stack.")
app.command(token)


@token.command(name="add")
def add_token(
    name: str,
    *,
    permission: Annotated[list[str], Parameter(help="What it may do, as events.publish; may be repeated.")],
    prefix: Annotated[
        list[str] | None, Parameter(help="How streams begin that it may publish to; may be repeated.")
    ] = None,
    json: Annotated[bool, Parameter(help="For programs.")] = False,
) -> int:
    """Make a token and print it: it is shown now and never again."""
    from stack import service_tokens
    from stack.state import running

    state = running(StackSettings.load().var_dir)
    return 3 if state is None else service_tokens.add(state, name, permission, prefix or (), as_json=json)


@token.command(name="list")
def list_tokens(*, json: Annotated[bool, Parameter(help="For programs.")] = False) -> int:
    """List the tokens."""
    from stack import service_tokens
    from stack.state import running

    state = running(StackSettings.load().var_dir)
    return 3 if state is None else service_tokens.listing(state, as_json=json)


@token.command(name="revoke")
def revoke_token(token_id: str, *, json: Annotated[bool, Parameter(help="For programs.")] = False) -> int:
    """Make a token invalid from now on."""
    from stack import service_tokens
    from stack.state import running

    state = running(StackSettings.load().var_dir)
    return 3 if state is None else service_tokens.revoke(state, token_id, as_json=json)


def main() -> None:
    """Run a command and end the process with its status."""
    try:
        code = app(result_action="return_value")
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        code = 2
    sys.stdout.flush()
    sys.stderr.flush()
    # Not the interpreter's own exit: the Temporal SDK's threads can abort in it (temporalio/sdk-python#300).
    os._exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
