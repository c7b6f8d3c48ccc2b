"""The way out to foreign addresses: nothing private is connected to, however it is spelled, answered or redirected."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpcore2
import httpx2
import pytest

from adapters.base import MediaSource
from adapters.downloads import MAX_REDIRECTS, Downloads, Limits, next_hop
from adapters.guard import Guard, check_url, places_of
from domain.errors import FileGoneError, FileTooLargeError, ForbiddenAddressError, UnavailableError
from tests.adapters.support import Drop, FakeServer, Reply, Stall

PUBLIC = "93.184.216.34"
LIMITS = Limits(max_bytes=1_000, total_s=5, pace_window_s=3)


@dataclass
class Names:
    """A name server that a stranger owns: each look-up takes the next answer, the last one repeats."""

    answers: list[Sequence[str]]
    asked: list[str] = field(default_factory=list[str])

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Wire(Guard):
    """The internet: notes where connections go, and leads all of them to one server on the loopback."""

    def __init__(self, origin: str) -> None:
        super().__init__()
        self._to = urlsplit(origin)
        self.connected: list[tuple[str, int]] = []

    async def connect_tcp(self, host: str, port: int, *_: Any, **__: Any) -> httpcore2.AsyncNetworkStream:
        self.connected.append((host, port))
        return await self._backend.connect_tcp("127.0.0.1", self._to.port or 0)


@dataclass
class World:
    server: FakeServer
    names: Names
    wire: Wire
    downloads: Downloads

    async def get(self, url: str, headers: dict[str, str] | None = None, limits: Limits = LIMITS) -> bytes:
        async with self.downloads.open(MediaSource(url, headers or {}), limits) as found:
            return b"".join([chunk async for chunk in found.chunks])


@asynccontextmanager
async def world(server: FakeServer, *answers: Sequence[str], allowed: Iterable[str] = ()) -> AsyncGenerator[World]:
    names, wire = Names(list(answers) or [[PUBLIC]]), Wire(server.origin)
    downloads = Downloads(Guard(allowed, resolver=names, backend=wire))
    try:
        yield World(server, names, wire, downloads)
    finally:
        await downloads.close()


PRIVATE_LITERALS = [
    "127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "[::1]", "[::]", "[fe80::1]", "[fc00::1]",
    "[fd00:ec2::254]", "[::ffff:127.0.0.1]", "[::ffff:169.254.169.254]", "[::127.0.0.1]", "[::ffff:0:127.0.0.1]",
    "[64:ff9b::7f00:1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::1]", "[2002:7f00:1::]", "[2001:0:7f00:1::]",
    "[2001:db8::1]", "[ff02::1]", "[fe80::1%25eth0]", "[100::1]",
]  # fmt: skip
DISGUISED = [
    "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001", "127.1", "127.0.1", "0", "0x0", "1.1.1",
    "3232235777", "127.0.0.1.", "0xA9FEA9FE", "localhost", "LOCALHOST", "localhost.", "a.localhost", "db.internal",
    "printer.local", "nas.home.arpa", "metadata.google.internal",
]  # fmt: skip
NOT_OF_THE_WEB = [
    "file:///etc/passwd", "ftp://example.org/a", "gopher://example.org/", "data:text/plain,a", "javascript:alert(1)",
    "unix:/var/run/docker.sock", "//example.org/a", "/etc/passwd", "", "http://", "https:///a", "ht tp://example.org",
    "http://example.org:99999/", "http://[::1", "dict://127.0.0.1:6379/info",
]  # fmt: skip
USERINFO = [
    "http://user@example.org/", "http://user:pass@example.org/", "http://example.org@127.0.0.1/",
    "http://127.0.0.1@example.org/", "http://@example.org/", "http://:@example.org/", "http://a%40b@example.org/",
    "http://example.org\\@127.0.0.1/", "http://127.0.0.1\\.example.org/",
]  # fmt: skip


class TestAddresses:
    @pytest.mark.parametrize("url", [f"http://{host}:8080/a" for host in PRIVATE_LITERALS + DISGUISED])
    async def test_a_private_one_is_refused_before_a_connection(self, server: FakeServer, url: str) -> None:
        async with world(server) as out:
            with pytest.raises(ForbiddenAddressError):
                await out.get(url)
            assert (out.wire.connected, out.names.asked) == ([], [])

    @pytest.mark.parametrize("url", NOT_OF_THE_WEB + USERINFO)
    async def test_what_is_no_plain_web_address_is_refused(self, server: FakeServer, url: str) -> None:
        async with world(server) as out:
            with pytest.raises(ForbiddenAddressError):
                await out.get(url)
            assert (out.wire.connected, out.names.asked) == ([], [])

    @pytest.mark.parametrize("host", PRIVATE_LITERALS)
    async def test_a_name_that_leads_to_a_private_one_is_refused(self, server: FakeServer, host: str) -> None:
        answer = host.strip("[]").replace("%25", "%")
        async with world(server, [answer]) as out:
            with pytest.raises(ForbiddenAddressError):
                await out.get("http://files.example.org/a")
            assert out.wire.connected == []

    async def test_one_private_answer_among_public_ones_is_enough(self, server: FakeServer) -> None:
        async with world(server, [PUBLIC, "10.0.0.1"]) as out:
            with pytest.raises(ForbiddenAddressError):
                await out.get("http://files.example.org/a")
            assert out.wire.connected == []

    @pytest.mark.parametrize("address", [PUBLIC, "2606:2800:220:1::1", "64:ff9b::5db8:d822"])
    async def test_a_public_one_is_connected_to_by_its_address(self, server: FakeServer, address: str) -> None:
        server.will(Reply(200, b"hello"))
        async with world(server, [address]) as out:
            assert await out.get("http://files.example.org/a") == b"hello"
            assert out.wire.connected == [(address, 80)]
        assert server.received[0].headers["host"] == "files.example.org"

    async def test_a_rebinding_name_is_asked_once_and_pinned(self, server: FakeServer) -> None:
        server.will(Reply(200, b"one", {"connection": "close"}))
        async with world(server, [PUBLIC], ["127.0.0.1"]) as out:
            assert await out.get("http://rebind.example.org/a") == b"one"
            assert (out.names.asked, out.wire.connected) == (["rebind.example.org"], [(PUBLIC, 80)])

    async def test_a_rebinding_name_is_checked_anew_with_each_connection(self, server: FakeServer) -> None:
        server.will(Drop())
        async with world(server, [PUBLIC], ["127.0.0.1"]) as out:
            with pytest.raises(UnavailableError):
                await out.get("http://rebind.example.org/a")
            with pytest.raises(ForbiddenAddressError):
                await out.get("http://rebind.example.org/a")
            assert out.wire.connected == [(PUBLIC, 80)]

    async def test_places_that_are_configured_may_be_private(self, server: FakeServer) -> None:
        server.will(Reply(200, b"inside"))
        async with world(server, ["10.0.0.5"], allowed=places_of(["http://chat.intra:8065"])) as out:
            assert await out.get("http://chat.intra:8065/a") == b"inside"
            assert out.wire.connected == [("10.0.0.5", 8065)]
            with pytest.raises(ForbiddenAddressError):
                await out.get("http://chat.intra:6379/a")

    async def test_no_unix_socket(self, server: FakeServer) -> None:
        with pytest.raises(ForbiddenAddressError):
            await Guard().connect_unix_socket("/run/secret.sock")

    async def test_the_systems_own_names_are_checked_too(self) -> None:
        with pytest.raises(ForbiddenAddressError):
            await Guard().connect_tcp("localhost", 80)
        with pytest.raises(httpcore2.ConnectError):
            await Guard().connect_tcp("no-such-name.invalid", 80)

    def test_what_is_allowed_needs_its_port(self) -> None:
        assert places_of(["https://chat.example", "10.0.0.5", "http://[fd00::1]:80"]) == {
            "chat.example:443", "10.0.0.5:443", "fd00::1:80"
        }  # fmt: skip
        assert check_url("https://10.0.0.5/a", places_of(["10.0.0.5"])).host == "10.0.0.5"


class TestRedirects:
    async def test_each_hop_is_checked(self, server: FakeServer) -> None:
        for target in ("http://127.0.0.1:6379/", "http://169.254.169.254/latest", "file:///etc/passwd", "//localhost/"):
            server.will(Reply(302, b"", {"location": target}))
            async with world(server) as out:
                with pytest.raises(ForbiddenAddressError):
                    await out.get("http://files.example.org/a")
                assert out.wire.connected == [(PUBLIC, 80)]

    async def test_a_hop_whose_name_is_private_is_refused(self, server: FakeServer) -> None:
        server.will(Reply(301, b"", {"location": "http://inside.example.org/"}))
        async with world(server, [PUBLIC], ["192.168.0.7"]) as out:
            with pytest.raises(ForbiddenAddressError):
                await out.get("http://files.example.org/a")
            assert out.wire.connected == [(PUBLIC, 80)]

    async def test_the_token_stays_with_its_host(self, server: FakeServer) -> None:
        server.will(
            Reply(302, b"", {"location": "/b"}),
            Reply(302, b"", {"location": "http://cdn.example.net/c"}),
            Reply(302, b"", {"location": "http://files.example.org/d"}),
            Reply(200, b"file"),
        )
        async with world(server) as out:
            assert await out.get("http://files.example.org/a", {"authorization": "Bearer secret"}) == b"file"
        sent = [(one.target, one.headers.get("authorization")) for one in server.received]
        assert sent == [("/a", "Bearer secret"), ("/b", "Bearer secret"), ("/c", None), ("/d", None)]

    async def test_another_port_is_another_host(self, server: FakeServer) -> None:
        server.will(Reply(302, b"", {"location": "http://files.example.org:8080/b"}), Reply(200, b"file"))
        async with world(server) as out:
            await out.get("http://files.example.org/a", {"authorization": "Bearer secret"})
        assert "authorization" not in server.received[1].headers

    async def test_a_chain_ends(self, server: FakeServer) -> None:
        server.will(Reply(302, b"", {"location": "/again"}))
        async with world(server) as out:
            with pytest.raises(ForbiddenAddressError, match="circles"):
                await out.get("http://files.example.org/a")
        assert len(server.received) == MAX_REDIRECTS + 1

    def test_no_way_back_from_a_secure_connection_to_an_open_one(self) -> None:
        with pytest.raises(ForbiddenAddressError, match="secure"):
            next_hop(httpx2.URL("https://files.example.org/a"), "http://files.example.org/a", frozenset())
        assert next_hop(httpx2.URL("http://a.example/a"), "https://a.example/a", frozenset()).scheme == "https"


class TestLimits:
    async def test_a_size_that_is_said_is_refused_unread(self, server: FakeServer) -> None:
        server.will(Reply(200, b"x" * 1_001))
        async with world(server) as out:
            with pytest.raises(FileTooLargeError, match="1001 B"):
                await out.get("http://files.example.org/a")

    async def test_a_size_that_is_not_said_is_counted(self, server: FakeServer) -> None:
        body = b"1f4\r\n" + b"x" * 500 + b"\r\n"
        server.will(Reply(200, body * 3 + b"0\r\n\r\n", {"transfer-encoding": "chunked"}))
        async with world(server) as out:
            with pytest.raises(FileTooLargeError):
                await out.get("http://files.example.org/a")

    async def test_a_truncated_body_is_no_file(self, server: FakeServer) -> None:
        server.will(Reply(200, b"x" * 900, cut_after=800))
        async with world(server) as out:
            with pytest.raises(UnavailableError, match="broke off"):
                await out.get("http://files.example.org/a")

    async def test_silence_ends(self, server: FakeServer) -> None:
        server.will(Stall())
        async with world(server) as out:
            with pytest.raises(UnavailableError):
                await out.get("http://files.example.org/a", limits=Limits(1_000, total_s=0.2))

    @pytest.mark.parametrize("status", [403, 404, 410])
    async def test_an_expired_link_is_gone(self, server: FakeServer, status: int) -> None:
        server.will(Reply(status, b""))
        async with world(server) as out:
            with pytest.raises(FileGoneError):
                await out.get("http://files.example.org/a")

    @pytest.mark.parametrize("status", [429, 500, 503, 206])
    async def test_what_may_pass_is_tried_again(self, server: FakeServer, status: int) -> None:
        server.will(Reply(status, b""))
        async with world(server) as out:
            with pytest.raises(UnavailableError):
                await out.get("http://files.example.org/a")

    async def test_nothing_compressed_is_unpacked(self, server: FakeServer) -> None:
        server.will(Reply(200, b"\x1f\x8b", {"content-encoding": "gzip"}))
        async with world(server) as out:
            with pytest.raises(UnavailableError, match="compressed"):
                await out.get("http://files.example.org/a")
        assert server.received[0].headers["accept-encoding"] == "identity"

    async def test_no_error_names_the_address(self, server: FakeServer) -> None:
        server.will(Drop())
        async with world(server) as out:
            with pytest.raises(UnavailableError) as failure:
                await out.get("http://files.example.org/bot12:SECRET/a", {"authorization": "SECRET"})
        assert "SECRET" not in str(failure.value)
        assert "SECRET" not in repr(MediaSource("http://SECRET", {"a": "SECRET"}))
