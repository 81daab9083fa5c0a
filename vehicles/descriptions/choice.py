"""Descriptions that ECUs name, with the variants in them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from vehicles.descriptions.meaning import default_layer
from vehicles.descriptions.models import Description, Layer, State

Problem = tuple[str, dict[str, list[str]]]


def wrong_descriptions(ecus: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    """Yield the place of each ECU whose description or variant cannot be used, and why."""
    layers = _layers({ecu["description_id"] for ecu in ecus if ecu.get("description_id")})
    for place, ecu in enumerate(ecus):
        description_id = ecu.get("description_id")
        known = layers.get(description_id) if description_id else None
        problem = problem_of(known, ecu.get("variant", "")) if description_id else None
        if problem:
            yield str(place), {problem[0]: [problem[1]]}


def _layers(description_ids: set[UUID]) -> dict[UUID, list[Layer]]:
    """Return the layers of these descriptions that are ready."""
    rows = Description.objects.filter(pk__in=description_ids, state=State.READY)
    return {row.pk: list(row.layer_rows.all()) for row in rows.prefetch_related("layer_rows")}


def problem_of(layers: Sequence[Layer] | None, variant: str) -> tuple[str, str] | None:
    """Return the field that is wrong with a message, or None."""
    if layers is None:
        return "description", "There is no such description that is ready."
    names = [layer.name for layer in layers]
    has_patterns = any(layer.patterns for layer in layers)
    if variant == "" and not has_patterns and default_layer(layers) is None:
        return "variant", f"Name one, since the description has several: {_listed(names)}."
    if variant and variant not in names:
        return "variant", f"The description has no such layer. Known: {_listed(names)}."
    return None


def _listed(names: list[str]) -> str:
    return ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
