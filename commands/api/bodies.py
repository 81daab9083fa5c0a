"""Bodies of responses, made by a serializer's fields without the serializer.

A serializer makes its fields anew for each response, and calls several methods for each value. The
values of our fields go out as they are: the renderer writes IDs and instants as the fields would.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from operator import attrgetter
from typing import Any
from uuid import UUID

from rest_framework import renderers, serializers
from rest_framework.utils import encoders

Get = Callable[[Any], Any]


@cache
def paths(serializer: type[serializers.Serializer[Any]]) -> dict[str, str]:
    """Return the path from the object to each field of a body that has only plain fields."""
    return {name: str(field.source) for name, field in _fields(serializer())}


def body_of(serializer: type[serializers.Serializer[Any]], found: Any) -> dict[str, Any]:
    """Return what this serializer would make of the object."""
    return {name: get(found) for name, get in _getters(serializer)}


@cache
def _getters(serializer: type[serializers.Serializer[Any]]) -> list[tuple[str, Get]]:
    return [(name, _getter(field)) for name, field in _fields(serializer())]


def _fields(serializer: Any) -> list[tuple[str, Any]]:
    return [(name, field) for name, field in serializer.fields.items() if not field.write_only]


def _getter(field: Any) -> Get:
    get: Get = attrgetter(field.source) if field.source != "*" else lambda found: found
    if isinstance(field, serializers.ListSerializer):
        each: Any = type(field.child)
        return lambda found: [body_of(each, one) for one in get(found).all()]
    if isinstance(field, serializers.SerializerMethodField):
        method: Get = getattr(field.parent, str(field.method_name))
        return method
    return get


# --- JSON


class Encoder(encoders.JSONEncoder):
    """Encoder that looks first whether a value is an ID or an instant, as nearly all are."""

    def default(self, value: Any) -> Any:
        if type(value) is UUID:
            return str(value)
        if type(value) is datetime and value.tzinfo is UTC:
            return f"{value.isoformat()[:-6]}Z"
        return super().default(value)


class Renderer(renderers.JSONRenderer):
    encoder_class = Encoder
