"""How the bytes of a positive response are read, as plain data for `vehicles.descriptions.values`.

A field that cannot be read is left out by its name, and its bytes are skipped. If their number is
not fixed, the fields after it are left out too, unless their position is given.
"""

import json
from typing import Any

from odxtools.compumethods.compucategory import CompuCategory
from odxtools.compumethods.limit import Limit
from odxtools.dataobjectproperty import DataObjectProperty
from odxtools.diagcodedtype import DiagCodedType
from odxtools.diagservice import DiagService
from odxtools.encoding import get_string_encoding
from odxtools.leadinglengthinfotype import LeadingLengthInfoType
from odxtools.minmaxlengthtype import MinMaxLengthType
from odxtools.odxtypes import DataType
from odxtools.parameters.parameter import Parameter
from odxtools.parameters.valueparameter import ValueParameter
from odxtools.standardlengthtype import StandardLengthType
from odxtools.structure import Structure

from vehicles.descriptions.odx.refusal import LeftOut, clean

HEAD = 3  # bytes of a response before its data: service and identifier
MAX_DEPTH = 5  # of structures
MAX_FIELDS = 1_000
INTEGERS = {DataType.A_UINT32: "uint", DataType.A_INT32: "int"}
FLOATS = (DataType.A_FLOAT32, DataType.A_FLOAT64)
TEXTS = (DataType.A_ASCIISTRING, DataType.A_UTF8STRING, DataType.A_UNICODE2STRING)
ENDS = {"ZERO": "00", "HEX-FF": "FF", "END-OF-PDU": ""}


class NotRead(Exception):
    """A field whose bytes are not read; the message says why."""


