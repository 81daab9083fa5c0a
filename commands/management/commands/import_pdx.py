from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from commands import audit
from commands.models import Action
from vehicles.descriptions import importing, storage
from vehicles.descriptions.models import Description, State

PIECE = 65_536


class Command(BaseCommand):
    help = "Import an ODX description (a PDX file), by which responses of ECUs are read."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="a PDX file of at most DESCRIPTION_MAX_MB")

    def handle(self, **options: Any) -> None:
        path = Path(options["file"])
        try:
            description = self._add(path)
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}.") from error
        importing.import_one(description)
        description.refresh_from_db()
        if description.state != State.READY:
            raise CommandError(f"{path} was refused. {description.reason}")
        self._report(description)

    @transaction.atomic
    def _add(self, path: Path) -> Description:
        if problem := storage.too_large(path.stat().st_size):
            raise CommandError(f"{path}: {problem}")
        with path.open("rb") as file:
            description = storage.add(path.name, iter(lambda: file.read(PIECE), b""))
        about = {"file_name": description.file_name}
        audit.record_shell("import_pdx", [(Action.ADD_DESCRIPTION, description.pk, about)])
        return description

    def _report(self, description: Description) -> None:
        self.stdout.write(f"Imported {description.file_name} as {description.pk}")
        self.stdout.write(f"Layers: {', '.join(description.layers)}")
        self.stdout.write(
            f"{description.dtc_count} trouble codes, {description.did_count} identifiers, "
            f"{description.routine_count} routines"
        )
        for each in description.left_out:
            self.stdout.write(f"Left out: {each['name']}: {each['reason']}")
