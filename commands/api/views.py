"""Base of all views of the API: a bounded share of the process, and no caching."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from threading import Lock, Semaphore
from typing import Any
from weakref import WeakValueDictionary

from django.conf import settings
from django.http.response import HttpResponseBase
from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from commands.accounts.authentication import caller_of
from commands.api.bodies import Renderer

WAIT_SECONDS = 3  # for one of the places of a caller

_places: WeakValueDictionary[str, Semaphore] = WeakValueDictionary()  # of this process, in use
_lock = Lock()


class TooManyRequests(APIException):
    status_code = status.HTTP_429_TOO_MANY_REQUESTS
    default_code = "throttled"
    wait = 1  # seconds: becomes `Retry-After`

    def __init__(self) -> None:
        super().__init__(
            f"You have {settings.REQUESTS_PER_USER} requests in progress, which is the limit "
            "(REQUESTS_PER_USER). Wait for some to end, then send this one again."
        )


class ApiView(APIView):
    """Base view of the API, which limits each user to REQUESTS_PER_USER requests in progress.

    Others wait before they use one of the few database connections of the process.
    """

    renderer_classes: Sequence[type[BaseRenderer]] = [Renderer]
    _at_end: ExitStack

    @property
    def default_response_headers(self) -> dict[str, str]:
        return super().default_response_headers | {"Cache-Control": "no-store"}

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with ExitStack() as self._at_end:
            return super().dispatch(request, *args, **kwargs)

    def perform_authentication(self, request: Request) -> None:
        if caller := caller_of(request):
            self._at_end.enter_context(_place_of(caller, WAIT_SECONDS))
        super().perform_authentication(request)
        has_session = request.auth is None and request.user.is_authenticated
        if has_session:  # known only now, when a connection is held: no time to wait
            self._at_end.enter_context(_place_of(f"user {request.user.pk}", 0))


@contextmanager
def _place_of(caller: str, seconds: float) -> Iterator[None]:
    """Take a place of the caller. Raise TooManyRequests if none is free in time."""
    with _lock:
        places = _places.get(caller)
        if places is None:
            places = _places[caller] = Semaphore(settings.REQUESTS_PER_USER)
    if not places.acquire(timeout=seconds):
        raise TooManyRequests
    try:
        yield
    finally:
        places.release()


class IgnoreAccept(BaseContentNegotiation):
    """Content negotiation by `format` alone, whatever `Accept` says. Errors are JSON."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> Any:
        return renderers[0], renderers[0].media_type
