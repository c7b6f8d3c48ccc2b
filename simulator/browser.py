"""A Chromium without a window, driven by its own debugging protocol: for pictures of pages and for tests of them.

https://chromedevtools.github.io/devtools-protocol. Needs a Chromium on PATH (`apt-get install chromium`); nothing else.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect

NAMES: Final = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
_START_S: Final = 30.0
_WAIT_S: Final = 15.0


def found() -> str | None:
    """Return the path of a Chromium."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class NoBrowserError(RuntimeError):
    """There is no Chromium, or it does not start."""


@dataclass(frozen=True, slots=True)
class Window:
    """A page's size in CSS pixels; `scale`: pixels of the picture for each."""

    width: int = 1280
    height: int = 800
    scale: float = 1.0
    dark: bool = False


@dataclass
class Page:
    """An open page."""

    socket: ClientConnection
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    async def call(self, method: str, **params: object) -> dict[str, Any]:
        """Call the protocol. Raises RuntimeError where the browser refuses."""
        number = next(self._numbers)
        await self.socket.send(json.dumps({"id": number, "method": method, "params": params}))
        async for frame in self.socket:
            told = json.loads(frame)
            if told.get("id") == number:
                if "error" in told:
                    raise RuntimeError(f"{method}: {told['error'].get('message')}")
                return told["result"]
        raise RuntimeError("the browser has ended")

    async def open(self, url: str, window: Window | None = None) -> None:
        """Show an address in a window of this size."""
        size = window or Window()
        metrics = {"width": size.width, "height": size.height, "deviceScaleFactor": size.scale, "mobile": False}
        await self.call("Emulation.setDeviceMetricsOverride", **metrics)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if size.dark else "light"}]
        await self.call("Emulation.setEmulatedMedia", features=scheme)
        # A change of the part after # alone would not load anything.
        await self.call("Page.navigate", url="about:blank")
        await self.call("Page.navigate", url=url)

    async def eval(self, expression: str) -> Any:
        """Return what a JavaScript expression gives. Raises RuntimeError where it throws."""
        done = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in done:
            raise RuntimeError(str(done["exceptionDetails"].get("exception", {}).get("description", "it threw")))
        return done["result"].get("value")

    async def until(self, expression: str) -> Any:
        """Wait until a JavaScript expression is true, looking at every frame that is drawn. Raises TimeoutError."""
        watched = (
            "new Promise((done) => { const look = () => { const found = (() => { try { return " + expression + "; }"
            " catch { return null; } })(); if (found) done(found); else requestAnimationFrame(look); }; look(); })"
        )
        async with asyncio.timeout(_WAIT_S):
            return await self.eval(watched)

    async def type(self, text: str) -> None:
        """Type into what has the focus."""
        await self.call("Input.insertText", text=text)

    async def press(self, key: str, code: int) -> None:
        """Press a key, such as Enter (13) or Tab (9)."""
        for kind in ("keyDown", "keyUp"):
            await self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code,
                **({"text": "\r"} if key == "Enter" and kind == "keyDown" else {}),
            )  # fmt: skip

    async def picture(self) -> bytes:
        """Return what is seen, as a PNG."""
        shot = await self.call("Page.captureScreenshot", format="png")
        return base64.b64decode(shot["data"])


@contextlib.asynccontextmanager
async def browser() -> AsyncGenerator[Page]:
    """Run a Chromium until the block ends. Raises NoBrowserError where there is none."""
    program = found()
    if program is None:
        raise NoBrowserError(f"no browser: install one of {', '.join(NAMES)} (apt-get install chromium)")
    with tempfile.TemporaryDirectory(prefix="powernode-browser-", ignore_cleanup_errors=True) as folder:
        flags = ["--headless=new", "--remote-debugging-port=0", f"--user-data-dir={folder}", "--no-first-run"]
        # A sandbox needs rights that root in a container has not; only pages of ours are opened.
        flags += ["--no-sandbox"] if os.geteuid() == 0 else []
        # A page that was left is gone, with its streams: six connections to one host are all there are.
        flags += [
            "--disable-features=BackForwardCache",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "about:blank",
        ]
        quiet = asyncio.subprocess.DEVNULL
        child = await asyncio.create_subprocess_exec(program, *flags, stdout=quiet, stderr=asyncio.subprocess.PIPE)
        try:
            origin = await asyncio.wait_for(_listening(child), _START_S)
            async with connect(await _first_page(origin), max_size=None, proxy=None) as socket:
                yield Page(socket)
        finally:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()


async def _listening(child: asyncio.subprocess.Process) -> str:
    assert child.stderr is not None
    async for line in child.stderr:
        words = line.decode(errors="replace").strip()
        if words.startswith("DevTools listening on "):
            return words.removeprefix("DevTools listening on ")
    raise NoBrowserError("the browser ended before it listened")


async def _first_page(origin: str) -> str:
    """Return the address of the page that is open, asked for at the browser's own."""
    async with connect(origin, proxy=None) as socket:
        found = await Page(socket).call("Target.getTargets")
    target = next(one for one in found["targetInfos"] if one["type"] == "page")
    return f"{origin.partition('/devtools/')[0]}/devtools/page/{target['targetId']}"
