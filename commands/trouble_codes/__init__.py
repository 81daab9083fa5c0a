"""The history of a vehicle's trouble codes, derived from the responses to its commands.

Trouble codes are facts of the vehicle: every user who may see the vehicle sees all of them. The
commands behind them are named only to users who may see those.
"""

from commands.trouble_codes.comparison import COMPARED, Comparison, of_command
from commands.trouble_codes.history import CHANGES, Change, Stored
from commands.trouble_codes.log import (
    codes_of_reads,
    codes_of_scans,
    evidence,
    is_stored,
    of_vehicle,
)

__all__ = [
    "CHANGES",
    "COMPARED",
    "Change",
    "Comparison",
    "Stored",
    "codes_of_reads",
    "codes_of_scans",
    "evidence",
    "is_stored",
    "of_command",
    "of_vehicle",
]
