import asyncio
import signal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from commands import metrics_port, scrape
from commands.threads import CONNECTION_LOST
from commands.worker import Worker, worker_problem
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
        metrics_port.serve("WORKER_METRICS_PORT", scrape.page_of_processes, worker_problem)
        try:
            asyncio.run(self._work(options["drain"]))
        except CONNECTION_LOST as error:
            raise CommandError(f"The database does not answer: {str(error).strip()}") from error

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
