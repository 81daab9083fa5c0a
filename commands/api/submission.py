"""Submissions by the API: who may make them, and how a repeated one runs once."""

import json
from typing import Any

from django.db import IntegrityError, transaction
from rest_framework import status
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from commands.api import idempotency
from commands.api.views import ApiView
from commands.models import IdempotencyKey, SubmissionKey


class MaySubmit(BasePermission):
    message = (
        "You can view commands but not submit or cancel them: ask for the permission "
        "commands.add_command."
    )

    def has_permission(self, request: Request, view: APIView) -> bool:
        return request.user.has_perm("commands.add_command")


class IdempotentCreateMixin(ApiView, GenericViewSet[Any]):
    """View of submissions that run once, however often a POST with one key is repeated."""

    key_model: type[SubmissionKey] = IdempotencyKey
    lookup_by_command = "pk"  # leads from the command that has a key to the object of this view

    def write(self, request: Request) -> tuple[Any, Any]:
        """Write the submission and its audit entries.

        Return its first command, or what else has the key, and the response.
        """
        raise NotImplementedError

    def submit_once(self, request: Request) -> Response:
        key = idempotency.key_of(request, self.key_model)
        try:
            return self._repeated(key) or self._submitted(request, key)
        except IntegrityError:
            # The same request was faster on another connection, or a vehicle was just deleted.
            return self._repeated(key) or self._submitted(request, key)

    def _repeated(self, key: SubmissionKey | None) -> Response | None:
        known = idempotency.find(key) if key else None
        if known is None:
            return None
        if known.response:
            first = json.loads(known.response)
        else:  # a version that stored no response submitted it
            found = self.get_queryset().get(**{self.lookup_by_command: known.command_id})
            first = self.get_serializer(found).data
        return Response(first, status.HTTP_201_CREATED, headers={"Idempotent-Replayed": "true"})

    def _submitted(self, request: Request, key: SubmissionKey | None) -> Response:
        if key is None:
            return Response(self.write(request)[1], status.HTTP_201_CREATED)
        with transaction.atomic():
            body = idempotency.keep(key, *self.write(request))
        return Response(body, status.HTTP_201_CREATED)