def coding_of(service: DiagService, left_out: LeftOut) -> dict[str, Any]:
    """Return how the data of a service's first positive response is read."""
    response = service.positive_responses[0]
    builder = _Builder(service.short_name, left_out)
    fields = [
        {**field, "at": field["at"] - HEAD} if field["at"] is not None else field
        for field in builder.fields_of(response.parameters, 0)
        if field["at"] is None or field["at"] >= HEAD
    ]
    bits = response.get_static_bit_length()
    length = None if bits is None else max(0, bits // 8 - HEAD)
    coding = {"length": length, "fields": _without_wrapper(fields)}
    json.dumps(coding, allow_nan=False)  # a scaling by NaN cannot be stored
    return coding


def _without_wrapper(fields: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the fields of a structure that is all there is."""
    shown = [field for field in fields if field["kind"] != "skip"]
    if len(shown) == 1 and shown[0]["kind"] == "group" and shown[0]["at"] is not None:
        origin = shown[0]["at"]
        return [
            {**field, "at": None if field["at"] is None else field["at"] + origin}
            for field in shown[0]["fields"]
        ]
    return fields


class _Builder:
    """Builds the fields of one service, and reports those that are left out."""

    def __init__(self, name: str, left_out: LeftOut) -> None:
        self._name = name
        self._left_out = left_out
        self._count = 0

    def fields_of(self, parameters: Any, depth: int) -> list[dict[str, Any]]:
        """Return a field for each parameter, at its place where that is known beforehand."""
        cursor: int | None = 0
        fields = []
        for parameter in parameters:
            at = parameter.byte_position if parameter.byte_position is not None else cursor
            field = self._field(parameter, depth)
            fields.append(field | {"at": at, "bit": parameter.bit_position or 0})
            bits = parameter.get_static_bit_length()
            is_fixed = at is not None and bits is not None
            cursor = at + ((parameter.bit_position or 0) + bits + 7) // 8 if is_fixed else None
        return fields

    def _field(self, parameter: Parameter, depth: int) -> dict[str, Any]:
        try:
            return self._read(parameter, depth)
        except NotRead as reason:
            self._left_out.add(f"{self._name}.{parameter.short_name}", reason)
            return {"kind": "skip", "bits": parameter.get_static_bit_length()}

    def _read(self, parameter: Parameter, depth: int) -> dict[str, Any]:
        self._count += 1
        if self._count > MAX_FIELDS or depth > MAX_DEPTH:
            raise NotRead("It has too many fields, or they are nested too deep.")
        if not isinstance(parameter, ValueParameter):
            return {"kind": "skip", "bits": _bits_of_constant(parameter)}
        dop, name = parameter.dop, clean(parameter.short_name)
        if isinstance(dop, Structure):
            fields = self.fields_of(dop.parameters, depth + 1)
            return {"kind": "group", "name": name, "fields": fields, "size": dop.byte_size}
        if not isinstance(dop, DataObjectProperty):
            raise NotRead(f"Values of the kind {type(dop).__name__} are not read.")
        bits = parameter.get_static_bit_length() or 0
        is_number = dop.diag_coded_type.base_data_type in (*INTEGERS, *FLOATS)
        if not is_number and (parameter.bit_position or bits % 8):
            raise NotRead("Texts that are not whole bytes are not read.")
        unit = clean(dop.unit.display_name, 50) if dop.unit else ""
        return {"name": name, "unit": unit, **_layout(dop.diag_coded_type), **_scale(dop)}


def _bits_of_constant(parameter: Parameter) -> int:
    bits = parameter.get_static_bit_length()
    if bits is None:
        raise NotRead(f"Parameters of the kind {parameter.parameter_type} are not read.")
    return bits


# --- From bytes to the internal value


def _layout(coded: DiagCodedType) -> dict[str, Any]:
    """Return which bits are meant, and of what type they are."""
    layout = {"little": not coded.is_highlow_byte_order} | _length(coded)
    kind = coded.base_data_type
    if kind in TEXTS:
        encoding = get_string_encoding(kind, coded.base_type_encoding, coded.is_highlow_byte_order)
        return layout | {"kind": "text", "encoding": encoding}
    if kind == DataType.A_BYTEFIELD:
        return layout | {"kind": "bytes"}
    if kind in FLOATS:
        return layout | {"kind": "float"}
    encoding = coded.base_type_encoding.value if coded.base_type_encoding else ""
    return layout | {"kind": INTEGERS[kind], "encoding": encoding}


def _length(coded: DiagCodedType) -> dict[str, Any]:
    if isinstance(coded, StandardLengthType):
        if coded.is_condensed and coded.bit_mask is not None:
            raise NotRead("Condensed bit masks are not read.")
        mask = {} if coded.bit_mask is None else {"mask": coded.bit_mask}
        return {"bits": coded.bit_length} | mask
    if isinstance(coded, MinMaxLengthType):
        end = ENDS[coded.termination.value] * (
            2 if coded.base_data_type == DataType.A_UNICODE2STRING else 1
        )
        return {"min": coded.min_length, "max": coded.max_length, "end": end}
    if isinstance(coded, LeadingLengthInfoType):
        return {"leading": coded.bit_length}
    raise NotRead(f"Lengths of the kind {coded.dct_type} are not read.")


# --- From the internal to the physical value


def _scale(dop: DataObjectProperty) -> dict[str, Any]:
    method = dop.compu_method
    if method.category == CompuCategory.IDENTICAL:
        return {}
    if method.category not in SCALES or method.internal_type not in (*INTEGERS, *FLOATS):
        raise NotRead(f"Scalings of the kind {method.category.value} are not read.")
    found = method.compu_internal_to_phys
    default = found.compu_default_value.value if found and found.compu_default_value else None
    scale = SCALES[method.category](method)
    return scale if default is None else scale | {"default": default}


def _linear(method: Any) -> dict[str, Any]:
    segments = method.segments if hasattr(method, "segments") else [method.segment]
    rows = [
        [
            *_range(segment.internal_lower_limit, segment.internal_upper_limit),
            segment.offset,
            segment.factor,
            segment.denominator,
        ]
        for segment in segments
    ]
    return {"linear": rows, "round": method.physical_type in INTEGERS}


def _texts(method: Any) -> dict[str, Any]:
    scales = method.compu_internal_to_phys.compu_scales
    rows = []
    for scale in scales:
        low, high = scale.lower_limit, scale.upper_limit
        text = scale.compu_const.value if scale.compu_const else ""
        rows.append([*_range(low or high, high or low), clean(str(text or ""))])
    return {"texts": rows}


def _range(low: Limit | None, high: Limit | None) -> list[Any]:
    return [_bound(low), _bound(high)]


def _bound(limit: Limit | None) -> list[Any] | None:
    """Return a value and whether it is itself inside; None for no bound."""
    kind = limit.interval_type.value if limit and limit.interval_type else "CLOSED"
    if limit is None or limit.value is None or kind == "INFINITE":
        return None
    return [limit.value, kind == "CLOSED"]


SCALES = {
    CompuCategory.LINEAR: _linear,
    CompuCategory.SCALE_LINEAR: _linear,
    CompuCategory.TEXTTABLE: _texts,
}
