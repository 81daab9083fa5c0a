"""Vehicles and their ECUs as the REST API reads and writes them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.validators import UniqueValidator

from vehicles import connector_settings
from vehicles import tags as tagging
from vehicles.connector_settings import InvalidSettings
from vehicles.connectors import CONNECTORS
from vehicles.descriptions.choice import wrong_descriptions
from vehicles.descriptions.models import MAX_NAME
from vehicles.ecus import number_of
from vehicles.models import (
    ConnectionStatus,
    Ecu,
    Vehicle,
    validate_ecu_address,
    validate_vin,
)
from vehicles.vin import normal_vin

MAX_ECUS = 500
MAX_UNKNOWN = 10  # fields that an error names
VIN_IS_TAKEN = "There is a vehicle with this VIN already."


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields that it does not know, or does not let a client write."""

    def to_internal_value(self, data: Any) -> Any:
        writable = {name for name, field in self.fields.items() if not field.read_only}
        unknown = sorted(set(data) - writable) if isinstance(data, dict) else []
        if unknown:
            message = f"Unknown field. Known: {', '.join(sorted(writable))}."
            raise ValidationError({name[:100]: [message] for name in unknown[:MAX_UNKNOWN]})
        return super().to_internal_value(data)


class StrictBooleanField(serializers.BooleanField):
    """Boolean field that takes neither texts nor numbers."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class StrictCharField(serializers.CharField):
    """Text field that takes no numbers."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class StrictIntegerField(serializers.IntegerField):
    """Integer field that takes neither texts nor fractions."""

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int:
            self.fail("invalid")
        return super().to_internal_value(data)


class VinField(StrictCharField):
    """VIN as people paste it: in any case, with blanks or dashes between groups."""

    def to_internal_value(self, data: Any) -> str:
        return normal_vin(super().to_internal_value(data))


class EcuSerializer(StrictSerializer, serializers.ModelSerializer[Ecu]):
    address = StrictCharField(validators=[validate_ecu_address])
    name = StrictCharField(max_length=100, required=False, allow_blank=True)
    logical_address = StrictCharField(
        required=False,
        allow_blank=True,
        validators=[validate_ecu_address],
        help_text="For DoIP; without one, the number of `address`.",
    )
    component = StrictCharField(
        max_length=100, required=False, allow_blank=True, help_text="For SOVD."
    )
    description = serializers.UUIDField(
        source="description_id",
        required=False,
        allow_null=True,
        help_text="A `description_id` of `GET /api/v1/descriptions/`.",
    )
    variant = StrictCharField(
        max_length=MAX_NAME,
        required=False,
        allow_blank=True,
        help_text="One of the description's `layers`; without one, the layer that was "
        "recognized (`matched_variants`), else the only or base layer.",
    )

    class Meta:
        model = Ecu
        fields = ["address", "name", "logical_address", "component", "description", "variant"]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "address" not in attrs:  # a PATCH of the vehicle lets its serializers require nothing
            raise ValidationError({"address": ["This field is required."]})
        return attrs


class TagsField(serializers.ListField):
    """A list of tags in any case."""

    child = StrictCharField()

    def __init__(self, **options: Any) -> None:
        limits = (
            f"At most {tagging.MAX_TAGS}, each of up to {tagging.MAX_CHARACTERS} letters, digits "
            "and . : / _ -; kept in lower case and sorted."
        )
        super().__init__(help_text=limits, **options)

    def to_internal_value(self, data: Any) -> list[str]:
        found = tagging.normal(super().to_internal_value(data))
        tagging.check(found)
        return found


@extend_schema_field({"type": "object", "additionalProperties": {}})
class JsonObject(serializers.JSONField):
    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise ValidationError("Must be a JSON object.")
        super().to_internal_value(data)
        return data


class ProofSerializer(serializers.Serializer[Any]):
    data_id = serializers.CharField()
    name = serializers.CharField()
    parameter = serializers.CharField(help_text="Short names that lead to the value.")
    value = serializers.CharField()


