"""The shape of a report in the API's description."""

from typing import Any

from rest_framework import serializers

from commands.api.exchanges import ExchangeSerializer


class ReportedCodeSerializer(serializers.Serializer[Any]):
    """A stored trouble code."""

    description = serializers.CharField()
    status = serializers.CharField()
    confirmed = serializers.BooleanField(allow_null=True)

    def get_fields(self) -> dict[str, Any]:
        return {
            "dtcCode": serializers.CharField(),
            "dtcRaw": serializers.CharField(help_text="Six hexadecimal digits, or empty."),
            "failureType": serializers.CharField(help_text="The failure type byte in words."),
            "statusBits": serializers.ListField(child=serializers.CharField()),
            **super().get_fields(),
        }


class ChangedCodeSerializer(ReportedCodeSerializer):
    before = ReportedCodeSerializer()


class ReportedCommandSerializer(serializers.Serializer[Any]):
    command_id = serializers.UUIDField()
    command_name = serializers.CharField()
    command_params = serializers.DictField()
    status = serializers.CharField()
    error_code = serializers.CharField()
    submitted_by = serializers.CharField()
    started_at = serializers.DateTimeField()
    completed_at = serializers.DateTimeField(allow_null=True)


class ReportedScanSerializer(ReportedCommandSerializer):
    ecu_count = serializers.IntegerField()
    reachable_count = serializers.IntegerField()
    dtc_count = serializers.IntegerField()
    responses_left_off = serializers.IntegerField(help_text="Too many or too long for a report.")


class ReportedVehicleSerializer(serializers.Serializer[Any]):
    vehicle_id = serializers.UUIDField()
    vin = serializers.CharField()
    make = serializers.CharField()
    model = serializers.CharField()
    year = serializers.IntegerField(allow_null=True)


class CodeCountsSerializer(serializers.Serializer[Any]):
    appeared = serializers.IntegerField()
    stayed = serializers.IntegerField()
    changed = serializers.IntegerField()
    went = serializers.IntegerField()


class ReportedExchangeSerializer(ExchangeSerializer):
    number = serializers.IntegerField()
    command_id = serializers.UUIDField()


class ScannedEcuSerializer(serializers.Serializer[Any]):
    """An ECU in one scan."""

    reachable = serializers.BooleanField()
    problem = serializers.CharField(help_text="Why it was not read; may be empty.")
    identification = serializers.DictField(child=serializers.CharField())
    dtcs = ReportedCodeSerializer(many=True)
    sequence_number = serializers.IntegerField(help_text="Of the event of the scan.")
    exchanges = serializers.ListField(
        child=serializers.IntegerField(), help_text="Numbers of `exchanges` of the report."
    )


class ReportedEcuSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    is_compared = serializers.BooleanField(
        help_text="false: it was not read in both scans, and no code is said to have changed."
    )
    before = ScannedEcuSerializer(allow_null=True)
    after = ScannedEcuSerializer(allow_null=True)
    appeared = ReportedCodeSerializer(many=True)
    stayed = ReportedCodeSerializer(many=True, help_text="With the same status byte.")
    changed = ChangedCodeSerializer(many=True)
    went = ReportedCodeSerializer(many=True, help_text="Stored in `before`, not in `after`.")

    def get_fields(self) -> dict[str, Any]:
        return {"ecuAddress": serializers.CharField(), **super().get_fields()}


class ReportSerializer(serializers.Serializer[Any]):
    vehicle = ReportedVehicleSerializer()
    before = ReportedScanSerializer(allow_null=True)
    after = ReportedScanSerializer()
    counts = CodeCountsSerializer()
    ecus = ReportedEcuSerializer(many=True)
    commands_between = ReportedCommandSerializer(
        many=True, help_text="Those that the vehicle began between the scans, if you may see them."
    )
    has_more_between = serializers.BooleanField()
    are_all_visible = serializers.BooleanField(
        help_text="false: you see your own commands only, and others may have run between."
    )
    exchanges = ReportedExchangeSerializer(many=True)
    exchanges_left_off = serializers.IntegerField()
