"""`python -m stack.picture PLATFORM`: makes docs/pictures/channel-add.svg anew: `powernode channel add` on the stack that runs here.

What is asked is answered with a simulated bot's credentials; all else happens as it does for a person.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Final

from rich.console import Console

from config import StackSettings
from simulator.client import SimulatorClient
from simulator.made_up import credentials
from stack.channel_setup import Json, Wish, question, run
from stack.paths import ROOT
from stack.state import StackState, running

PICTURE: Final = ROOT / "docs/pictures/channel-add.svg"
NAME: Final = "Help desk"


async def _register(state: StackState, platform: str, given: dict[str, str]) -> None:
    async with SimulatorClient(state.simulator_url or "") as simulator:
        await simulator.register(platform, NAME, None, given)


def main(platform: str) -> int:
    """Add the channel and write the picture. Returns the exit status."""
    state = running(StackSettings.load().var_dir)
    if state is None:
        return 3
    given = credentials(platform, "a picture")
    asyncio.run(_register(state, platform, given))
    console = Console(record=True, width=96, highlight=False)
    console.print(f"[bold]$[/] powernode channel add {platform} --name '{NAME}'")

    def answer(credential: Json) -> str:
        said = given[str(credential["name"])]
        console.print(f"{question(credential)}: {'' if credential['secret'] else said}")
        return said

    status = run(state, Wish(platform, NAME), as_json=False, console=console, ask=answer)
    if status == 0:
        console.save_svg(str(PICTURE), title="powernode channel add")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
