"""The IP address of a client, also behind trusted proxies."""

import re
from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest
from rest_framework.request import Request

# 192.0.2.1:443, [2001:db8::1]:443 or fe80::1%eth0
ADDRESS = r"(?P<v4>[0-9.]+):[0-9]+|\[(?P<v6>[^]%]+)[^]]*](:[0-9]+)?|(?P<bare>[^%]+)(%.*)?"


def client_address(request: HttpRequest | Request) -> str | None:
    """Return the address that the last of the TRUSTED_PROXIES names; without any, the socket's."""
    own = _address(request.META.get("REMOTE_ADDR") or "")
    hops = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    if not 0 < settings.TRUSTED_PROXIES <= len(hops):
        return own
    return _address(hops[-settings.TRUSTED_PROXIES]) or own


def _address(text: str) -> str | None:
    """Return an address as the database takes it: without port, brackets and zone.

    An IPv4 address has one spelling, also if it came through a socket of IPv6.
    """
    match = re.fullmatch(ADDRESS, text.strip().strip('"'))
    try:
        address = ip_address(match["v4"] or match["v6"] or match["bare"]) if match else None
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address) if address else None
