"""The life of a command: one function per move, and nothing else writes `status`.

             submit            claim               complete
  (POST) ──▶ pending ────────▶ in_progress ───────▶ completed
             │ │   ▲           │ ▲   │  │
             │ │   └─ release ─┤ │   │  ├─────────▶ failed       (fail; release, if it is not safe
             │ │               └─┘   │  │                         to repeat, or never ends well)
             │ │           take_over │  │
             │ └─ cancel ─▶ cancelled ◀─┤           (cancel_running)
             └─ expire ─▶ expired       └─────────▶ timed_out    (time_out)

A move is one guarded UPDATE: the row must still match the `Command` in hand (status, claim token,
sent or not, last sequence number). The events of the move are written in the same transaction, and
published after the commit. So a worker that lost its claim can write nothing, and the second of
two writers that end a command gets an error.

A command that is not safe to repeat and was sent is never sent again. If its worker is lost,
another worker takes it over and reads back whether it was carried out, if the connector can.
"""

from commands.lifecycle.claims import claim, held, renew, take_over
from commands.lifecycle.insertion import VehicleRetired
from commands.lifecycle.locking import (
    LockHeld,
    LockLost,
    end_without_lock,
    hold_vehicle,
    locks_of,
    lose_lock,
    reconsider,
)
from commands.lifecycle.moves import (
    cancel,
    cancel_many,
    cancel_running,
    complete,
    expire_overdue,
    fail,
    mark_sent,
    respond,
    time_out,
    withdraw,
)
from commands.lifecycle.readiness import mark_all_ready, mark_ready
from commands.lifecycle.releases import release, release_lapsed, sweep
from commands.lifecycle.submission import TooManyPending, submit, submit_many
from commands.lifecycle.worker_moves import ClaimedMove, Step, write_group
from commands.lifecycle.writing import AlreadyEnded, LostClaim, keep_exchanges, write_once

__all__ = [
    "AlreadyEnded",
    "ClaimedMove",
    "LockHeld",
    "LockLost",
    "LostClaim",
    "Step",
    "TooManyPending",
    "VehicleRetired",
    "cancel",
    "cancel_many",
    "cancel_running",
    "claim",
    "complete",
    "end_without_lock",
    "expire_overdue",
    "fail",
    "held",
    "hold_vehicle",
    "keep_exchanges",
    "locks_of",
    "lose_lock",
    "mark_all_ready",
    "mark_ready",
    "mark_sent",
    "reconsider",
    "release",
    "release_lapsed",
    "renew",
    "respond",
    "submit",
    "submit_many",
    "sweep",
    "take_over",
    "time_out",
    "withdraw",
    "write_group",
    "write_once",
]
