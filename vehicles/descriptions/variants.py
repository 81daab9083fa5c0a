"""The variant of an ECU, recognized by the patterns of its description.

Nothing is asked for this: a pattern is applied when the identifiers that it names have been read
for another reason. A variant that somebody chose is never replaced.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypedDict
from uuid import UUID

from django.utils import timezone

from vehicles.descriptions import meaning, values
from vehicles.descriptions.models import Layer
from vehicles.models import Ecu

MAX_KEPT = 100  # descriptions in memory
MAX_VALUE = 200
TOLERANCE = 1e-8  # of numbers that are not whole

Condition = Mapping[str, Any]
Candidates = Sequence[tuple[str, Sequence[Sequence[Condition]]]]


class Proof(TypedDict):
    """A value that a pattern expects and an ECU has."""

    dataId: str
    name: str
    parameter: str
    value: str


@dataclass(frozen=True)
class Match:
    """A variant, and the values by which it was recognized."""

    variant: str
    proofs: list[Proof]


def attach(ecus: Iterable[Ecu]) -> None:
    """Give each ECU its meaning, and the patterns of its description unless its variant is set."""
    ecus = list(ecus)
    meaning.attach(ecus)
    for ecu in ecus:
        if ecu.description_id and not ecu.variant:
            ecu.candidates = _candidates(ecu.description_id)


@lru_cache(MAX_KEPT)
def _candidates(description_id: UUID) -> Candidates:
    layers = Layer.objects.filter(description_id=description_id).exclude(patterns=[])
    return tuple(layers.order_by("pk").values_list("name", "patterns"))


def recognize(ecu: Ecu, response: Mapping[str, Any]) -> Match | None:
    """Return the first variant of which a pattern matches the identifiers in a response."""
    known = _read(response) if ecu.candidates else {}
    for name, patterns in ecu.candidates if known else ():
        for pattern in patterns:
            proofs = [_proof(condition, known) for condition in pattern]
            if proofs and None not in proofs:
                return Match(name, [proof for proof in proofs if proof])
    return None


def is_contradicted(ecu: Ecu, response: Mapping[str, Any]) -> bool:
    """Return whether a response has what the variant was recognized by, and it is another now."""
    known, match = _read(response), ecu.matched_variant
    return bool(match) and all(
        int(proof["data_id"], 16) in known for proof in (match or {})["matched_by"]
    )


def keep(ecu: Ecu, match: Match | None, command_id: UUID) -> None:
    """Store the variant of an ECU, unless somebody has chosen one, and read by it from now on."""
    stored = _stored(ecu, match, command_id) if match else None
    rows = Ecu.objects.filter(pk=ecu.pk, description=ecu.description_id, variant="")
    if rows.update(match=stored):
        ecu.match = stored
        meaning.attach([ecu])


def _stored(ecu: Ecu, match: Match, command_id: UUID) -> dict[str, Any]:
    proofs = [
        {
            "data_id": proof["dataId"],
            "name": proof["name"],
            "parameter": proof["parameter"],
            "value": proof["value"],
        }
        for proof in match.proofs
    ]
    return {
        "description": str(ecu.description_id),
        "variant": match.variant,
        "matched_by": proofs,
        "command_id": str(command_id),
        "matched_at": timezone.now().isoformat(),
    }


def _read(response: Mapping[str, Any]) -> dict[int, bytes]:
    """Return the identifiers that a response has as bytes."""
    if response.get("type") == "data":
        pairs: Any = [(response.get("dataId"), response.get("raw"))]
    elif response.get("type") == "ecu" and isinstance(response.get("identificationRaw"), dict):
        pairs = response["identificationRaw"].items()
    else:
        return {}
    found = {}
    for data_id, raw in pairs:
        try:
            found[int(data_id, 16)] = bytes.fromhex(raw)
        except (TypeError, ValueError):
            continue
    return found


def _proof(condition: Condition, known: Mapping[int, bytes]) -> Proof | None:
    raw = known.get(condition["data_id"])
    try:
        value = None if raw is None else values.one(condition["fields"], raw, condition["path"])
    except (ValueError, ArithmeticError, KeyError, TypeError):
        return None
    if value is None or not _is_expected(value, condition["expected"]):
        return None
    return {
        "dataId": f"0x{condition['data_id']:04X}",
        "name": condition["name"],
        "parameter": ".".join(condition["path"]),
        "value": str(value)[:MAX_VALUE],
    }


def _is_expected(value: Any, expected: str) -> bool:
    if isinstance(value, float):
        return abs(value - float(expected)) < TOLERANCE
    return str(value) == expected
