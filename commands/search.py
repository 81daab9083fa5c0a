"""Searches for commands: by their vehicle, or by the beginning of a command's ID."""

import re
from typing import Any
from uuid import UUID

from django.db.models import BooleanField, OuterRef, Q, QuerySet, Subquery, Value

from vehicles import search as vehicles
from vehicles.models import Vehicle

MAX_NAMED = 1_000  # vehicles or users


def uuid_of(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def matching(text: str) -> Q:
    found = belonging_to("vehicle", Vehicle.objects.filter(vehicles.matching(text)))
    digits = vehicles.normalized(text).replace("-", "").lower()
    if not re.fullmatch("[0-9a-f]{1,32}", digits):
        return found
    first, last = UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
    return found | Q(command_id__range=(first, last))


def belonging_to(field: str, owners: QuerySet[Any]) -> Q:
    """Look the owners up first, and name them one by one.

    Postgres then reads each part of an OR from its own index. With a subquery it would read the
    whole table to find nothing.

    More owners have so many rows that a page of them is soon found in the order of the page. By the
    LIMIT of this subquery Postgres looks at one row after the other, and joins no tables.
    """
    ids = list(owners.values_list("pk", flat=True)[: MAX_NAMED + 1])
    if len(ids) <= MAX_NAMED:
        return Q(**{f"{field}__in": ids})
    owner = owners.filter(pk=OuterRef(f"{field}_id")).order_by().values(found=Value(True))
    return Q(Subquery(owner[:1], output_field=BooleanField()))
