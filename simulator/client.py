"""The control API's client for tests, benches and the command line: one method a verb, JSON objects back.

Thin on purpose: the shapes are the server's (control_models.py, records.py). Async; one connection pool per client.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import httpx2

Reply = dict[str, Any]
"""The server's JSON, as it came."""


class SimulatorError(RuntimeError):
    """The control API refused."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status


class SimulatorClient:
    """Speaks to one simulator. `origin`: where it runs, which is also the platforms' and the model's base address."""

    def __init__(self, origin: str) -> None:
        self.origin = origin.rstrip("/")
        self._http = httpx2.AsyncClient(base_url=self.origin, timeout=150.0, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def post(self, path: str, body: Reply) -> Reply:
        """POST to `/_sim/{path}`. Raises SimulatorError."""
        return _reply(await self._http.post(f"/_sim/{path}", json=body))

    async def get(self, path: str, **query: object) -> Reply:
        """GET `/_sim/{path}`; None leaves a parameter out. Raises SimulatorError."""
        params = {name.rstrip("_"): str(value) for name, value in query.items() if value is not None}
        return _reply(await self._http.get(f"/_sim/{path}", params=params))

    async def health(self) -> Reply:
        """Return once the simulator answers."""
        return await self.get("health")

    async def register(
        self, platform: str, name: str, webhook_url: str | None, credentials: dict[str, str], **options: object
    ) -> Reply:
        """Register a channel; idempotent by name."""
        body = {"platform": platform, "name": name, "webhook_url": webhook_url, "credentials": credentials}
        return await self.post("channels", body | {"options": options})

    async def say(self, channel: str, person: str, text: str = "", **more: object) -> Reply:
        """Let a person do something; see SayInput for what can be said with it."""
        return await self.post("say", {"channel": channel, "as": person, "text": text} | more)

    async def fault(self, kind: str, **script: object) -> str:
        """Begin a scripted fault; return its id."""
        return str((await self.post("faults", {"kind": kind} | script))["id"])

    async def held(self, fault: str, *, holding: int = 1, timeout_s: float = 30.0) -> bool:
        """Wait until so many calls stand at the fault's gate; return whether they do."""
        return bool((await self.get(f"faults/{fault}", holding=holding, timeout_s=timeout_s))["met"])

    async def release(self, fault: str | None = None, *, keep: bool = False) -> int:
        """Open a gate, or all; return how many calls were let go."""
        return int((await self.post("release", {"fault": fault, "keep": keep}))["released"])

    async def received(
        self, channel: str, *, at_least: int = 1, timeout_s: float = 0.0, **filters: object
    ) -> list[Reply]:
        """Return what the bot sent, waiting for so many."""
        return (await self.get("received", channel=channel, at_least=at_least, timeout_s=timeout_s, **filters))[
            "received"
        ]

    async def calls(self, *, at_least: int = 1, timeout_s: float = 0.0, **filters: object) -> list[Reply]:
        """Return the API calls, faulted ones too."""
        return (await self.get("calls", at_least=at_least, timeout_s=timeout_s, **filters))["calls"]

    async def deliveries(
        self, channel: str, *, at_least: int = 1, timeout_s: float = 0.0, **filters: object
    ) -> list[Reply]:
        """Return the webhook attempts."""
        return (await self.get("deliveries", channel=channel, at_least=at_least, timeout_s=timeout_s, **filters))[
            "deliveries"
        ]

    async def phone(self, channel: str, person: str, **query: object) -> Reply:
        """Return what this person sees."""
        return await self.get("phone", channel=channel, as_=person, **query)

    async def batch(self, channel: str, *, wait_s: float = 60.0, **wanted: object) -> Reply:
        """Send many messages and return the report when all are settled or the time is over."""
        begun = await self.post("batch", {"channel": channel} | wanted)
        return await self.get(f"batch/{begun['batch']}", timeout_s=wait_s)

    async def reset(self, channel: str | None = None, *, forget_channels: bool = False) -> None:
        """Forget what happened."""
        await self.post("reset", {"channel": channel, "forget_channels": forget_channels})


def _reply(answer: httpx2.Response) -> Reply:
    if answer.status_code != 200:
        raise SimulatorError(answer.status_code, answer.text)
    return answer.json()
