"""The OpenAPI document and the page that shows it."""

import hashlib
from functools import cache
from threading import Lock
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response, patch_vary_headers
from drf_spectacular.contrib.rest_framework_simplejwt import SimpleJWTScheme
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request

RENDERERS: dict[str, Any] = {
    renderer.media_type: renderer for renderer in SpectacularAPIView.renderer_classes
}
_lock = Lock()  # the generator is not made for two threads


class TokenScheme(SimpleJWTScheme):
    """Description of our authentication for the API's documentation."""

    target_class = "commands.accounts.authentication.TokenAuthentication"


class SchemaView(SpectacularAPIView):
    """The OpenAPI document of this API, in YAML, or in JSON as `Accept` says."""

    authentication_classes = []
    permission_classes = [AllowAny]

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        media_type = request.accepted_renderer.media_type
        body, etag = document(media_type)
        response = HttpResponse(body, content_type=media_type, headers={"ETag": etag})
        patch_vary_headers(response, ["Accept"])
        http_request: HttpRequest = request._request
        return get_conditional_response(http_request, etag, None, response) or response


class DocsView(SpectacularSwaggerSplitView):
    """The page of the API's documentation: a wrong token in the request does not refuse it."""

    authentication_classes = []
    permission_classes = [AllowAny]


def document(media_type: str) -> tuple[bytes, str]:
    """Return the document and its ETag; it is made once a process."""
    with _lock:
        return _made(media_type)


@cache
def _made(media_type: str) -> tuple[bytes, str]:
    schema = SchemaGenerator().get_schema(public=True)
    body: bytes = RENDERERS[media_type]().render(schema, renderer_context={})
    return body, f'"{hashlib.sha256(body).hexdigest()[:32]}"'
