"""The lock of a vehicle in the REST API."""

from typing import Any, cast

from django.contrib.auth.models import User
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.generics import GenericAPIView, get_object_or_404
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from commands import locks
from commands.api.schema.marks import errors
from commands.api.submission import MaySubmit
from commands.api.views import ApiView
from commands.models import VehicleLock
from vehicles.api import MayViewVehicles
from vehicles.models import Vehicle
from vehicles.serializers import StrictBooleanField, StrictIntegerField, StrictSerializer

NOT_LOCKED = "Nobody holds the lock of this vehicle."


class LockSerializer(StrictSerializer, serializers.ModelSerializer[VehicleLock]):
    holder = serializers.CharField(source="holder.username", read_only=True)
    expires_in_seconds = StrictIntegerField(
        min_value=locks.MIN_SECONDS, max_value=locks.MAX_SECONDS, write_only=True
    )
    take_over = StrictBooleanField(
        default=False,
        write_only=True,
        help_text=f"From whoever holds it; needs the permission `{locks.TAKE_OVER}`.",
    )

    class Meta:
        model = VehicleLock
        fields = ["holder", "expires_at", "expires_in_seconds", "take_over"]
        read_only_fields = ["expires_at"]


class LockView(ApiView, GenericAPIView[Any]):
    """The lock of a vehicle: while a user holds it, others send what is safe to repeat alone."""

    serializer_class = LockSerializer

    def get_permissions(self) -> list[Any]:
        writes = [] if self.request.method == "GET" else [MaySubmit()]
        return [IsAuthenticated(), MayViewVehicles(), *writes]

    @extend_schema(summary="See who holds the lock of a vehicle", operation_id="v1_lock_retrieve")
    def get(self, request: Request, vehicle_id: str) -> Response:
        """The holder of the lock, and when it expires; 404 if nobody holds it."""
        lock = locks.find(self._vehicle())
        if lock is None:
            raise NotFound(NOT_LOCKED)
        return Response(self.get_serializer(lock).data)

    @extend_schema(
        summary="Take or prolong the lock of a vehicle",
        operation_id="v1_lock_create",
        extensions=errors(409),
        responses={201: LockSerializer},
    )
    def post(self, request: Request, vehicle_id: str) -> Response:
        """Take the lock, or prolong one's own, for up to an hour from now."""
        vehicle = self._vehicle()
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        wants = serializer.validated_data
        lock = locks.take(
            cast(User, request.user),
            vehicle,
            wants["expires_in_seconds"],
            request,
            take_over=may_take_over(request.user) if wants["take_over"] else False,
        )
        return Response(self.get_serializer(lock).data, status.HTTP_201_CREATED)

    @extend_schema(
        summary="Release the lock of a vehicle",
        operation_id="v1_lock_destroy",
        extensions=errors(409),
        responses={204: None},
    )
    def delete(self, request: Request, vehicle_id: str) -> Response:
        """Release one's own lock."""
        if not locks.release(cast(User, request.user), self._vehicle(), request):
            raise NotFound(NOT_LOCKED)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _vehicle(self) -> Vehicle:
        vehicle: Vehicle = get_object_or_404(Vehicle, pk=self.kwargs["vehicle_id"])
        return vehicle


def may_take_over(user: Any) -> bool:
    """Return True, or raise PermissionDenied."""
    if not user.has_perm(locks.TAKE_OVER):
        raise PermissionDenied(
            f"You may not take over a lock. Ask for the permission {locks.TAKE_OVER}, or ask its "
            "holder to release it."
        )
    return True
