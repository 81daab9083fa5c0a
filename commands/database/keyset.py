"""Keyset pagination: the rows that come after a position in an order by several fields."""

from typing import Any

from django.db.models import Q


def beyond(order: list[str], position: list[Any]) -> Q:
    """Return the condition "later than `position` in this order".

    An index on the first field serves it.
    """
    name, value = order[0].lstrip("-"), position[0]
    comparison = "lt" if order[0].startswith("-") else "gt"
    further = Q(**{f"{name}__{comparison}": value})
    if not order[1:]:
        return further
    return Q(**{f"{name}__{comparison}e": value}) & (further | beyond(order[1:], position[1:]))
