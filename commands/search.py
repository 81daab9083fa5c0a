"""What one types to find commands: part of a VIN, or the beginning of a command's ID."""

import re
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from vehicles.models import Vehicle

MOST_NAMED = 1_000  # vehicles or users; with more of them, what is found is not far to seek


def uuid_of(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def matching(text: str) -> Q:
    found = belonging_to("vehicle", Vehicle.objects.filter(vin__icontains=text))
    digits = text.replace("-", "").lower()
    if not re.fullmatch("[0-9a-f]{1,32}", digits):
        return found
    first, last = UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
    return found | Q(command_id__range=(first, last))


def belonging_to(field: str, owners: QuerySet[Any]) -> Q:
    """They are looked up first, and named one by one: then each part of an OR is read from its own
    index. With a subquery in it, Postgres looks through the whole table for what is not there."""
    ids = list(owners.values_list("pk", flat=True)[: MOST_NAMED + 1])
    return Q(**{f"{field}__in": ids if len(ids) <= MOST_NAMED else owners})
