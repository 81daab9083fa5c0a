"""The base of all resources of the façade."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from commands.database.threads import in_facade_thread
from commands.sovd_facade import schemas
from commands.sovd_facade.call import Call, authenticate, includes_schema, read_call
from commands.sovd_facade.components import Component
from commands.sovd_facade.errors import VENDOR, SovdError, explain, not_found


class Resource(View):
    """A resource of one vehicle: it authenticates, finds the vehicle, and answers every error.

    All methods are coroutines, which hold no thread while they wait for the vehicle.
    """

    call: Call
    view_is_async = True  # also if it has no method at all

    @classmethod
    def as_view(cls, **options: Any) -> Callable[..., HttpResponseBase]:
        return csrf_exempt(super().as_view(**options))  # a token is the proof, and no cookie

    async def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:  # type: ignore[override]
        try:
            response = await self.respond(request, **kwargs)
        except Exception as error:
            problem = explain(error, request)
            if problem is None:
                raise
            response = problem.response()
        response.headers["Cache-Control"] = "no-store"
        return response

    async def respond(self, request: HttpRequest, vin: str, **kwargs: Any) -> HttpResponseBase:
        self.call = await in_facade_thread(read_call, request, vin)
        return await self.handle(**kwargs)

    async def handle(self, **kwargs: Any) -> HttpResponseBase:
        method = (self.request.method or "").lower()
        handler = getattr(self, method, None) if method in self.http_method_names else None
        if handler is None or method == "options":
            raise self._not_allowed()
        includes_schema(self.request)  # before anything is sent to the vehicle
        response: HttpResponseBase = await handler(**kwargs)
        return response

    def _not_allowed(self) -> SovdError:
        offered = [name.upper() for name in self.http_method_names if hasattr(self, name)]
        message = f"{self.request.method} is not offered here."
        error = SovdError(405, VENDOR, message, "method_not_allowed")
        error.headers["Allow"] = ", ".join(name for name in offered if name != "OPTIONS")
        return error

    def answer(self, schema: str, body: dict[str, Any]) -> JsonResponse:
        """Return the body, with its schema if the caller wants it."""
        if includes_schema(self.request):
            body = body | {"schema": schemas.standalone(schema)}
        return JsonResponse(body)


class ComponentResource(Resource):
    """A resource of one component."""

    component: Component

    async def handle(self, **kwargs: Any) -> HttpResponseBase:
        self.component = self.call.component(kwargs.pop("component_id"))
        return await super().handle(**kwargs)

    @property
    def address(self) -> str:
        return f"{self.call.base}/components/{self.component.id}"


class Nothing(Resource):
    """Any address that leads nowhere, as those are told who have a token."""

    async def respond(self, request: HttpRequest, vin: str = "", **_: Any) -> HttpResponseBase:
        await in_facade_thread(authenticate, request)
        raise not_found("There is nothing at this address.")


def no_content() -> HttpResponse:
    return HttpResponse(status=204)
