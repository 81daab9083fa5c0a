"""How the REST API reads bodies."""

import json
from typing import Any

from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.parsers import JSONParser

from commands import plain_json
from sovd.exceptions import TooLarge


class PlainJSONParser(JSONParser):
    """Reads UTF-8 (RFC 8259 knows nothing else), and names the value that is not acceptable."""

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        raw = stream.read(plain_json.MAX_BYTES + 1)
        if len(raw) > plain_json.MAX_BYTES:
            raise TooLarge
        try:
            body = json.loads(raw.decode(), parse_int=_integer)
            plain_json.check(body)
        except plain_json.NotPlain as error:
            raise ValidationError({error.path or "body": [f"It {error.problem}."]}) from error
        except RecursionError as error:
            problem = f"It is nested deeper than {plain_json.MAX_DEPTH} levels."
            raise ValidationError({"body": [problem]}) from error
        except ValueError as error:
            raise ParseError(f"The body is not JSON in UTF-8: {error}.") from error
        return body


def _integer(digits: str) -> int:
    """Python refuses thousands of digits without saying where; the check for 64 bits does say."""
    return int(digits[:30])