class MatchedVariantSerializer(serializers.Serializer[Any]):
    address = serializers.CharField(help_text="Of the ECU.")
    description = serializers.UUIDField()
    variant = serializers.CharField()
    matched_by = ProofSerializer(many=True)
    command_id = serializers.UUIDField(help_text="The command that has read the values.")
    matched_at = serializers.DateTimeField()


class VehicleSerializer(StrictSerializer, serializers.ModelSerializer[Vehicle]):
    vin = VinField(
        max_length=100,
        validators=[validate_vin, UniqueValidator(Vehicle.objects.all(), VIN_IS_TAKEN)],
    )
    connector = StrictCharField(required=False, help_text="A name of `GET /api/v1/connectors/`.")
    connector_settings = JsonObject(
        required=False,
        help_text="As the connector's `settings_schema` says. PATCH replaces all of it, but a "
        "secret that is left out stays; null removes it. Secrets are never returned.",
    )
    ecus = EcuSerializer(many=True, required=False)
    matched_variants = serializers.ListField(
        child=MatchedVariantSerializer(),
        read_only=True,
        help_text="Of ECUs without a `variant`: the one that a pattern of the description matched.",
    )
    connection_status = serializers.ChoiceField(
        ConnectionStatus.choices, source="effective_connection_status", read_only=True
    )
    probe_requested_at = serializers.DateTimeField(
        allow_null=True, read_only=True, help_text="Since when a test of the connection is due."
    )
    probe_found = serializers.DictField(
        allow_null=True,
        read_only=True,
        help_text="By the last test of the connection: the VIN, the gateway, the ECUs.",
    )
    metadata = JsonObject(required=False)
    tags = TagsField(required=False)

    class Meta:
        model = Vehicle
        fields = [
            "vehicle_id",
            "vin",
            "make",
            "model",
            "year",
            "connector",
            "connector_settings",
            "ecus",
            "matched_variants",
            "connection_status",
            "last_seen_at",
            "connection_problem",
            "probed_at",
            "probe_requested_at",
            "probe_found",
            "metadata",
            "tags",
            "created_at",
            "retired_at",
        ]
        read_only_fields = [
            "vehicle_id",
            "connection_problem",
            "probed_at",
            "created_at",
            "retired_at",
        ]

    def validate_connector(self, name: str) -> str:
        if name not in CONNECTORS:
            raise ValidationError(f"Unknown connector. Known: {', '.join(CONNECTORS)}.")
        return name

    def validate_ecus(self, ecus: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        if len(ecus) > MAX_ECUS:
            raise ValidationError(f"A vehicle has at most {MAX_ECUS} ECUs.")
        if repeated := dict(_repeated(ecus)):
            raise ValidationError(repeated)
        if wrong := dict(wrong_descriptions(ecus)):
            raise ValidationError(wrong)
        return ecus

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        known = self.instance or Vehicle()
        connector = attrs.get("connector", known.connector)
        is_changed = self.instance is None or connector != known.connector
        if is_changed or "connector_settings" in attrs:
            if connector not in CONNECTORS:  # the row's, which an earlier version had
                raise ValidationError({"connector": [f"There is no connector {connector}."]})
            given = attrs.get("connector_settings", known.connector_settings)
            secrets = {} if is_changed else known.connector_secrets
            try:
                checked = connector_settings.check(connector, given, secrets)
            except InvalidSettings as error:
                raise ValidationError({"connector_settings": error.errors}) from error
            attrs["connector_settings"], attrs["connector_secrets"] = checked
        return attrs


def _repeated(ecus: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, dict[str, list[str]]]]:
    """Yield the place of each ECU whose address another one has already."""
    first: dict[int, str] = {}
    for place, ecu in enumerate(ecus):
        number, address = number_of(ecu["address"]), ecu["address"]
        if number in first:
            message = f"{first[number]} is the same ECU: name each once."
            yield str(place), {"address": [message]}
        first.setdefault(number, address)


class ConnectorSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    description = serializers.CharField()
    settings_schema = serializers.DictField(help_text="The JSON Schema of `connector_settings`.")


class ConnectorsSerializer(serializers.Serializer[Any]):
    """One page, in the shape of every list."""

    next = serializers.URLField(allow_null=True, default=None)
    previous = serializers.URLField(allow_null=True, default=None)
    results = ConnectorSerializer(many=True)
