import pytest

from vehicles.connectors import data_ids, dtc, nrc
from vehicles.connectors.dtc import TroubleCode


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (0x042013, "P0420-13"),
        (0x042000, "P0420-00"),
        (0x403500, "C0035-00"),
        (0x923411, "B1234-11"),
        (0xC10000, "U0100-00"),
        (0xFFFFFF, "U3FFF-FF"),
    ],
)
def test_three_raw_bytes_and_a_trouble_code_are_the_same(raw: int, text: str) -> None:
    assert dtc.text_of(raw) == text
    assert dtc.raw_of(text) == raw
    assert dtc.raw_of(text.lower()) == raw


def test_a_code_without_failure_type_stands_for_all_of_its_base() -> None:
    code = TroubleCode(0x042013, 0x2F)

    assert code.matches("P0420")
    assert code.matches("P0420-13")
    assert not code.matches("P0420-00")
    assert not code.matches("P0421")


@pytest.mark.parametrize(
    ("status", "is_stored"),
    [(0x00, False), (0x50, False), (0x10, False), (0x40, False), (0x08, True), (0xFF, True)],
)
def test_codes_that_were_not_tested_since_a_clear_are_not_stored(
    status: int, is_stored: bool
) -> None:
    assert TroubleCode(0x042000, status).is_stored is is_stored


def test_a_trouble_code_response_has_its_bytes_and_its_status_in_words() -> None:
    assert TroubleCode(0x042013, 0x8C).response("0x10") == {
        "type": "dtc",
        "ecuAddress": "0x10",
        "dtcCode": "P0420-13",
        "dtcRaw": "042013",
        "description": "Catalyst system efficiency below threshold, bank 1",
        "failureType": "circuit open",
        "status": "0x8C",
        "statusBits": ["pendingDTC", "confirmedDTC", "warningIndicatorRequested"],
        "confirmed": True,
    }


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (0x10, "generalReject"),
        (0x13, "incorrectMessageLengthOrInvalidFormat"),
        (0x22, "conditionsNotCorrect"),
        (0x31, "requestOutOfRange"),
        (0x33, "securityAccessDenied"),
        (0x78, "requestCorrectlyReceived-ResponsePending"),
        (0x7E, "subFunctionNotSupportedInActiveSession"),
        (0x7F, "serviceNotSupportedInActiveSession"),
        (0x88, "vehicleSpeedTooHigh"),
        (0x01, "unknownResponseCode"),
    ],
)
def test_a_negative_response_has_the_name_of_the_standard(code: int, name: str) -> None:
    assert nrc.name_of(code) == name


@pytest.mark.parametrize("code", range(0x100))
def test_each_negative_response_is_explained_in_a_sentence_with_advice(code: int) -> None:
    sentence = nrc.explain(code, "ECU 0x10 refused ECUReset")

    assert sentence.startswith(f"NRC 0x{code:02X} ")
    assert sentence.endswith(".")
    assert len(sentence.split()) < 25


@pytest.mark.parametrize(
    ("data_id", "raw", "value", "unit"),
    [
        (0xF190, b"1M8GDM9AXKP042788", "1M8GDM9AXKP042788", ""),
        (0xF187, b"ABC\x00\x00", "ABC", ""),
        (0xF187, b"\x01\x02", "0102", ""),
        (0xF187, b"", "", ""),
        (0xF40C, b"\x0c\x80", 800, "rpm"),
        (0x010C, b"\x0c\x80", 800, "rpm"),
        (0xF405, b"\x7f", 87, "°C"),
        (0xF40C, b"\x0c", "0C", ""),
    ],
)
def test_the_bytes_of_an_identifier_become_text_or_a_measurement_or_stay_hexadecimal(
    data_id: int, raw: bytes, value: object, unit: str
) -> None:
    decoded = data_ids.decode(data_id, raw)

    assert (decoded["value"], decoded["unit"]) == (value, unit)
    assert decoded["raw"] == raw.hex().upper()
