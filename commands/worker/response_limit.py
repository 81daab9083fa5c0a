"""Limit on the responses to one command, since a vehicle is not trusted."""

import json
from typing import Any

from django.conf import settings

from vehicles.connectors.base import VehicleError


class ResponseLimit:
    """Number and size of the responses to one command since it was claimed."""

    def __init__(self) -> None:
        self._responses = self._bytes = 0

    def count(self, response: dict[str, Any]) -> dict[str, Any]:
        """Count a response and return it. Raise VehicleError beyond the limit."""
        self._responses += 1
        self._bytes += len(json.dumps(response, ensure_ascii=False).encode())
        for sent, limit, unit in (
            (self._responses, settings.COMMAND_MAX_RESPONSES, "responses"),
            (self._bytes, settings.COMMAND_MAX_RESPONSE_BYTES, "bytes of responses"),
        ):
            if sent > limit:
                message = f"The vehicle sent more than {limit} {unit}. Ask it for less at once."
                raise VehicleError("malformed_answer", message)
        return response
