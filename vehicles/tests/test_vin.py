import re

import pytest

from vehicles.vin import VIN_PATTERN, check_digit_matches


@pytest.mark.parametrize(
    "vin",
    [
        "1M8GDM9AXKP042788",  # remainder 10 is written X
        "1HGBH41JXMN109186",
        "1J9RP1A36A1644345",
        "11111111111111111",
    ],
)
def test_a_matching_check_digit(vin: str) -> None:
    assert check_digit_matches(vin)


@pytest.mark.parametrize(
    "vin",
    [
        "5YJSA1E14HF123456",  # expects 6
        "WBADT43452G123456",  # expects 1
        "1M8GDM9A1KP042788",
    ],
)
def test_a_wrong_check_digit(vin: str) -> None:
    assert not check_digit_matches(vin)


@pytest.mark.parametrize("vin", ["", "1" * 16, "1" * 18, "1" * 17 + "\n", "1m8gdm9axkp042788"])
def test_what_is_no_vin_has_no_matching_check_digit(vin: str) -> None:
    assert not check_digit_matches(vin)


@pytest.mark.parametrize("letter", "ABCDEFGHJKLMNPRSTUVWXYZ")
def test_every_letter_but_i_o_q_may_stand_in_a_vin(letter: str) -> None:
    assert re.match(VIN_PATTERN, letter * 17)


@pytest.mark.parametrize("character", "IOQiaz -Ä")
def test_what_may_not_stand_in_a_vin(character: str) -> None:
    assert not re.match(VIN_PATTERN, character * 17)


@pytest.mark.parametrize(
    ("letters", "value"),
    [
        ("AJ", 1),
        ("BKS", 2),
        ("CLT", 3),
        ("DMU", 4),
        ("ENV", 5),
        ("FW", 6),
        ("GPX", 7),
        ("HY", 8),
        ("RZ", 9),
    ],
)
def test_a_letter_counts_as_its_digit(letters: str, value: int) -> None:
    """The last position has weight 2: an all-zero VIN with one letter there shows its value."""
    remainder = value * 2 % 11
    check_digit = "X" if remainder == 10 else str(remainder)
    for letter in letters:
        assert check_digit_matches(f"00000000{check_digit}0000000{letter}")
