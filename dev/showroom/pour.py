"""Gives a command that waits a thousand answers, one after the other, as fast as they are stored.

python -m dev.showroom.pour COMMAND_ID    (of a vehicle that is offline: no worker takes it)
"""

import sys

from dev.showroom import furnish

from commands import lifecycle  # isort: skip - furnish sets Django up
from commands.models import Command  # isort: skip


def main() -> None:
    command = Command.objects.get(pk=sys.argv[1])
    lifecycle._take([command])
    furnish.pour(command, [furnish.dtc(n) for n in range(furnish.MANY)])


if __name__ == "__main__":
    main()
