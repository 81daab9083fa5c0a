"""What is said of a request before any view sees it, and when none can answer it."""

from typing import Any
from urllib.parse import parse_qsl

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.decorators import sync_and_async_middleware
from django.utils.deprecation import MiddlewareMixin
from django.utils.functional import empty
from django_structlog.signals import bind_extra_request_finished_metadata

from commands.threads import CONNECTION_LOST
from sovd.exceptions import Unavailable
from sovd.health import PROBES

NUL = "\x00"


@sync_and_async_middleware
def probes(get_response: Any) -> Any:
    """What machines ask is answered first, by whatever name they know us: the address of a
    container is not among ALLOWED_HOSTS."""

    def answer(request: HttpRequest) -> Any:
        view = PROBES.get(request.path)
        return view(request) if view else get_response(request)

    async def answer_async(request: HttpRequest) -> Any:
        view = PROBES.get(request.path)
        if view is None:
            return await get_response(request)
        return await sync_to_async(view, thread_sensitive=False)(request)

    return answer_async if iscoroutinefunction(get_response) else answer


@receiver(bind_extra_request_finished_metadata)
def name_the_user(request: HttpRequest, log_kwargs: dict[str, Any], **kwargs: Any) -> None:
    """If somebody has asked for the user: the log alone is no reason to ask the database."""
    user: Any = getattr(request, "user", None)
    if user is not None and getattr(user, "_wrapped", user) is not empty:
        log_kwargs["user_id"] = user.pk


class RefuseNul(MiddlewareMixin):
    """Postgres holds no NUL in text: a 500 wherever one reaches a query.

    Forms and serializers look for it. The session's cookie (`sessionid="\\000..."`) and the
    admin's filters (`?kind=%00`) get to the database without.
    """

    def process_request(self, request: HttpRequest) -> JsonResponse | None:
        for name in [name for name, value in request.COOKIES.items() if NUL in value]:
            del request.COOKIES[name]
        query = parse_qsl(request.META["QUERY_STRING"], keep_blank_values=True)
        problem = "Contains a NUL character."
        fields = {name: [problem] for name, value in query if NUL in name + value}
        if not fields:
            return None
        detail = " ".join(f"{name}: {problem}" for name in fields)
        return JsonResponse({"code": "invalid", "detail": detail, "fields": fields}, status=400)


class SecureCookies(MiddlewareMixin):
    """A cookie that is set by https goes by https only; one that is set by http works by http."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if request.is_secure():
            for cookie in response.cookies.values():
                cookie["secure"] = True
        return response


class DatabaseAway(MiddlewareMixin):
    """A page that the database keeps from being made says so, where Django would answer 500."""

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, CONNECTION_LOST):
            return None
        told = Unavailable.because(error, request.method)
        headers = {"Retry-After": str(told.wait)}
        return HttpResponse(told.detail, "text/plain", told.status_code, headers=headers)
