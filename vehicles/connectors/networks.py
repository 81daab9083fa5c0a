"""Addresses that connectors may connect to: CONNECTOR_ALLOWED_NETWORKS, after name resolution."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv6Address, ip_address

from django.conf import settings

from vehicles.connectors.base import VehicleError

IPAddress = IPv4Address | IPv6Address

# Threads of its own: a name server that does not answer holds up no database query.
_resolver = ThreadPoolExecutor(16, thread_name_prefix="name resolution")


async def allowed_addresses(host: str, setting: str = "host") -> list[str]:
    """Return the addresses of `host` that connectors may connect to, at least one.

    Connect to these and not to the name: a second resolution could give another address.
    `setting`: the vehicle's setting that names the host, for messages.
    """
    addresses = await _resolve(host, setting)
    allowed = [address for address in addresses if is_allowed(address)]
    if not allowed:
        raise VehicleError(
            "vehicle_unreachable",
            f"The vehicle's address {addresses[0]} is not allowed. "
            f"Correct `{setting}`, or add its network to CONNECTOR_ALLOWED_NETWORKS.",
        )
    return [str(address) for address in allowed]


def is_allowed(address: IPAddress) -> bool:
    """Return whether CONNECTOR_ALLOWED_NETWORKS has it; empty stands for all but link-local."""
    address = getattr(address, "ipv4_mapped", None) or address
    if settings.CONNECTOR_ALLOWED_NETWORKS:
        return any(address in network for network in settings.CONNECTOR_ALLOWED_NETWORKS)
    return not address.is_link_local


async def _resolve(host: str, setting: str) -> list[IPAddress]:
    try:
        return await asyncio.get_running_loop().run_in_executor(_resolver, addresses_of, host)
    except (OSError, UnicodeError) as error:
        raise VehicleError(
            "vehicle_unreachable",
            f"The name {host[:100]} has no address. Correct `{setting}` of the vehicle.",
        ) from error


def addresses_of(host: str) -> list[IPAddress]:
    """Return every address of the host. Raise OSError or UnicodeError if it has none."""
    try:
        return [ip_address(host)]
    except ValueError:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [ip_address(str(entry[4][0])) for entry in found]
