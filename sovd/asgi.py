"""The web process: HTTP by Django, WebSocket by the stream."""

import os
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sovd.settings")
django.setup(set_prefix=False)

from channels.routing import URLRouter
from django.conf import settings
from django.urls import path, re_path

from commands.accounts import startup, user_cache
from commands.metrics import exporter, scrape
from commands.notifications import publisher
from commands.stream.consumer import NoSuchStream, ResponseConsumer
from sovd import databases
from sovd.handlers import AsyncHandler, ThreadHandler
from sovd.health import PROBES
from sovd.proxies import normalized
from sovd.static_files import serve_before

if startup.is_server():
    databases.limit_statements(settings.DATABASES["default"], settings.STATEMENT_SECONDS)
    startup.refuse_unsafe()

# Below this address a view may be asynchronous and wait for long: it keeps no thread meanwhile, but
# passes the middlewares in a thread each. All other views, and the middlewares before them, run in
# one of few threads. A StreamingHttpResponse of an asynchronous iterator, such as an event stream,
# keeps no thread in either case.
WAITING = "/sovd/"

websocket_urlpatterns = [
    path("ws/responses/<str:command_id>", ResponseConsumer.as_asgi()),
    path("ws/responses/<str:command_id>/", ResponseConsumer.as_asgi()),
    re_path("", NoSuchStream.as_asgi()),
]
_in_threads, _waiting = ThreadHandler(), AsyncHandler()


async def _page(scope: Any, receive: Any, send: Any) -> None:
    is_waiting = scope["path"] in PROBES or scope["path"].startswith(WAITING)
    await (_waiting if is_waiting else _in_threads)(scope, receive, send)


_BY_TYPE = {"http": serve_before(_page), "websocket": URLRouter(websocket_urlpatterns)}

exporter.serve("WEB_METRICS_PORT", scrape.page)


async def application(scope: Any, receive: Any, send: Any) -> None:
    publisher.attach()
    user_cache.Watch.start()
    scope = normalized(scope)  # one name: a stream would keep the other in memory
    await _BY_TYPE[scope["type"]](scope, receive, send)
