"""What is said of a request before any view sees it, and when none can answer it."""

from urllib.parse import parse_qsl

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.deprecation import MiddlewareMixin

from sovd.exceptions import DATABASE_AWAY, Unavailable

NUL = "\x00"


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
        if not isinstance(error, DATABASE_AWAY):
            return None
        told = Unavailable.because(error, request.method)
        headers = {"Retry-After": str(told.wait)}
        return HttpResponse(told.detail, "text/plain", told.status_code, headers=headers)
