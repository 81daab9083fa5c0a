"""The event log of a command in pages, in the frames of the stream."""

from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from commands.events import (
    MAX_SEQUENCE_NUMBER,
    ErrorFrame,
    ResponseFrame,
    StatusFrame,
    frame_of,
    read_after,
)
from commands.models import EventQuerySet

PAGE_EVENTS = 1_000
AFTER = {"type": "integer", "minimum": 0, "maximum": MAX_SEQUENCE_NUMBER, "default": 0}
BEYOND = OpenApiParameter("after", AFTER, description="Events beyond this number")
FRAME = {
    "anyOf": [
        {"$ref": f"#/components/schemas/{frame.__name__}"}  # made in schema/document.py
        for frame in (StatusFrame, ResponseFrame, ErrorFrame)
    ]
}
FRAMES = {
    "type": "object",
    "properties": {
        "next": {
            "type": ["string", "null"],
            "format": "uri",
            "description": f"The next page, if there are more than {PAGE_EVENTS} events",
        },
        "results": {"type": "array", "items": FRAME},
    },
    "required": ["next", "results"],
}


def page_of(request: Request, log: EventQuerySet) -> Response:
    """Return a page of the log: the events after `after`, and the address of the next page."""
    events = list(log.after(_after(request))[: PAGE_EVENTS + 1])
    page, has_more = events[:PAGE_EVENTS], len(events) > PAGE_EVENTS
    following = f"?after={page[-1].sequence_number}" if has_more else ""
    address = request.build_absolute_uri(following) if has_more else None
    return Response({"next": address, "results": [frame_of(event) for event in page]})


def _after(request: Request) -> int:
    try:
        return read_after(request.query_params.get("after", "0"))
    except ValueError as error:
        raise ValidationError({"after": ["Must be a sequence number: 0 or more."]}) from error
