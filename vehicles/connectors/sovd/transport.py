"""HTTP connections to checked addresses, with TLS as a vehicle's settings say."""

import asyncio
import ssl
import stat
from collections.abc import Awaitable, Callable
from functools import lru_cache
from pathlib import Path

import httpx

from vehicles.connectors.base import VehicleError
from vehicles.connectors.networks import allowed_addresses
from vehicles.connectors.sovd.configuration import SovdSettings

KEPT_SECONDS = 15.0  # an idle connection; a vehicle is probed every ten seconds
MAX_PEM_BYTES = 1024 * 1024
MAX_CONTEXTS = 100
LIMITS = httpx.Limits(max_connections=2, max_keepalive_connections=1, keepalive_expiry=KEPT_SECONDS)


AddressesOf = Callable[[str], Awaitable[list[str]]]


async def _of_vehicle(host: str) -> list[str]:
    try:
        return await allowed_addresses(host, "url")
    except VehicleError as error:
        error.is_certain = True  # nothing was sent
        raise


class PinnedTransport(httpx.AsyncBaseTransport):
    """Connects to the addresses that were checked, and to no other that the name may have later.

    Each host has connections of its own: two names of one address may be two servers.
    """

    def __init__(self, tls: ssl.SSLContext, addresses_of: AddressesOf = _of_vehicle) -> None:
        """`addresses_of`: returns the checked addresses of a host, at least one."""
        self._tls = tls
        self._addresses_of = addresses_of
        self._transports: dict[str, httpx.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host
        *others, last = await self._addresses_of(host)
        for address in others:
            try:
                return await self._send(request, host, address)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return await self._send(request, host, last)

    async def _send(self, request: httpx.Request, host: str, address: str) -> httpx.Response:
        """Send to an address; the header `Host` and the certificate are those of the host."""
        if host not in self._transports:
            self._transports[host] = httpx.AsyncHTTPTransport(
                verify=self._tls, trust_env=False, limits=LIMITS
            )
        pinned = httpx.Request(
            request.method,
            request.url.copy_with(host=address),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": host},
        )
        return await self._transports[host].handle_async_request(pinned)

    async def aclose(self) -> None:
        for transport in self._transports.values():
            await transport.aclose()


async def tls_context(settings: SovdSettings) -> ssl.SSLContext:
    """Return the TLS context for a vehicle. Raises VehicleError if a file is of no use."""
    if not settings.ca_file and not settings.client_certificate:
        return public_context()
    return await asyncio.to_thread(_own_context, settings)


@lru_cache(1)
def public_context() -> ssl.SSLContext:
    """Return the TLS context that trusts the public authorities."""
    return _new_public_context()


def _own_context(settings: SovdSettings) -> ssl.SSLContext:
    files = {"ca_file": settings.ca_file, "client_certificate": settings.client_certificate}
    versions = [_version(name, path) for name, path in files.items() if path]
    return _context(settings.ca_file, settings.client_certificate, tuple(versions))


def _version(setting: str, path: str) -> tuple[int, int]:
    """Return what changes with the file. Raises VehicleError if it cannot be one of PEM."""
    try:
        about = Path(path).stat()
    except (OSError, ValueError) as error:
        raise _useless(setting) from error
    # Neither a device nor a pipe: reading it would never end.
    if not stat.S_ISREG(about.st_mode) or about.st_size > MAX_PEM_BYTES:
        raise _useless(setting)
    return about.st_mtime_ns, about.st_size


@lru_cache(MAX_CONTEXTS)
def _context(
    ca_file: str, client_certificate: str, _versions: tuple[tuple[int, int], ...]
) -> ssl.SSLContext:
    """Return the context of these versions of the files, which many vehicles may share."""
    try:
        context = ssl.create_default_context(cafile=ca_file) if ca_file else _new_public_context()
    except OSError as error:  # an SSLError is one
        raise _useless("ca_file") from error
    try:
        if client_certificate:
            # Without a password at hand, OpenSSL would ask for it on the terminal.
            context.load_cert_chain(client_certificate, password=str)
    except OSError as error:
        raise _useless("client_certificate") from error
    return context


def _new_public_context() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)


def _useless(setting: str) -> VehicleError:
    """Return one error for every failure: it tells nothing of the file."""
    return VehicleError(
        "vehicle_refused",
        f"The worker cannot use the file in `{setting}`. Correct the path, and check "
        "that it is PEM without a password.",
    )
