"""Keyset pagination: the rows that come after a position in an order by several fields."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

from django.db.models import Model, Q, QuerySet

from commands.database.compiled import Compiled


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


class Listing(NamedTuple):
    """Rows of a list without filters, as dicts. The SQL of each order is made once."""

    model: type[Model]
    columns: Sequence[str]  # as names in the dicts
    make: Callable[..., QuerySet[Any, Any]]  # a function of a module, whose rows have the columns
    arguments: tuple[object, ...] = ()

    def page(self, order: list[str], position: list[Any], limit: int) -> list[dict[str, Any]]:
        """Return the first rows beyond the position, if there is one, in this order."""
        values = (*self.arguments, *position)
        types = tuple(map(type, values))
        statement = _in_order(self.make, len(self.arguments), types, tuple(order))
        rows = statement.rows(*values, limit=limit)
        return [dict(zip(self.columns, row, strict=True)) for row in rows]


@cache
def _in_order(
    make: Callable[..., QuerySet[Any, Any]],
    count: int,
    types: tuple[type, ...],
    order: tuple[str, ...],
) -> Compiled:
    """Return the statement for so many arguments of `make`, then those of a position."""

    def ordered(*values: Any) -> QuerySet[Any, Any]:
        rows, position = make(*values[:count]), [*values[count:]]
        rows = rows.filter(beyond([*order], position)) if position else rows
        return rows.order_by(*order)

    return Compiled(ordered, *types)
