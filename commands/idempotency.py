"""Idempotency-Key: a submission that is repeated is answered again, and not carried out again."""

import hashlib
import json
import re
from datetime import timedelta
from typing import cast

from django.contrib.auth.models import User
from rest_framework import status
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.request import Request

from commands.models import Command, IdempotencyKey, Status

HEADER = "Idempotency-Key"
PATTERN = "[!-~]{1,255}"  # visible ASCII
KEPT = timedelta(hours=24)


class KeyReused(APIException):
    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY
    default_code = "idempotency_key_reused"
    default_detail = (
        f"This {HEADER} was used for another payload. Make a new one for each submission; send the "
        "same one only to repeat the same request."
    )


def key_of(request: Request) -> IdempotencyKey | None:
    """The key under which the request's payload is to be kept, if it has one."""
    text = request.headers.get(HEADER)
    if text is None:
        return None
    if not re.fullmatch(PATTERN, text):
        raise ValidationError({HEADER: ["Must be 1 to 255 visible ASCII characters, no blanks."]})
    user = cast(User, request.user)
    return IdempotencyKey(user=user, key=text, fingerprint=_fingerprint(request))


def command_of(key: IdempotencyKey) -> Command | None:
    """The command that was submitted under this key, as it was then, or the first of the batch.

    Raises KeyReused.
    """
    same_name = IdempotencyKey.objects.filter(user=key.user, key=key.key)
    known = same_name.select_related(
        "command__vehicle", "command__submitted_by", "command__batch__submitted_by"
    ).first()
    if known is None:
        return None
    if known.fingerprint != key.fingerprint:
        raise KeyReused
    return _as_submitted(known.command)


def _as_submitted(command: Command) -> Command:
    """What happened to it since is left out, so that a repeat reads what the first one read."""
    command.status = Status.PENDING
    command.error_code = command.error_message = ""
    command.started_at = command.completed_at = None
    command.last_sequence_number = 1
    return command


def _fingerprint(request: Request) -> str:
    """The same for the same JSON to the same address, whatever the order of its keys."""
    said = json.dumps([request.path, request.data], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()
