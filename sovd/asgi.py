"""The web process: HTTP by Django, WebSocket by the stream."""

import os
from typing import Any

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sovd.settings")
django_application = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.urls import path, re_path  # noqa: E402

from commands.doorbell import bell  # noqa: E402
from commands.stream.consumer import NoSuchStream, ResponseConsumer  # noqa: E402

websocket_urlpatterns = [
    path("ws/responses/<str:command_id>", ResponseConsumer.as_asgi()),
    path("ws/responses/<str:command_id>/", ResponseConsumer.as_asgi()),
    re_path("", NoSuchStream.as_asgi()),
]
_router = ProtocolTypeRouter(
    {"http": django_application, "websocket": URLRouter(websocket_urlpatterns)}
)


async def application(scope: Any, receive: Any, send: Any) -> None:
    bell.attach()
    await _router(scope, receive, send)
