"""ECU addresses: two or four hexadecimal digits, in one spelling."""

from collections.abc import Iterable

# \Z, since $ lets a trailing newline pass.
ECU_ADDRESS_PATTERN = r"^0x([0-9A-Fa-f]{2}){1,2}\Z"


def upper(address: str) -> str:
    """Return an address with capital digits: 0x1a is stored as 0x1A."""
    return f"0x{address[2:].upper()}"


def number_of(address: str) -> int:
    """Return the number that tells ECUs apart: 0x10 and 0x0010 are one."""
    return int(address, 16)


def normal_address(address: str, known: Iterable[str] = ()) -> str:
    """Return the one spelling of an address: as in `known`, else upper case and short.

    0x0010 and 0x10 are the same ECU, and 0x1a is 0x1A.
    """
    number = int(address, 16)
    for other in known:
        if int(other, 16) == number:
            return f"0x{other[2:].upper()}"
    return f"0x{number:02X}" if number <= 0xFF else f"0x{number:04X}"
