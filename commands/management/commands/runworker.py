import asyncio
import signal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from commands.accounts.startup import refuse_unsafe
from commands.database.threads import CONNECTION_LOST
from commands.metrics import exporter, scrape
from commands.worker.worker import Worker, worker_problem
from vehicles.connectors import CONNECTORS, make_connectors


class Command(BaseCommand):
    help = (
        "Claim commands, carry them out in the vehicles, and publish their responses. SIGTERM "
        "claims nothing more and lets running commands finish; a second one gives them up."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--drain", action="store_true", help="work until nothing is claimable, then exit"
        )
        parser.add_argument(
            "--connector",
            action="append",
            choices=[*CONNECTORS],
            help="serve only vehicles of this connector; repeat it for more (default: all)",
        )

    def handle(self, **options: Any) -> None:
        refuse_unsafe()
        exporter.serve("WORKER_METRICS_PORT", scrape.page_of_processes, worker_problem)
        try:
            asyncio.run(self._work(options["drain"], options["connector"] or [*CONNECTORS]))
        except CONNECTION_LOST as error:
            raise CommandError(f"The database does not answer: {str(error).strip()}") from error

    async def _work(self, drain: bool, connectors: list[str]) -> None:
        worker = Worker(make_connectors(connectors))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, worker.stop)
        if drain:
            await worker.drain()
            return
        self.stdout.write(f"Worker ready: up to {settings.WORKER_CONCURRENCY} commands at once")
        self.stdout.flush()  # to a file or a pipe, too
        await worker.run()
        self.stdout.write("Worker stopped")
