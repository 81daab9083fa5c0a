"""The errors of a database that is away, busy, full or read-only, and what each one means.

https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

import sqlite3
from typing import NamedTuple

AWAY = "The database does not answer"
BUSY = "The database is busy"
SLOW = "The database took too long to answer"
FULL = "The disk of the database is full"
READ_ONLY = "The database takes no writes"


class Meaning(NamedTuple):
    reason: str
    is_undone: bool  # nothing of the transaction was written


MEANINGS: dict[str | int, Meaning] = {
    # Connections: a new one that was refused has carried no statement yet.
    "08001": Meaning(AWAY, True),  # cannot connect
    "08004": Meaning(AWAY, True),  # server rejected the connection
    "53300": Meaning(BUSY, True),  # too many connections, also of our own pool
    "57P03": Meaning(AWAY, True),  # cannot connect now: starting up or shutting down
    # Transactions that the server has rolled back.
    "25006": Meaning(READ_ONLY, True),  # read-only transaction: a standby, or a full disk
    "25P03": Meaning(BUSY, True),  # idle in transaction for too long
    "25P04": Meaning(BUSY, True),  # transaction took too long
    "40001": Meaning(BUSY, True),  # serialization failure
    "40P01": Meaning(BUSY, True),  # deadlock
    "53100": Meaning(FULL, True),  # disk full
    "55P03": Meaning(BUSY, True),  # lock not available in time
    "57P05": Meaning(BUSY, True),  # session was idle for too long
    # Statements that were stopped; a read may follow the COMMIT of a write.
    "53200": Meaning(BUSY, False),  # out of memory
    "57014": Meaning(SLOW, False),  # cancelled, or ran for STATEMENT_SECONDS
    # SQLite's own numbers, without their extensions.
    sqlite3.SQLITE_BUSY: Meaning(BUSY, True),
    sqlite3.SQLITE_LOCKED: Meaning(BUSY, True),
    sqlite3.SQLITE_CANTOPEN: Meaning(AWAY, True),
    sqlite3.SQLITE_FULL: Meaning(FULL, True),
    sqlite3.SQLITE_READONLY: Meaning(READ_ONLY, True),
}
# All others, such as 08006, 08007, 40003, 57P01, 57P02, 58030 and none at all: the connection was
# lost, perhaps after the COMMIT had arrived.
LOST = Meaning(AWAY, False)


def meaning_of(error: BaseException) -> Meaning:
    """Return the meaning of one of Django's database errors, whose cause is the driver's."""
    cause = error.__cause__
    if isinstance(cause, sqlite3.Error):
        return MEANINGS.get(getattr(cause, "sqlite_errorcode", 0) & 0xFF, LOST)
    return MEANINGS.get(getattr(cause, "sqlstate", None) or "", LOST)
