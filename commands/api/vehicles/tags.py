"""Tags of many vehicles at once."""

from collections import Counter
from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db.models import Count
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from commands import audit
from commands.api.vehicle_choice import VehicleChoiceSerializer, check_set
from commands.models import Action, AuditEntry
from vehicles import tags as tagging
from vehicles.models import Vehicle
from vehicles.serializers import StrictCharField, TagsField


class TagCountSerializer(serializers.Serializer[Any]):
    tag = serializers.CharField()
    vehicle_count = serializers.IntegerField(help_text="Vehicles in use that have it.")


class TagCountsSerializer(serializers.Serializer[Any]):
    """One page, in the shape of every list."""

    next = serializers.URLField(allow_null=True, default=None)
    previous = serializers.URLField(allow_null=True, default=None)
    results = TagCountSerializer(many=True)


def in_use() -> list[dict[str, Any]]:
    """Return each tag with the number of vehicles in use that have it, the most frequent first."""
    tagged = Vehicle.objects.in_use().exclude(tags="").order_by()
    counts: Counter[str] = Counter()
    for tags, number in tagged.values_list("tags").annotate(number=Count("*")):
        counts.update(dict.fromkeys(tags, number))
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [{"tag": tag, "vehicle_count": number} for tag, number in ordered]


class TagsSerializer(VehicleChoiceSerializer):
    """Vehicles, and the tags that they get or lose."""

    add = TagsField(default=list, write_only=True)
    remove = TagsField(default=list, write_only=True)
    vehicle_set = StrictCharField(
        max_length=64,
        required=False,
        write_only=True,
        help_text="The digest of the vehicles, from `preview/`: if others are chosen now, "
        "nothing is changed.",
    )
    vehicle_count = serializers.SerializerMethodField()
    changed_count = serializers.IntegerField(
        read_only=True, help_text="The others had these tags, or did not have them, already."
    )

    def get_vehicle_count(self, done: dict[str, Any]) -> int:
        return len(done["vehicles"])

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs["add"] and not attrs["remove"]:
            raise ValidationError({"add": "Name tags to add, or tags to `remove`."})
        if both := set(attrs["add"]) & set(attrs["remove"]):
            raise ValidationError({"remove": f"{min(both)} is in `add` too."})
        attrs = super().validate(attrs)
        check_set(attrs)
        return attrs

    def create(self, validated_data: dict[str, Any]) -> dict[str, Any]:
        """Change the vehicles that differ; the caller has begun a transaction."""
        chosen = [vehicle.pk for vehicle in validated_data["vehicles"]]
        locked = Vehicle.objects.filter(pk__in=chosen).order_by("pk").select_for_update()
        changed = [vehicle for vehicle in locked if _retag(vehicle, validated_data)]
        Vehicle.objects.bulk_update(changed, ["tags"])
        self._record(changed)
        return validated_data | {"changed_count": len(changed)}

    def _record(self, changed: list[Vehicle]) -> None:
        request = self.context["request"]
        AuditEntry.objects.bulk_create(
            audit.entry(
                request, Action.CHANGE_VEHICLE, vehicle.pk, vin=vehicle.vin, fields=["tags"]
            )
            for vehicle in changed
        )


def _retag(vehicle: Vehicle, wants: dict[str, Any]) -> bool:
    """Give a vehicle its new tags; return whether they differ. Raise ValidationError."""
    before = vehicle.tags
    vehicle.tags = tagging.normal({*before, *wants["add"]} - {*wants["remove"]})
    try:
        tagging.check(vehicle.tags)
    except DjangoValidationError as error:
        raise ValidationError({"add": f"{vehicle.vin}: {error.messages[0]}"}) from error
    return bool(before != vehicle.tags)
