from collections import Counter
from collections.abc import Iterable
from itertools import islice
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import IntegrityError, transaction

from commands import audit
from commands.models import Action
from commands.notifications import wake_probes
from vehicles.importing import CHUNK, Import, InvalidFile, Row, read

MAX_CHARACTERS = 1_000  # of what is wrong with one row


class Command(BaseCommand):
    help = (
        "Add vehicles from a CSV file: all of its rows, or none. Columns: vin, make, model, year, "
        "connector and settings.<name>, in any order; only vin is required."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="UTF-8, with commas; line 1 names the columns")
        parser.add_argument(
            "--update",
            action="store_true",
            help="change vehicles that exist already; columns that the file lacks stay",
        )

    def handle(self, **options: Any) -> None:
        try:
            with open(options["file"], encoding="utf-8-sig", newline="") as file:
                counts = self._import(read(file), is_update=options["update"])
        except OSError as error:
            raise CommandError(f"{options['file']} cannot be read: {error.strerror}.") from error
        except InvalidFile as error:
            raise CommandError(f"{error} Nothing was imported.") from error
        except IntegrityError as error:
            message = "A vehicle of the file was added meanwhile. Nothing was imported. Try again."
            raise CommandError(message) from error
        self.stdout.write(
            f"Added {counts['added']}, changed {counts['changed']}, "
            f"left {counts['left']} as they were."
        )

    @transaction.atomic
    def _import(self, rows: Iterable[Row], *, is_update: bool) -> Counter[str]:
        progress = Import(is_update=is_update)
        counts: Counter[str] = Counter()
        rows = iter(rows)
        while chunk := list(islice(rows, CHUNK)):
            progress.take(chunk)
            if progress.has_problems:
                counts["wrong"] += self._report(chunk)
            else:
                counts += _record(chunk)
        if counts["wrong"]:
            raise CommandError(f"{counts['wrong']} rows are wrong. Nothing was imported.")
        wake_probes()
        return counts

    def _report(self, rows: Iterable[Row]) -> int:
        wrong = [row for row in rows if row.problems]
        for row in wrong:
            self.stderr.write(f"Line {row.line}: {_shown('; '.join(row.problems))}")
        return len(wrong)


def _shown(text: str) -> str:
    """Return the beginning of a text from the file, without what a terminal would obey."""
    beginning = text[:MAX_CHARACTERS]
    return "".join(character if character.isprintable() else "?" for character in beginning)


def _record(rows: Iterable[Row]) -> Counter[str]:
    """Record the changes in the audit; return how many vehicles were added, changed and left."""
    counts: Counter[str] = Counter()
    entries = []
    for row in rows:
        if row.vehicle and row.changed:
            action = Action.CHANGE_VEHICLE if row.before else Action.ADD_VEHICLE
            about = {"vin": row.vehicle.vin, "fields": row.changed}
            entries.append((action, row.vehicle.pk, about))
        counts["left" if not row.changed else "changed" if row.before else "added"] += 1
    audit.record_shell("import_vehicles", entries)
    return counts
