"""Yardstick: the Channels consumer of dev/bench/bare.py on the product's server, at PORT.

python -m dev.with_django dev.bench.served PORT
"""

import sys

from dev.bench.bare import application
from sovd.server.process import Server

if __name__ == "__main__":
    Server(application, "127.0.0.1", int(sys.argv[1])).run()
