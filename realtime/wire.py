"""WebSockets as uvicorn speaks them, with the transport offered to the application: one write for many ready frames.

An ASGI extension, because ASGI's `send` costs a turn of the loop a frame and waits for slow readers. Only the hub looks
for it; under another server, `send` does. It is handed to uvicorn by stack/serve.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

EXTENSION: Final = "powernode.wire"


class TransportWire:
    """A connection's transport. Frames bypass the protocol object, whose state whole text frames do not change."""

    __slots__ = ("_protocol", "full", "resumed")

    def __init__(self, protocol: CableProtocol) -> None:
        self._protocol = protocol
        self.full = False
        self.resumed: Callable[[], None] | None = None

    def write(self, data: bytes) -> None:
        """Write, unless the closing handshake has begun."""
        protocol = self._protocol
        if not protocol.close_sent and not protocol.transport.is_closing():
            protocol.transport.write(data)

    def abort(self) -> None:
        """Close at once."""
        self._protocol.transport.abort()

    def settle(self) -> None:
        """Let go of the handshake's request and response, some KB that would stay as long as the socket."""
        vars(self._protocol).update(request=None, response=None)


class CableProtocol(WebSocketsSansIOProtocol):
    """Adds the extension to the scope of each socket, and passes on when its transport is full."""

    wire: TransportWire | None = None

    def handle_connect(self, event: Request) -> None:
        """Begin the handshake; the application starts only after this."""
        super().handle_connect(event)
        if self.response.status_code == 101:
            self.wire = TransportWire(self)
            cast("dict[str, dict[str, object]]", self.scope)["extensions"][EXTENSION] = self.wire

    def pause_writing(self) -> None:
        """The transport holds enough."""
        super().pause_writing()
        if self.wire is not None:
            self.wire.full = True

    def resume_writing(self) -> None:
        """The transport has room again."""
        super().resume_writing()
        if self.wire is not None:
            self.wire.full = False
            if self.wire.resumed is not None:
                self.wire.resumed()
