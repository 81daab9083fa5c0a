"""Uploaded files and what their import found, as rows."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from vehicles.descriptions.models import MAX_NAME, Description, Entry, FilePart, Layer, State

ENTRIES_AT_ONCE = 2_000
IS_FREE = Q(lease_expires_at=None) | Q(lease_expires_at__lte=Now())
MAX_ATTEMPTS = 3  # of an import whose worker was lost each time


class InUse(Exception):
    """A description by which an ECU is read."""


def max_bytes() -> int:
    return int(settings.DESCRIPTION_MAX_MB * 1024 * 1024)


def too_large(size: int) -> str:
    """Return what is wrong with a file of this size, or an empty text."""
    limit = settings.DESCRIPTION_MAX_MB
    return f"It is larger than {limit} MB (DESCRIPTION_MAX_MB)." if size > max_bytes() else ""


@transaction.atomic
def add(file_name: str, pieces: Iterable[bytes]) -> Description:
    """Keep a file to be imported; return its description."""
    description = Description.objects.create(file_name=_shown(file_name))
    size = 0
    for piece in pieces:
        FilePart.objects.create(description=description, content=piece)
        size += len(piece)
    description.size = size
    description.save(update_fields=["size"])
    return description


def _shown(file_name: str) -> str:
    last = file_name.replace("\\", "/").rpartition("/")[2]
    return "".join(filter(str.isprintable, last))[:MAX_NAME] or "unnamed"


@transaction.atomic
def delete(description: Description) -> None:
    """Delete a description. Raise InUse while an ECU names it."""
    row = Description.objects.select_for_update().get(pk=description.pk)
    if row.ecus.exists():
        raise InUse
    Entry.objects.filter(layer__description=row).delete()
    row.delete()


# --- Import


@transaction.atomic
def take_next(lease: Any) -> Description | None:
    """Take the oldest file that waits, until the lease ends; refuse one that costs its workers."""
    waiting = Description.objects.filter(IS_FREE, state=State.IMPORTING).order_by("created_at")
    description = waiting.select_for_update(skip_locked=True).first()
    if description is None:
        return None
    if description.attempts >= MAX_ATTEMPTS:
        refuse(description, f"Its import was broken off {MAX_ATTEMPTS} times. Try a smaller file.")
        return None
    return description if take(description, lease) else None


def take(description: Description, lease: Any) -> bool:
    """Take a file that waits, and hold it until the lease ends."""
    rows = Description.objects.filter(IS_FREE, pk=description.pk, state=State.IMPORTING)
    is_taken = rows.update(lease_expires_at=Now() + lease, attempts=F("attempts") + 1)
    description.refresh_from_db(fields=["attempts"])
    return bool(is_taken)


def is_waiting(description: Description) -> bool:
    return Description.objects.filter(pk=description.pk, state=State.IMPORTING).exists()


def _held(description: Description) -> Any:
    """Return the row while this attempt holds it: another worker may have taken it over."""
    return Description.objects.filter(
        pk=description.pk, state=State.IMPORTING, attempts=description.attempts
    )


def renew(description: Description, lease: Any) -> bool:
    """Hold it for longer. Return False if it was deleted or taken over."""
    return bool(_held(description).update(lease_expires_at=Now() + lease))


def release(description: Description) -> None:
    """Leave an import that has begun to another worker."""
    _held(description).update(lease_expires_at=None, attempts=F("attempts") - 1)


def pieces_of(description: Description) -> Iterator[bytes]:
    """Yield the file, one piece in memory at a time."""
    for pk in list(description.parts.values_list("pk", flat=True)):
        yield bytes(FilePart.objects.values_list("content", flat=True).get(pk=pk))


@transaction.atomic
def refuse(description: Description, reason: str) -> None:
    """Keep nothing of the file but the reason."""
    if _held(description).update(state=State.REFUSED, reason=reason):
        description.parts.all().delete()


@transaction.atomic
def store(description: Description, report: dict[str, Any], entries: Iterable[list[Any]]) -> None:
    """Write what was found, all at once; an entry begins with the place of its layer."""
    if not _held(description).update(state=State.READY):
        return
    layers: list[Layer] = []
    for each in report["layers"]:
        base = layers[each["base"]] if each["base"] is not None else None
        about = {"name": each["name"], "base": base, "patterns": each["patterns"]}
        layers.append(Layer.objects.create(description=description, **about))
    rows = (
        Entry(layer=layers[place], kind=kind, number=number, name=name, coding=coding)
        for place, kind, number, name, coding in entries
    )
    while some := list(islice(rows, ENTRIES_AT_ONCE)):
        Entry.objects.bulk_create(some)
    description.parts.all().delete()
    Description.objects.filter(pk=description.pk).update(
        revision=report["revision"],
        layers=[layer.name for layer in layers],
        left_out=report["left_out"],
        **_counts(description),
    )


def _counts(description: Description) -> dict[str, int]:
    entries = Entry.objects.filter(layer__description=description).exclude(name="")
    numbers = entries.order_by().values("number").distinct()
    names = {"dtc_count": "dtc", "did_count": "data", "routine_count": "routine"}
    return {name: numbers.filter(kind=kind).count() for name, kind in names.items()}
