"""The way out to addresses that a stranger named: resolve, check, pin. Nothing private can be reached through it.

The check sits where connections are made (the transport's network backend), so that it sees the very address that is
connected to: a name is resolved once, every answer is checked, and the connection goes to what was checked, whatever
the name server says a moment later. Redirects are not followed here; adapters/downloads.py takes them one by one. No
proxy of the environment is used, because it would resolve names itself. Called by adapters/downloads.py, and by adapters of
servers whose address is a tenant's own word (`WayOut`).
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any, Final, cast

import httpcore2
import httpx2

from domain.errors import ForbiddenAddressError

Address = IPv4Address | IPv6Address
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a name. Raises OSError where there are none."""

_UNICAST: Final = IPv6Network("2000::/3")
"""All that is given out to the public: https://www.iana.org/assignments/ipv6-address-space."""
_TUNNELS: Final = (IPv6Network("2002::/16"), IPv6Network("2001::/32"))
"""6to4 and Teredo: they carry an IPv4 address, and nobody who serves files to the public sits behind them."""
_NAT64: Final = IPv6Network("64:ff9b::/96")
_NUMBER: Final = re.compile(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+))*\.?", re.IGNORECASE)
_INSIDE: Final = (".localhost", ".local", ".internal", ".home.arpa")
_SCHEMES: Final = frozenset({"http", "https"})
CONNECT_S: Final = 5.0


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet, whichever way it is spelled."""
    if isinstance(address, IPv4Address):
        return address.is_global and not address.is_multicast
    if address in _NAT64:
        return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
    # Also refuses ::ffff:0:0/96 and ::/96, in which IPv4 addresses can be written.
    return address in _UNICAST and address.is_global and not any(address in tunnel for tunnel in _TUNNELS)


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return None


def check_url(url: str, allowed: Iterable[str] = ()) -> httpx2.URL:
    """Return the address, read. Raises ForbiddenAddressError for one that is not plainly a public website's.

    `allowed`: see `Guard`.
    """
    try:
        found = httpx2.URL(url)
    except (httpx2.InvalidURL, ValueError) as error:
        raise ForbiddenAddressError("the address cannot be read") from error
    if found.scheme not in _SCHEMES:
        raise ForbiddenAddressError("the address is not one of the web")
    if found.userinfo or "@" in url.partition("//")[2].partition("/")[0] or "\\" in url:
        raise ForbiddenAddressError("the address holds a user name")
    host, port = found.host.lower(), _port(found.scheme) if found.port is None else found.port
    if not 0 < port < 65_536:
        raise ForbiddenAddressError("the address has no such port")
    if place(host, port) in frozenset(allowed):
        return found
    if not host or host.rstrip(".") == "localhost" or host.rstrip(".").endswith(_INSIDE):
        raise ForbiddenAddressError("the address leads to a private network")
    literal = _literal(host)
    if literal is None and _NUMBER.fullmatch(host):
        # 2130706433, 0x7f.1, 0177.0.0.1: resolvers read them as addresses, each in its own way.
        raise ForbiddenAddressError("the address is a number in disguise")
    if literal is not None and not is_public(literal):
        raise ForbiddenAddressError("the address leads to a private network")
    return found


def _port(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def place(host: str, port: int) -> str:
    """Return how `allowed` names a host's port."""
    return f"{host.lower().strip('[]')}:{port}"


def places_of(origins: Iterable[str]) -> frozenset[str]:
    """Return `allowed` for some origins, or hosts with a port: `http://10.0.0.5:8065`, `chat.intra:443`."""
    read = [httpx2.URL(origin if "://" in origin else f"https://{origin}") for origin in origins]
    return frozenset(place(url.host, url.port or _port(url.scheme)) for url in read)


async def system_resolver(host: str, port: int) -> list[str]:
    """Return a name's addresses as the system knows them, each once, in its order."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Guard(httpcore2.AsyncNetworkBackend):
    """Makes connections for a client. `allowed`: `host:port` of places that may be private, as `place` spells them."""

    def __init__(
        self,
        allowed: Iterable[str] = (),
        *,
        resolver: Resolver = system_resolver,
        backend: httpcore2.AsyncNetworkBackend | None = None,
    ) -> None:
        self.allowed = frozenset(allowed)
        self._resolver = resolver
        self._backend = backend or cast("httpcore2.AsyncNetworkBackend", httpcore2.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - theirs
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to a checked address of the host. Raises ForbiddenAddressError before anything is sent anywhere."""
        error: Exception | None = None
        for address in await self.addresses(host, port):
            try:
                return await self._backend.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as failure:
                error = failure
        raise error or httpcore2.ConnectError("the name has no address")

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """Return a host's addresses, all of them checked. Raises ForbiddenAddressError and httpcore2.ConnectError."""
        literal = _literal(host)
        try:
            found = [str(literal)] if literal is not None else await self._resolver(host, port)
        except OSError as error:
            raise httpcore2.ConnectError("the name has no address") from error
        if place(host, port) not in self.allowed:
            for one in found:
                read = _literal(one)
                if read is None or not is_public(read):
                    # One private answer among public ones is no accident.
                    raise ForbiddenAddressError("the address leads to a private network")
        return found

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - theirs
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Refuse: a socket of this machine is as private as can be."""
        raise ForbiddenAddressError("the address leads to this machine")

    async def sleep(self, seconds: float) -> None:
        """Wait, for the connection pool."""
        await self._backend.sleep(seconds)


class GuardedTransport(httpx2.AsyncHTTPTransport):
    """The client's usual transport with a pool whose connections the guard makes."""

    def __init__(self, guard: Guard, *, max_connections: int = 64) -> None:
        trusted = httpx2.create_ssl_context(trust_env=False)
        super().__init__(verify=trusted, trust_env=False)
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=trusted,
            max_connections=max_connections,
            max_keepalive_connections=8,
            network_backend=guard,
        )


def guarded_client(guard: Guard) -> httpx2.AsyncClient:
    """Return a client that can reach nothing private, asks no proxy and follows no redirect."""
    return httpx2.AsyncClient(transport=GuardedTransport(guard), trust_env=False, follow_redirects=False)


@dataclass(frozen=True, slots=True)
class WayOut:
    """How a server is reached whose address a tenant named: a client for its API, and sockets."""

    guard: Guard
    http: httpx2.AsyncClient

    async def socket(self, url: str) -> socket.socket:
        """Return a TCP connection to a checked address of the URL's host. Raises ForbiddenAddressError and OSError.

        A client that is handed it cannot be led elsewhere by a proxy or a redirect.
        """
        target, error = httpx2.URL(url), OSError("the name has no address")
        port = target.port or _port("https" if target.scheme in {"https", "wss"} else "http")
        try:
            found = await self.guard.addresses(target.host, port)
        except httpcore2.ConnectError as failure:
            raise error from failure
        for address in found:
            opened = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
            opened.setblocking(False)
            try:
                async with asyncio.timeout(CONNECT_S):
                    await asyncio.get_running_loop().sock_connect(opened, (address, port))
            except BaseException as failure:
                opened.close()
                if not isinstance(failure, OSError):  # TimeoutError is one
                    raise
                error = failure
            else:
                return opened
        raise error


def way_out(allowed: Iterable[str] = (), *, resolver: Resolver = system_resolver) -> WayOut:
    """Return a way out of which only `allowed` places may be private; see `Guard`."""
    guard = Guard(allowed, resolver=resolver)
    return WayOut(guard, guarded_client(guard))
