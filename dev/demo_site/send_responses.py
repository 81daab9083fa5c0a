"""Send responses to a pending command, one after the other, as fast as they are stored.

python -m dev.with_django dev.demo_site.send_responses COMMAND_ID COUNT HELD_AFTER

The command is for an offline vehicle, so that no worker claims it. After HELD_AFTER responses it
waits for SIGUSR1, which may have come before; if this is COUNT, it does not wait.
"""

import signal
import sys
from collections.abc import Iterator
from typing import Any

from commands.lifecycle import claim_statements
from commands.models import Command
from dev.demo_site.seed import complete_with, trouble_code


def responses(count: int, held_after: int) -> Iterator[dict[str, Any]]:
    for n in range(count):
        if n == held_after:
            signal.sigwait({signal.SIGUSR1})
        yield trouble_code(n)


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    _, command_id, *numbers = sys.argv
    command = Command.objects.get(pk=command_id)
    claim_statements.assign([command])
    complete_with(command, responses(*map(int, numbers)))
