"""Headers in which proxies and browsers name our origin, in one spelling.

Django compares them letter by letter, for the forms as for the streams.
"""

from typing import Any

from django.conf import settings

Headers = list[tuple[bytes, bytes]]

DEFAULT_PORT = {b"http": b":80", b"https": b":443"}
HTTP_SCHEME = {b"ws": b"http", b"wss": b"https"}


def normalized(scope: dict[str, Any]) -> dict[str, Any]:
    """Return the scope of a request with these headers in one spelling."""
    return {**scope, "headers": _normalized(scope)}


def _normalized(scope: dict[str, Any]) -> Headers:
    proxy_header = _proxy_header()
    headers = [
        (name, _scheme(value) if name == proxy_header else value)
        for name, value in scope["headers"]
    ]
    scheme = dict(reversed(headers)).get(
        proxy_header, _scheme(scope.get("scheme", "http").encode())
    )
    rules = {b"host": lambda value: _without_port(value, scheme), b"origin": _origin}
    return [(name, rules[name](value) if name in rules else value) for name, value in headers]


def _proxy_header() -> bytes:
    """Return the name of the header that holds the client's scheme, empty if none does."""
    name, _ = settings.SECURE_PROXY_SSL_HEADER or ("", "")
    return name.removeprefix("HTTP_").replace("_", "-").lower().encode()


def _scheme(value: bytes) -> bytes:
    """Return the scheme of the first proxy: some write `wss` for a WebSocket by https."""
    scheme = value.partition(b",")[0].strip().lower()
    return HTTP_SCHEME.get(scheme, scheme)


def _origin(value: bytes) -> bytes:
    scheme, separator, host = value.lower().partition(b"://")
    return scheme + separator + _without_port(host, scheme)


def _without_port(host: bytes, scheme: bytes) -> bytes:
    return host.lower().removesuffix(DEFAULT_PORT.get(scheme, b""))
