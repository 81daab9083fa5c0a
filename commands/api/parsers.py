"""Parser of the REST API's request bodies."""

import json
from typing import Any

from django.conf import settings
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.parsers import JSONParser

from commands.api.exceptions import TooLarge
from vehicles import strict_json


class StrictJSONParser(JSONParser):
    """Parser of JSON in UTF-8 (RFC 8259 allows nothing else) that names each value it refuses."""

    max_bytes = strict_json.MAX_BYTES

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        raw = stream.read(self.max_bytes + 1)
        if len(raw) > self.max_bytes:
            raise TooLarge(f"The body is larger than {self.max_bytes} bytes.")
        try:
            body = json.loads(raw.decode(), parse_int=_integer)
            strict_json.check(body)
        except strict_json.InvalidJSON as error:
            raise ValidationError({error.path or "body": [f"It {error.problem}."]}) from error
        except RecursionError as error:
            problem = f"It is nested deeper than {strict_json.MAX_DEPTH} levels."
            raise ValidationError({"body": [problem]}) from error
        except ValueError as error:
            raise ParseError(f"The body is not JSON in UTF-8: {error}.") from error
        return body


class LargeJSONParser(StrictJSONParser):
    """Parser of bodies with the IDs of up to 100,000 vehicles."""

    max_bytes = settings.DATA_UPLOAD_MAX_MEMORY_SIZE


def _integer(digits: str) -> int:
    """Read an integer, cut to 30 digits: the check for 64 bits refuses it, and names its place."""
    return int(digits[:30])
