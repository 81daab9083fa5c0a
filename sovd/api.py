"""How the REST API reads bodies, pages through lists, and says what is wrong."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db.models import QuerySet
from rest_framework import status
from rest_framework.exceptions import APIException, NotFound, ParseError, ValidationError
from rest_framework.pagination import CursorPagination
from rest_framework.parsers import JSONParser
from rest_framework.response import Response
from rest_framework.views import exception_handler

from commands import plain_json


class PlainJSONParser(JSONParser):
    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        try:
            body = super().parse(stream, media_type, parser_context)
            plain_json.check(body)
        except RecursionError as error:
            raise ParseError("The body is nested too deeply.") from error
        except plain_json.NotPlain as error:
            raise ParseError(f"The body is not acceptable JSON. {error}.") from error
        return body


class Pages(CursorPagination):
    """Lists as `{"next", "previous", "results"}`, stable while rows arrive.

    A view names its `orderings`: each one a unique order by fields, the first the default.
    """

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500

    def get_ordering(self, request: Any, queryset: QuerySet[Any], view: Any) -> Any:
        orderings = {ordering[0]: ordering for ordering in view.orderings}
        asked = request.query_params.get("ordering", view.orderings[0][0])
        if asked not in orderings:
            raise ValidationError({"ordering": [f"Must be one of: {', '.join(orderings)}."]})
        return orderings[asked]

    def get_page_size(self, request: Any) -> int:
        text = request.query_params.get("page_size", str(self.page_size))
        if not re.fullmatch("[1-9][0-9]{0,2}", text) or int(text) > self.max_page_size:
            raise ValidationError({"page_size": [f"Must lie between 1 and {self.max_page_size}."]})
        return int(text)

    def paginate_queryset(self, queryset: Any, request: Any, view: Any = None) -> Any:
        self._model = queryset.model
        return super().paginate_queryset(queryset, request, view)

    def decode_cursor(self, request: Any) -> Any:
        """DRF hands the position to the database as it came, which is a 500 if it is forged."""
        try:
            cursor = super().decode_cursor(request)
            if cursor and cursor.position is not None:
                field = self._model._meta.get_field(self.ordering[0].lstrip("-"))
                check_instant(field.clean(cursor.position, None))
        except (NotFound, DjangoValidationError) as error:
            message = "Not a cursor. Follow the `next` and `previous` of a list as they are."
            raise ValidationError({"cursor": [message]}) from error
        return cursor


def check_instant(value: Any) -> None:
    """Instants at the edge of the calendar overflow when they are brought to UTC."""
    if isinstance(value, datetime) and not 1970 <= value.year <= 9000:
        raise DjangoValidationError("Must lie between the years 1970 and 9000.")


def explain(error: Exception, context: dict[str, Any]) -> Response | None:
    """Every error has one shape: `{"code", "detail", "fields"}`; `fields` only for bad input."""
    response = exception_handler(error, context)
    if response is None:
        return None
    fields = _fields(response.data) if response.status_code == status.HTTP_400_BAD_REQUEST else {}
    code = getattr(error, "default_code", None) or "error"
    if isinstance(error, APIException) and isinstance(error.get_codes(), str):
        code = error.get_codes()
    body: dict[str, Any] = {"code": code, "detail": _detail(response.data, fields)}
    response.data = body | ({"fields": fields} if fields else {})
    return response


def _detail(data: Any, fields: Mapping[str, list[str]]) -> str:
    if isinstance(data, Mapping) and "detail" in data:
        return str(data["detail"])
    return " ".join(f"{name}: {' '.join(messages)}" for name, messages in fields.items())


def _fields(data: Any, path: str = "") -> dict[str, list[str]]:
    """Nested messages by dotted path, such as `command_params.ecuAddress`."""
    if isinstance(data, Mapping):
        found: dict[str, list[str]] = {}
        for name, value in data.items():
            if path or name != "detail":
                found |= _fields(value, f"{path}.{name}".lstrip("."))
        return found
    messages = data if isinstance(data, list) else [data]
    return {path or "body": [str(message) for message in messages]}
