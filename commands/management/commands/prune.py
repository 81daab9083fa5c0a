from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from commands.worker.pruning import KINDS, prune


class Command(BaseCommand):
    help = (
        "Delete commands with their events and evidence, empty batches, and campaigns that ended "
        "so many days ago. The audit, what has not ended, and the last two scans of each vehicle "
        "stay. Other processes may run meanwhile."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--days", type=int, required=True, help="age of what is deleted")
        parser.add_argument(
            "--kind", action="append", choices=KINDS, help="may come twice; default: all"
        )

    def handle(self, **options: Any) -> None:
        if options["days"] < 1:
            raise CommandError("--days must be at least 1.")
        rows = sum(prune(options["days"], options["kind"] or KINDS))
        self.stdout.write(f"Deleted {rows} commands, batches, campaigns and their vehicles.")
