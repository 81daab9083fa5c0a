"""The measurements, each a function that returns its figures by name.

The end of a name is the unit: `_ms`, `_us`, `_per_s`, `_kib`, `_mib`. CPU time is that of one unit
of work: a command, a request, a handshake, a delivery.
"""

from collections.abc import Callable, Coroutine

from dev.bench.measures import commands, streams, yardsticks
from dev.bench.measures.run import Figures, Run

MEASURES: dict[str, Callable[[Run], Coroutine[None, None, Figures]]] = {
    "plain": yardsticks.plain,
    "commands": commands.commands,
    "processes": commands.processes,
    "end-to-end": commands.end_to_end,
    "worker": commands.worker,
    "handshakes": streams.handshakes,
    "fan-out": streams.fan_out,
    "memory": streams.memory,
    "silent-clients": streams.silent_clients,
    "pages": commands.pages,
    "claim": commands.claim,
    "inserts": yardsticks.inserts,
    "publishes": yardsticks.publishes,
}
