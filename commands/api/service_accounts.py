"""The API's routes of service accounts. Their tokens come from `POST /sovd/token`."""

import unicodedata
from typing import Any

from django.contrib.auth.models import Group
from django.core.validators import RegexValidator
from django.db import IntegrityError, transaction
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins, serializers
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from commands import audit
from commands.accounts import service_accounts
from commands.api.views import ApiView
from commands.models import Action, ServiceAccount
from vehicles.serializers import StrictCharField, StrictSerializer

NAME_IS_TAKEN = "There is, or was, a user or a service account with this name. Choose another."
validate_name = RegexValidator(
    r"^[\w.@+-]+\Z", "A name has letters, digits and @ . + - _ only, and no blanks."
)


class NameField(StrictCharField):
    """A name in the spelling in which Django stores names of users."""

    def to_internal_value(self, data: Any) -> str:
        return unicodedata.normalize("NFKC", super().to_internal_value(data))


class ServiceAccountSerializer(StrictSerializer, serializers.ModelSerializer[ServiceAccount]):
    name = NameField(source="user.username", max_length=150, validators=[validate_name])
    groups = serializers.SlugRelatedField(
        source="user.groups",
        slug_field="name",
        many=True,
        queryset=Group.objects.all(),
        help_text="Names of groups, of which you must have every permission yourself.",
    )

    class Meta:
        model = ServiceAccount
        fields = ["client_id", "name", "groups", "created_by", "created_at"]
        read_only_fields = ["client_id", "created_by", "created_at"]

    def validate_groups(self, groups: list[Group]) -> list[Group]:
        creator = self.context["request"].user
        for group in groups:
            if not service_accounts.may_give(creator, group):
                raise PermissionDenied(
                    f"The group {group.name} has permissions that you do not have, so you may not "
                    "give it to a service account. Ask somebody who has them."
                )
        return groups


class NewServiceAccountSerializer(ServiceAccountSerializer):
    client_secret = serializers.CharField(
        read_only=True, help_text="Shown this once: only its digest is stored."
    )

    class Meta(ServiceAccountSerializer.Meta):
        fields = [*ServiceAccountSerializer.Meta.fields, "client_secret"]

    def create(self, validated_data: dict[str, Any]) -> ServiceAccount:
        user = validated_data["user"]
        creator = self.context["request"].user
        try:
            with transaction.atomic():
                return service_accounts.create(user["username"], user["groups"], creator)
        except IntegrityError as error:
            raise ValidationError({"name": [NAME_IS_TAKEN]}) from error


class MayAddUsers(BasePermission):
    message = "You may not manage service accounts. Ask for the permission auth.add_user."

    def has_permission(self, request: Request, view: APIView) -> bool:
        return request.user.has_perm("auth.add_user")


@extend_schema_view(
    list=extend_schema(summary="List service accounts"),
    retrieve=extend_schema(summary="Look at a service account"),
    create=extend_schema(
        summary="Create a service account",
        request=ServiceAccountSerializer,
        responses={201: NewServiceAccountSerializer},
    ),
    destroy=extend_schema(summary="Revoke a service account"),
)
class ServiceAccountViewSet(
    ApiView,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.CreateModelMixin,
    mixins.DestroyModelMixin,
    GenericViewSet[ServiceAccount],
):
    """Accounts of programs, which get tokens by client ID and secret (`POST /sovd/token`)."""

    queryset = ServiceAccount.objects.select_related("user").prefetch_related("user__groups")
    serializer_class = ServiceAccountSerializer
    permission_classes = [IsAuthenticated, MayAddUsers]
    lookup_field = "client_id"
    orderings = [("-created_at", "-client_id")]

    def get_serializer_class(self) -> type[Any]:
        is_new = self.action == "create"
        return NewServiceAccountSerializer if is_new else super().get_serializer_class()

    @transaction.atomic
    def perform_create(self, serializer: Any) -> None:
        account = serializer.save()
        groups = sorted(group.name for group in account.user.groups.all())
        audit.record(
            self.request, Action.ADD_ACCOUNT, account.pk, name=str(account.user), groups=groups
        )

    @transaction.atomic
    def perform_destroy(self, account: ServiceAccount) -> None:
        """Revoke it: its tokens end at once."""
        pk = account.pk
        audit.record(self.request, Action.REVOKE_ACCOUNT, pk, name=str(account.user))
        service_accounts.revoke(account)
