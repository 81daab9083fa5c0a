"""The marks by which a view documents itself beyond what drf-spectacular can see.

`document.py` replaces them when it completes the OpenAPI document.
"""

from typing import Any

ERRORS = "x-errors"
SUBMISSION = "x-submission"


def errors(*codes: int) -> dict[str, Any]:
    """Mark the errors that an operation has beside the common ones."""
    return {ERRORS: list(codes)}


def submission(schema: str = "") -> dict[str, Any]:
    """Mark an operation that accepts a submission, with an Idempotency-Key.

    `schema`: of its body, if it is not the one of the serializer.
    """
    return errors(422, 429) | {SUBMISSION: schema}
