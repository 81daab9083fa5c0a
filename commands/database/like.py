"""The lookup `like`, for a condition of an index that its queries repeat."""

from typing import Any

from django.db.models import CharField, Q
from django.db.models.lookups import Lookup


@CharField.register_lookup
class Like(Lookup):  # type: ignore[type-arg]
    """Lookup by a pattern of our own, which stands in the SQL.

    SQLite takes no pattern that is a parameter for the pattern in the condition of an index.
    """

    lookup_name = "like"

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        column, params = self.process_lhs(compiler, connection)
        pattern = str(self.rhs).replace("'", "''").replace("%", "%%")
        return f"{column} LIKE '{pattern}'", params


def like(field: str, pattern: str) -> Q:
    return Q(**{f"{field}__{Like.lookup_name}": pattern})
