"""Querysets whose SQL is made once.

Django takes a millisecond to make the SQL of a query by primary key, and a database a tenth of that
to answer it.
"""

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any, TypeVar
from uuid import UUID

from django.core.signals import setting_changed
from django.db import connection
from django.db.models import Model, QuerySet, UUIDField
from django.db.models.lookups import Lookup

M = TypeVar("M", bound=Model)
Convert = Callable[[Any], Iterable[Any]]

# Stand for the arguments of each type, by place, while the SQL is made.
STAND_INS: dict[type, list[Any]] = {
    UUID: [
        UUID("6b1f9a52-58c5-4f0e-9d55-2f0a4d7c3e81"),
        UUID("c5d0a8e4-0f0b-4b39-8f43-7f1d2b6a9e05"),
    ],
    int: [1_907_345_123],
    str: ["a-text-that-nothing-has"],
    datetime: [datetime(1971, 3, 2, 5, 7, 11, tzinfo=UTC)],
    list: [[UUID("0c1be3a7-2f2e-4a43-8a3a-9c7f2d5b6e14")]],
}


@UUIDField.register_lookup
class Among(Lookup):  # type: ignore[type-arg]
    """Lookup like `in`, whose SQL is the same for any number of IDs."""

    lookup_name = "among"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        column, params = self.process_lhs(compiler, connection)
        is_postgres = connection.vendor == "postgresql"
        among = "= ANY(%s)" if is_postgres else "IN (SELECT value FROM json_each(%s))"
        return f"{column} {among}", [*params, _stored(self.rhs)]


class Compiled:
    """Rows that a queryset has for some arguments of these types, which `make` gets.

    A list is one of UUIDs, for the lookup `among`. A setting that `make` reads is read once.
    """

    def __init__(self, make: Callable[..., QuerySet[Any, Any]], *types: type) -> None:
        self._make = make
        self._stand_ins = [STAND_INS[each][types[:n].count(each)] for n, each in enumerate(types)]

    def rows(self, *arguments: object, limit: int | None = None) -> list[Any]:
        """Return the rows, no more than `limit`."""
        convert, sql, params = _compiled(self, connection.vendor)
        values = [
            _stored(arguments[param]) if isinstance(param, _Place) else param for param in params
        ]
        with connection.cursor() as cursor:
            cursor.execute(sql if limit is None else f"{sql} LIMIT {limit}", values)
            return list(convert(cursor.fetchall()))

    def compile(self) -> tuple[Convert, str, list[Any]]:
        """Return what converts rows, the SQL and its parameters, of which some are places."""
        compiler = self._make(*self._stand_ins).query.get_compiler(connection=connection)
        sql, params = compiler.as_sql()
        converters = compiler.get_converters([column[0] for column in compiler.select])
        convert = partial(compiler.apply_converters, converters=converters)
        return convert if converters else iter, sql, [self._placed(param) for param in params]

    def _placed(self, param: Any) -> Any:
        for place, value in enumerate(self._stand_ins):
            if param == _stored(value):
                return _Place(place)
        return param


@cache
def _compiled(query: Compiled, vendor: str) -> tuple[Convert, str, list[Any]]:
    return query.compile()


# Only tests change a setting.
setting_changed.connect(lambda **_: _compiled.cache_clear(), weak=False)


def columns(model: type[Model]) -> list[str]:
    """Return the names of all fields of a model, for `values_list`."""
    return [field.attname for field in model._meta.concrete_fields]


def loaded(model: type[M], row: Sequence[Any]) -> M:
    """Return the object of a row that has the columns of a model."""
    return model.from_db(connection.alias, columns(model), row)


class _Place(int):
    """The place of an argument among the parameters of a statement."""


def _stored(value: Any) -> Any:
    """Return the value as this database takes it."""
    if isinstance(value, Collection) and not isinstance(value, str):
        values = [_stored(each) for each in value]
        return values if connection.vendor == "postgresql" else json.dumps(values)
    if isinstance(value, UUID) and not connection.features.has_native_uuid_field:
        return value.hex
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    return value
