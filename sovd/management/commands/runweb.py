from argparse import ArgumentParser
from typing import Any

from channels.routing import get_default_application
from django.conf import settings
from django.core.management.base import BaseCommand

from sovd.server.process import Server, check_is_free


class Command(BaseCommand):
    help = (
        "Run console, API and WebSocket. Ctrl-C or SIGTERM lets the requests in progress finish; "
        "streams are closed, and their clients connect to another process."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default=settings.HOST, help="%(default)s")
        parser.add_argument("--port", default=settings.PORT, type=int, help="%(default)s")

    def handle(self, **options: Any) -> None:
        host, port = options["host"], options["port"]
        check_is_free(host, port)
        Server(get_default_application(), host, port).run()
