"""The web process: HTTP by Django, WebSocket by the stream."""

import os
from typing import Any

import django
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpResponseBadRequest

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sovd.settings")
django.setup(set_prefix=False)

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from daphne.access import AccessLogGenerator  # noqa: E402
from django.urls import path, re_path  # noqa: E402

from commands import metrics_port, scrape  # noqa: E402
from commands.doorbell import bell  # noqa: E402
from commands.stream.consumer import NoSuchStream, ResponseConsumer  # noqa: E402
from sovd import logs, server, start  # noqa: E402, F401 - `server` makes daphne stricter

if start.is_server():
    start.refuse_unsafe()


class Handler(ASGIHandler):
    def create_request(self, scope: Any, body_file: Any) -> Any:
        """Django lets a `Content-Type` with a charset that cannot be looked up be a 500."""
        try:
            return super().create_request(scope, body_file)
        except ValueError:
            return None, HttpResponseBadRequest()


websocket_urlpatterns = [
    path("ws/responses/<str:command_id>", ResponseConsumer.as_asgi()),
    path("ws/responses/<str:command_id>/", ResponseConsumer.as_asgi()),
    re_path("", NoSuchStream.as_asgi()),
]
_router = ProtocolTypeRouter({"http": Handler(), "websocket": URLRouter(websocket_urlpatterns)})


AccessLogGenerator.write_entry = logs.write_access_entry
metrics_port.serve("WEB_METRICS_PORT", scrape.page)


async def application(scope: Any, receive: Any, send: Any) -> None:
    bell.attach()
    await _router(scope, receive, send)
