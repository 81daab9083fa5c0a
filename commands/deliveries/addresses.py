"""Addresses that webhooks may have, and may be sent to: no other program inside is reached."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
from django.conf import settings

from vehicles.connectors.networks import IPAddress, addresses_of

RESOLVE_SECONDS = 3.0  # while a user waits

# Threads of its own: a name server that does not answer holds up neither a vehicle nor a query.
_resolver = ThreadPoolExecutor(8, thread_name_prefix="webhook names")


class NotAllowed(Exception):
    """Error for an address that a webhook may not have, with the reason."""


def check_url(text: str) -> None:
    """Raise NotAllowed, unless the address may be one of a webhook as far as is known now."""
    host = checked_form(text).host
    with suppress(OSError, UnicodeError):  # the name may come later
        _check(_resolver.submit(addresses_of, host).result(RESOLVE_SECONDS))


def checked_form(text: str) -> httpx.URL:
    """Return the parts of an address. Raise NotAllowed, unless it may be one of a webhook."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise NotAllowed("This is no address: write https://example.com/path.") from error
    schemes = ("https", "http") if settings.WEBHOOK_ALLOW_HTTP else ("https",)
    if url.scheme not in schemes or not url.host:
        raise NotAllowed(f"Must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}.")
    if url.port is not None and not 0 < url.port < 65_536:
        raise NotAllowed("Its port must lie between 1 and 65535.")
    if url.userinfo or url.fragment:
        raise NotAllowed("Must have neither a user, nor a password, nor a fragment (#).")
    return url


async def checked_addresses(host: str) -> list[str]:
    """Return the addresses of a host, to connect to these and not to the name.

    Raise NotAllowed if one of them is not allowed, or there is none.
    """
    try:
        found = await asyncio.get_running_loop().run_in_executor(_resolver, addresses_of, host)
    except (OSError, UnicodeError) as error:
        raise NotAllowed(f"The name {host[:100]} has no address.") from error
    _check(found)
    return [str(address) for address in found]


def _check(addresses: list[IPAddress]) -> None:
    for address in addresses:
        if not is_allowed(address):
            raise NotAllowed(
                f"The address {address} is not one of the public internet. Choose another, or let "
                "an administrator add its network to WEBHOOK_ALLOWED_NETWORKS."
            )


def is_allowed(address: IPAddress) -> bool:
    """Return whether an address is one of the public internet, or of an allowed network."""
    address = getattr(address, "ipv4_mapped", None) or address
    if any(address in network for network in settings.WEBHOOK_ALLOWED_NETWORKS):
        return True
    inner = getattr(address, "sixtofour", None)
    is_special = address.is_multicast or address.is_reserved or address.is_unspecified
    is_local = getattr(address, "is_site_local", False)
    is_global = address.is_global and not (is_special or is_local)
    return is_global and (inner is None or is_allowed(inner))
