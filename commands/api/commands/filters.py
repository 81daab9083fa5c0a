from typing import Any
from uuid import UUID

import django_filters
from django.contrib.auth.models import User

from commands.api.pagination import check_instant
from commands.models import CampaignVehicle, CommandQuerySet, ErrorCode, Status
from commands.search import matching
from vehicles.search import check_words


class StatusField(django_filters.fields.MultipleChoiceField):
    """Field that ignores an empty value, as the other filters do."""

    def to_python(self, value: Any) -> list[str]:
        return [text for text in super().to_python(value) if text]


class StatusFilter(django_filters.MultipleChoiceFilter):
    field_class = StatusField


class CommandFilter(django_filters.FilterSet):
    vehicle_id = django_filters.UUIDFilter()
    batch_id = django_filters.UUIDFilter()
    campaign_id = django_filters.UUIDFilter()
    failed_of_campaign = django_filters.UUIDFilter(
        method="filter_failed", label="The last tries that failed, timed out or expired"
    )
    status = StatusFilter(choices=Status.choices, method="filter_status")
    error_code = django_filters.ChoiceFilter(
        choices=ErrorCode.choices, label="The reason for which a command did not complete"
    )
    search = django_filters.CharFilter(
        method="filter_search",
        max_length=100,
        validators=[check_words],
        label="Words in the vehicle's VIN, make, model, tags or year, or the beginning of an ID",
    )
    command_name = django_filters.CharFilter(max_length=64)
    submitted_by = django_filters.CharFilter(method="filter_submitted_by", max_length=150)
    submitted_after = django_filters.IsoDateTimeFilter(
        field_name="submitted_at", lookup_expr="gt", validators=[check_instant]
    )
    submitted_before = django_filters.IsoDateTimeFilter(
        field_name="submitted_at", lookup_expr="lt", validators=[check_instant]
    )

    def filter_status(
        self, commands: CommandQuerySet, name: str, values: list[str]
    ) -> CommandQuerySet:
        return commands.filter(status__in=values) if values else commands

    def filter_failed(self, commands: CommandQuerySet, name: str, value: UUID) -> CommandQuerySet:
        return commands.filter(pk__in=CampaignVehicle.failed_of(value).values("command"))

    def filter_submitted_by(
        self, commands: CommandQuerySet, name: str, value: str
    ) -> CommandQuerySet:
        """Look the user up first: an index then has their commands, or it is known to have none."""
        user = User.objects.filter(username=value).first()
        return commands.of(user.pk) if user else commands.none()

    def filter_search(self, commands: CommandQuerySet, name: str, value: str) -> CommandQuerySet:
        return commands.filter(matching(value))
