"""Idempotency-Key: a repeated submission gets the first response again, and runs once."""

import hashlib
import json
import re
from datetime import timedelta
from typing import Any, cast

from django.contrib.auth.models import User
from rest_framework import status
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from commands.models import Campaign, Command, SubmissionKey

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


def key_of(request: Request, model: type[SubmissionKey]) -> SubmissionKey | None:
    """Return the key of the request, with the fingerprint of its payload, if it has one."""
    text = request.headers.get(HEADER)
    if text is None:
        return None
    if not re.fullmatch(PATTERN, text):
        raise ValidationError({HEADER: ["Must be 1 to 255 visible ASCII characters, no blanks."]})
    user = cast(User, request.user)
    return model(user=user, key=text, fingerprint=_fingerprint(request))


def find(key: SubmissionKey) -> Any:
    """Return the earlier submission with this key. Raises KeyReused."""
    known = type(key)._default_manager.filter(user=key.user, key=key.key).first()
    if known and known.fingerprint != key.fingerprint:
        raise KeyReused
    return known


def keep(key: SubmissionKey, subject: Command | Campaign, body: Any) -> Any:
    """Store the key with its first command, or its campaign, and the response.

    Return the response as it is sent.

    Raise IntegrityError if another submission has this key: of two at once, one wins.
    """
    setattr(key, key._meta.pk.name, subject)
    key.response = JSONRenderer().render(body).decode()
    key.save(force_insert=True)
    return json.loads(key.response)


def _fingerprint(request: Request) -> str:
    """Digest the address and the JSON, whatever the order of its keys."""
    said = json.dumps([request.path, request.data], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()
