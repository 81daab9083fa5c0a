"""Send a thousand responses to a pending command, one after the other, as fast as they are stored.

python -m dev.with_django dev.demo_site.send_responses COMMAND_ID

The command is for an offline vehicle, so that no worker claims it.
"""

import sys

from commands.lifecycle import claims
from commands.models import Command
from dev.demo_site.seed import MANY, complete_with, trouble_code

if __name__ == "__main__":
    command = Command.objects.get(pk=sys.argv[1])
    claims.assign([command])
    complete_with(command, [trouble_code(n) for n in range(MANY)])
