"""Steps before and after every view: probes, refused input, compression, cookies, outages."""

from typing import Any
from urllib.parse import parse_qsl

from asgiref.sync import async_to_sync, iscoroutinefunction
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.gzip import GZipMiddleware
from django.utils.decorators import sync_and_async_middleware
from django.utils.deprecation import MiddlewareMixin
from django.utils.functional import empty
from django_structlog.signals import bind_extra_request_finished_metadata

from commands.accounts.login_limit import LoginRefused
from commands.api.exceptions import Unavailable
from commands.database.threads import CONNECTION_LOST
from sovd.health import PROBES

NUL = "\x00"


@sync_and_async_middleware
def probes(get_response: Any) -> Any:
    """Answer the questions of machines first, whatever Host they name.

    The address of a container is not among ALLOWED_HOSTS.
    """

    def answer(request: HttpRequest) -> Any:
        view = PROBES.get(request.path)
        return async_to_sync(view)(request) if view else get_response(request)

    async def answer_async(request: HttpRequest) -> Any:
        view = PROBES.get(request.path)
        return await (view or get_response)(request)

    return answer_async if iscoroutinefunction(get_response) else answer


@receiver(bind_extra_request_finished_metadata)
def name_the_user(request: HttpRequest, log_kwargs: dict[str, Any], **kwargs: Any) -> None:
    """Add the user to the log line, unless only the log would need to ask the database."""
    user: Any = getattr(request, "user", None)
    if user is not None and getattr(user, "_wrapped", user) is not empty:
        log_kwargs["user_id"] = user.pk


class RefuseNul(MiddlewareMixin):
    """Refusal of NUL characters, which Postgres cannot store: a query with one is a 500.

    Forms and serializers refuse them. The session's cookie (`sessionid="\\000..."`) and the
    admin's filters (`?kind=%00`) reach the database unchecked.
    """

    def process_request(self, request: HttpRequest) -> JsonResponse | None:
        for name in [name for name, value in request.COOKIES.items() if NUL in value]:
            del request.COOKIES[name]
        if request.path.startswith("/sovd/"):  # it reads its queries itself, in its own words
            return None
        query = parse_qsl(request.META["QUERY_STRING"], keep_blank_values=True)
        problem = "Contains a NUL character."
        fields = {name: [problem] for name, value in query if NUL in name + value}
        if not fields:
            return None
        detail = " ".join(f"{name}: {problem}" for name in fields)
        return JsonResponse({"code": "invalid", "detail": detail, "fields": fields}, status=400)


class Gzip(GZipMiddleware):
    """Compression of all but the streams of an async iterator.

    Django makes a gzip file of each of their chunks, and browsers read the first alone.
    """

    def process_response(self, request: HttpRequest, response: Any) -> Any:
        if response.streaming and response.is_async:
            return response
        return super().process_response(request, response)


class SecureCookies(MiddlewareMixin):
    """The `Secure` mark for cookies that are set by https; by http they work without it."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if request.is_secure():
            for cookie in response.cookies.values():
                cookie["secure"] = True
        return response


class Unanswerable(MiddlewareMixin):
    """Say why a page cannot be made now, where Django would answer 500."""

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, CONNECTION_LOST):
            error = Unavailable.because(error, request.method)
        if not isinstance(error, Unavailable | LoginRefused):
            return None
        headers = {"Retry-After": str(error.wait)}
        return HttpResponse(error.detail, "text/plain", error.status_code, headers=headers)
