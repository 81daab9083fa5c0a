"""What the REST API may answer besides what Django REST framework knows."""

import logging
from typing import Self

from rest_framework import status
from rest_framework.exceptions import APIException

from commands import plain_json

logger = logging.getLogger(__name__)

READING = ("GET", "HEAD", "OPTIONS")


class TooLarge(APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = f"The body is larger than {plain_json.MAX_BYTES} bytes."
    default_code = "too_large"


class Unavailable(APIException):
    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "The database does not answer. Ask again in a few seconds."
    default_code = "unavailable"
    wait = 5  # seconds: becomes `Retry-After`

    @classmethod
    def because(cls, error: Exception, method: str | None) -> Self:
        logger.warning("The database does not answer (%s)", str(error).strip())
        if method in READING:
            return cls()
        return cls(
            "The database did not answer, so this may have been done or not. "
            "Look whether it was before you send it again."
        )
