import asyncio
import signal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from prometheus_client import start_http_server

from commands.metrics import registry
from commands.worker import Worker
from sovd.start import refuse_unsafe
from vehicles.journal import journalled
from vehicles.mock_vehicle import MockVehicle


class Command(BaseCommand):
    help = (
        "Carry out commands: claim them, let the vehicles answer, publish what they say. SIGTERM "
        "lets finish what runs and claims nothing more; a second one gives it up at once."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--drain", action="store_true", help="work until nothing is claimable, then exit"
        )

    def handle(self, **options: Any) -> None:
        refuse_unsafe()
        if settings.WORKER_METRICS_PORT:
            self._serve_metrics(settings.WORKER_METRICS_PORT)
        asyncio.run(self._work(options["drain"]))

    async def _work(self, drain: bool) -> None:
        worker = Worker(journalled(MockVehicle.from_settings()))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, worker.stop)
        if drain:
            await worker.drain()
            return
        self.stdout.write(f"Worker ready: up to {settings.WORKER_CONCURRENCY} commands at once")
        self.stdout.flush()  # to a file or a pipe, too
        await worker.run()
        self.stdout.write("Worker stopped")

    def _serve_metrics(self, port: int) -> None:
        try:
            start_http_server(port, registry=registry())
        except OSError as error:
            raise CommandError(f"WORKER_METRICS_PORT={port} cannot be served: {error}") from error
