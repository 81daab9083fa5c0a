"""Vehicle identification numbers (ISO 3779)."""

import re
import unicodedata

# \Z, since $ lets a trailing newline pass.
VIN_PATTERN = r"^[A-HJ-NPR-Z0-9]{17}\Z"

# A character counts as the last digit of its place in this row: A is at 11, J at 21, S at 32.
_VALUES = "0123456789.ABCDEFGH..JKLMN.P.R..STUVWXYZ"
_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
_CHECK_DIGITS = "0123456789X"


def normal_vin(text: str) -> str:
    """Return the VIN that somebody pasted: in capitals, without blanks and dashes between groups.

    Full-width characters become plain ones, and invisible ones are left out.
    """
    plain = unicodedata.normalize("NFKC", text)
    kept = "".join(character for character in plain if not _separates(character))
    return kept.upper() if kept.isascii() else kept


def _separates(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) in ("Cf", "Pd")


def check_digit_matches(vin: str) -> bool:
    """Return whether position 9 is the check digit. Only North America demands it."""
    return re.match(VIN_PATTERN, vin) is not None and vin[8] == _check_digit(vin)


def _check_digit(vin: str) -> str:
    values = (_VALUES.index(character) % 10 for character in vin)
    total = sum(value * weight for value, weight in zip(values, _WEIGHTS, strict=True))
    return _CHECK_DIGITS[total % 11]
