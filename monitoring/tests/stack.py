"""The product in each topology that Prometheus meets: one process, one host, containers."""

import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen

from dev.processes import SEED, WORKER, production, web
from dev.servers import Servers, free_port, start_servers
from sovd.tests.processes import SECONDS, running
from sovd.tests.site import Site

FAULTY = {"MOCK_VEHICLE_TIMEOUT_RATE": 1, "COMMAND_TIMEOUT_SECONDS": 0.5}


@dataclass
class Stack:
    """Running processes, the site to submit at, and the addresses of their metrics."""

    site: Site
    targets: dict[str, list[str]]
    directory: Path
    given: dict[str, object] = field(default_factory=dict)
    servers: Servers | None = None
    workers: list[Popen[bytes]] = field(default_factory=list)
    _stack: ExitStack = field(default_factory=ExitStack)

    def start(self, *command: str, **given: object) -> Popen[bytes]:
        return self._stack.enter_context(running(*command, **{**self.given, **given}))

    def close(self) -> None:
        self._stack.close()

    def start_workers(self, **given: object) -> None:
        """Start a worker on each scraped port, with a metrics directory of its own."""
        self.workers = [
            self.start(
                *WORKER,
                PROMETHEUS_MULTIPROC_DIR=self.directory / target.rpartition(":")[2],
                WORKER_METRICS_PORT=target.rpartition(":")[2],
                **given,
            )
            for target in self.targets["worker"]
        ]

    def kill_workers(self) -> None:
        for worker in self.workers:
            worker.kill()
            worker.wait()

    def signal_workers(self, number: signal.Signals) -> None:
        for worker in self.workers:
            worker.send_signal(number)

    @property
    def own_servers(self) -> Servers:
        assert self.servers
        return self.servers


@contextmanager
def embedded(directory: Path) -> Iterator[Stack]:
    """Run one process with one registry."""
    site = Site()
    given = {"SOVD_VAR_DIR": directory / "var", **PACE}
    with started(Stack(site, {"web": [f"127.0.0.1:{site.port}"]}, directory, given)) as stack:
        stack.start(*SEED).wait(SECONDS)
        stack.start("manage.py", "serve", PORT=site.port)
        yield stack


@contextmanager
def one_host(directory: Path) -> Iterator[Stack]:
    """Run several web and worker processes that share a directory: any web process shows all."""
    with on_servers(directory, web_processes=1) as stack:
        stack.start(*SEED).wait(SECONDS)
        runserver = ("manage.py", "runserver", f"127.0.0.1:{stack.site.port}", "--noreload")
        stack.start(*runserver)
        stack.start(*web(free_port()))
        stack.workers = [stack.start(*WORKER) for _ in range(2)]
        stack.targets = {"web": [f"127.0.0.1:{stack.site.port}"]}
        yield stack


@contextmanager
def containers(directory: Path) -> Iterator[Stack]:
    """Run each process as a target of its own, on a port of its own."""
    with on_servers(directory, web_processes=2, workers=3) as stack:
        stack.start(*SEED, PROMETHEUS_MULTIPROC_DIR=directory / "seed").wait(SECONDS)
        for n, target in enumerate(stack.targets["web"]):
            port = target.rpartition(":")[2]
            given = {"PROMETHEUS_MULTIPROC_DIR": directory / port, "WEB_METRICS_PORT": port}
            stack.start(*web(free_port() if n else stack.site.port), **given)
        stack.start_workers()
        yield stack


PACE: dict[str, object] = {
    "MOCK_VEHICLE_LATENCY_SECONDS": 0.2,
    "COMMAND_LEASE_SECONDS": 4,
    "STREAM_POLL_SECONDS": 1,
}


@contextmanager
def on_servers(directory: Path, web_processes: int, workers: int = 0) -> Iterator[Stack]:
    targets = {
        "web": [f"127.0.0.1:{free_port()}" for _ in range(web_processes)],
        "worker": [f"127.0.0.1:{free_port()}" for _ in range(workers)],
    }
    with started(Stack(Site(), targets, directory)) as stack:
        servers = start_servers(directory, stack._stack)
        stack.servers = servers
        stack.given = production(servers.postgres.url, servers.valkey.url, directory) | PACE
        yield stack


@contextmanager
def started(stack: Stack) -> Iterator[Stack]:
    try:
        yield stack
    finally:
        stack.close()


Topology = Callable[[Path], AbstractContextManager[Stack]]
TOPOLOGIES: dict[str, Topology] = {
    "embedded": embedded,
    "one host": one_host,
    "containers": containers,
}
