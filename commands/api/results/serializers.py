"""The answers of a batch and of a read, as the API writes them."""

from typing import Any

from rest_framework import serializers

from commands import trouble_codes
from commands.models import ErrorCode

NOT_VISIBLE = "null: a command that you may not see"


class CodeCountSerializer(serializers.Serializer[Any]):
    dtc_code = serializers.CharField()
    description = serializers.CharField()
    vehicles = serializers.IntegerField()
    confirmed = serializers.IntegerField(help_text="Vehicles that report it as confirmed.")


class ExtremeSerializer(serializers.Serializer[Any]):
    value = serializers.FloatField()
    command_id = serializers.UUIDField()
    vin = serializers.CharField()


class BinSerializer(serializers.Serializer[Any]):
    start = serializers.FloatField()
    end = serializers.FloatField()
    vehicles = serializers.IntegerField()


class TextCountSerializer(serializers.Serializer[Any]):
    text = serializers.CharField()
    vehicles = serializers.IntegerField()


class ValueSerializer(serializers.Serializer[Any]):
    """One value: numbers have extremes, a median and a histogram, others are counted by text."""

    name = serializers.CharField()
    unit = serializers.CharField()
    vehicles = serializers.IntegerField()
    minimum = ExtremeSerializer(allow_null=True)
    median = serializers.FloatField(allow_null=True)
    maximum = ExtremeSerializer(allow_null=True)
    histogram = BinSerializer(many=True, help_text="Ten bins of equal width.")
    texts = TextCountSerializer(many=True, help_text="The most frequent ones, at most 20.")


class FailureCountSerializer(serializers.Serializer[Any]):
    error_code = serializers.ChoiceField(ErrorCode.choices)
    error_message = serializers.CharField(help_text="Of one of these commands.")
    vehicles = serializers.IntegerField()


class SummarySerializer(serializers.Serializer[Any]):
    vehicles = serializers.IntegerField(help_text="Vehicles whose command is completed.")
    trouble_codes = CodeCountSerializer(
        many=True, help_text="The most frequent ones, at most 50, of a ReadDTC or ScanVehicle."
    )
    values = ValueSerializer(many=True, help_text="Of a ReadDataByID.")
    failures = FailureCountSerializer(many=True, help_text="failed, timed out, expired")
    is_complete = serializers.BooleanField(
        help_text="false: there are more codes or responses than are counted here."
    )


class ComparedCodeSerializer(serializers.Serializer[Any]):
    ecu_address = serializers.CharField()
    dtc_code = serializers.CharField(source="code.dtc_code")
    description = serializers.CharField(source="code.description")
    failure_type = serializers.CharField(
        source="code.failure_type", help_text="The failure type byte in words; may be empty."
    )
    status = serializers.CharField(source="code.status")
    status_bits = serializers.ListField(source="code.status_bits", child=serializers.CharField())
    confirmed = serializers.BooleanField(source="code.confirmed", allow_null=True)
    change = serializers.ChoiceField(
        trouble_codes.COMPARED,
        allow_null=True,
        help_text="Since the last read of that ECU. null: there was none before.",
    )


class PreviousReadSerializer(serializers.Serializer[Any]):
    ecu_address = serializers.CharField()
    at = serializers.DateTimeField(source="read.at")
    command_id = serializers.UUIDField(
        source="read.command_id", allow_null=True, help_text=NOT_VISIBLE
    )
    submitted_by = serializers.CharField(
        source="read.submitted_by", allow_null=True, help_text=NOT_VISIBLE
    )


class ComparisonSerializer(serializers.Serializer[Any]):
    codes = ComparedCodeSerializer(many=True)
    previous = PreviousReadSerializer(many=True, help_text="The reads that are compared with.")
    is_complete = serializers.BooleanField(
        help_text="false: there are more responses than the last 250, or some were not understood."
    )
