"""A report as JSON."""

from typing import Any
from uuid import UUID

from commands.events import iso
from commands.models import Command
from commands.reports.comparison import Compared
from commands.reports.report import Report
from commands.reports.scans import Code, Scan, ScannedEcu

Body = dict[str, Any]
Numbers = dict[tuple[UUID, int | None], list[int]]


def as_json(report: Report) -> Body:
    numbers = report.evidence.numbers
    return {
        "vehicle": {
            "vehicle_id": report.vehicle.pk,
            **{name: getattr(report.vehicle, name) for name in ("vin", "make", "model", "year")},
        },
        "before": _scan(report.before) if report.before else None,
        "after": _scan(report.after),
        "counts": {name: _count(report, name) for name in CHANGES},
        "ecus": [_compared(report, ecu, numbers) for ecu in report.ecus],
        "commands_between": [_command(command) for command in report.between],
        "has_more_between": report.has_more_between,
        "are_all_visible": report.sees_all,
        "exchanges": report.evidence.exchanges,
        "exchanges_left_off": sum(report.evidence.left_off.values()),
    }


CHANGES = ("appeared", "stayed", "changed", "went")


def _count(report: Report, change: str) -> int:
    return sum(len(getattr(ecu, change)) for ecu in report.ecus)


def _scan(scan: Scan) -> Body:
    return _command(scan.command) | {
        "ecu_count": len(scan.ecus),
        "reachable_count": scan.reached_count,
        "dtc_count": scan.code_count,
        "responses_left_off": scan.left_off,
    }


def _command(command: Command) -> Body:
    return {
        "command_id": command.pk,
        "command_name": command.command_name,
        "command_params": command.command_params,
        "status": command.status,
        "error_code": command.error_code,
        "submitted_by": command.submitted_by.get_username(),
        "started_at": command.started_at and iso(command.started_at),
        "completed_at": command.completed_at and iso(command.completed_at),
    }


def _compared(report: Report, ecu: Compared, numbers: Numbers) -> Body:
    return {
        "ecuAddress": ecu.last.address,
        "name": ecu.last.name,
        "is_compared": ecu.is_compared,
        "before": ecu.before and report.before and _ecu(report.before, ecu.before, numbers),
        "after": ecu.after and _ecu(report.after, ecu.after, numbers),
        "appeared": [_code(code) for code in ecu.appeared],
        "stayed": [_code(code) for code in ecu.stayed],
        "changed": [_code(after) | {"before": _code(before)} for before, after in ecu.changed],
        "went": [_code(code) for code in ecu.went],
    }


def _ecu(scan: Scan, ecu: ScannedEcu, numbers: Numbers) -> Body:
    return {
        "reachable": ecu.is_reached,
        "problem": ecu.problem,
        "identification": ecu.identification,
        "dtcs": [_code(code) for _, code in sorted(ecu.codes.items())],
        "sequence_number": ecu.sequence_number,
        "exchanges": numbers[scan.command.pk, ecu.sequence_number],
    }


def _code(code: Code) -> Body:
    return {
        "dtcCode": code.dtc_code,
        "dtcRaw": code.dtc_raw,
        "description": code.description,
        "failureType": code.failure_type,
        "status": code.status,
        "statusBits": code.status_bits,
        "confirmed": code.confirmed,
    }
