"""Read a PDX file from the input, and write what is in it as lines of JSON.

The first line is the report; then comes a line for each entry. A file that is refused gives the one
line {"refused": reason}. Without memory the process fails.
"""

import ctypes
import gc
import json
import os
import resource
import signal
import sys
from collections.abc import Iterator
from typing import Any

from vehicles.descriptions.odx.refusal import Refused

OUTPUT_MB = 1_024
PR_SET_PDEATHSIG = 1


def limit(seconds: int, megabytes: int) -> None:
    """Limit this process; the system ends it beyond."""
    size = megabytes * 1024 * 1024
    if sys.platform == "linux":  # macOS refuses it
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_FSIZE, (OUTPUT_MB * 1024 * 1024,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def lines() -> Iterator[Any]:
    try:
        from vehicles.descriptions.odx.description import read

        yield from read(sys.stdin.buffer.read())
    except Refused as refusal:
        yield {"refused": str(refusal)}
    except MemoryError:
        raise
    except RecursionError:
        yield {"refused": "Its elements are nested too deep, or refer to each other in a circle."}
    except Exception as error:
        yield {"refused": f"It cannot be read ({type(error).__name__}: {str(error)[:200]})."}


def main() -> None:
    os.nice(10)
    gc.disable()  # it would look at millions of elements again and again, all of which are needed
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # it ends with its parent
    seconds, megabytes = map(int, sys.argv[1:])
    limit(seconds, megabytes)
    for line in lines():
        print(json.dumps(line))


if __name__ == "__main__":
    main()
