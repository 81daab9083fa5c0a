"""`make vehicle`: a DoIP vehicle on loopback that others wrote.

The gateway is doip-server, the ECUs are python-uds-server: nothing of the product's own is inside.
It is stateful: what is cleared stays cleared, and what is written stays written, until it ends.
"""

import argparse
import json
import logging
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import django
import yaml
from django.apps import apps
from doip_server.doip_server import DoIPServer
from uds_server import (
    AccessRule,
    DidAccess,
    DidDefinition,
    DtcDefinition,
    DtcSnapshot,
    EcuResetDefinition,
    RoutineDefinition,
    UdsServer,
)

from dev.servers import port_is_free

VIN = "1M8GDM9AXKP042788"
PORT = 13400
GATEWAY_ADDRESS = 0x1000
TESTER_ADDRESSES = [*range(0x0E00, 0x0E10)]

ENGINE, TRANSMISSION, BRAKES = 0x1010, 0x1018, 0x1028
NAMES = {ENGINE: "Engine control", TRANSMISSION: "Transmission control", BRAKES: "Brake control"}
CODES = {
    ENGINE: {0x042013: 0x2F, 0x042000: 0x28, 0x017100: 0x24, 0x030000: 0x50},
    TRANSMISSION: {0x070000: 0x2F},
    BRAKES: {0x403500: 0xAF, 0xC10000: 0x08},
}
EXTENDED_SESSION = 0x03
REPAIR_SHOP_CODE = 0xF198
SELF_TEST = 0x0203


Codes = dict[int, int]  # raw code: status


def ecus(vin: str = VIN, codes: dict[int, Codes] = CODES) -> dict[int, UdsServer]:
    """Return fresh ECUs by logical address."""
    return {address: _ecu(address, vin, codes[address]) for address in NAMES}


def _ecu(address: int, vin: str, codes: Codes) -> UdsServer:
    texts = {
        0xF190: vin,
        0xF187: f"DEMO-{address:04X}-01",
        0xF189: "2.7.1",
        0xF18C: f"{address:04X}{vin[-8:]}",
    }
    definitions = [
        DidDefinition(did, len(text), DidAccess.READ, text.encode) for did, text in texts.items()
    ]
    definitions += [
        DidDefinition(REPAIR_SHOP_CODE, 4),
        DidDefinition(0xF40C, 2, DidAccess.READ, lambda: (3200).to_bytes(2)),
        DidDefinition(0xF405, 1, DidAccess.READ, lambda: b"\x7f"),
    ]
    return UdsServer(
        dids=definitions,
        dtcs=[_dtc(code, status) for code, status in codes.items()],
        routines=[_routine()],
        resets=[EcuResetDefinition(number) for number in (1, 2, 3)],
    )


def _dtc(code: int, status: int) -> DtcDefinition:
    snapshot = DtcSnapshot(1, {0xF40C: (3200).to_bytes(2), 0xF405: b"\x7f", 0x4711: b"\x01\x02"})
    return DtcDefinition(code, status, snapshots=(snapshot,) if status & 0x08 else ())


def _routine() -> RoutineDefinition:
    return RoutineDefinition(
        SELF_TEST,
        start_callback=lambda option: b"\x01",
        stop_callback=lambda option: b"",
        results_callback=lambda option: b"\x00\x2a",
        access_rule=AccessRule(allowed_sessions=frozenset({EXTENDED_SESSION})),
    )


class Vehicle:
    """A doip-server whose ECUs are UDS servers. It serves one tester at a time."""

    def __init__(
        self,
        port: int = PORT,
        vin: str = VIN,
        journal: Callable[[dict[str, Any]], None] = lambda entry: None,
        codes: dict[int, Codes] = CODES,
    ) -> None:
        self.port, self.vin, self.ecus = port, vin, ecus(vin, codes)
        self.is_ready = threading.Event()
        self._journal = journal
        with tempfile.TemporaryDirectory() as directory:
            path = _configuration(Path(directory), port, vin)
            self._server = DoIPServer(gateway_config_path=path)
        self._server._get_vehicle_vin = lambda: self.vin
        self._server.process_uds_message = self.answer
        self._server.config_manager.get_config_summary = self._listens

    def _listens(self) -> str:
        """Note that the ports are open: doip-server shows its summary then."""
        self.is_ready.set()
        return f"{self.vin} on port {self.port}"

    def serve(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    def answer(self, request: bytes, ecu_address: int) -> bytes | None:
        """Return the ECU's response, None for silence. An exception closes the connection."""
        response: bytes = self.ecus[ecu_address].handle_request(bytes(request))
        self._journal(
            {
                "at": datetime.now(UTC).isoformat(),
                "vin": self.vin,
                "ecu": f"0x{ecu_address:04X}",
                "request": request.hex().upper(),
                "response": response.hex().upper(),
            }
        )
        return response or None


def _configuration(directory: Path, port: int, vin: str) -> str:
    """Write doip-server's files, which it reads once; return the path of the first."""
    for address in NAMES:
        ecu = {"target_address": address, "tester_addresses": TESTER_ADDRESSES}
        (directory / f"{address}.yaml").write_text(yaml.safe_dump({"ecu": ecu}))
    gateway = {
        "name": "Demo",
        "logical_address": GATEWAY_ADDRESS,
        "network": {"host": "127.0.0.1", "port": port},
        "protocol": {"version": 2, "inverse_version": 0xFD},
        "vehicle": {"vin": vin},
        "ecus": [str(directory / f"{address}.yaml") for address in NAMES],
    }
    path = directory / "gateway.yaml"
    path.write_text(yaml.safe_dump({"gateway": gateway, "logging": {"level": "CRITICAL"}}))
    return str(path)


def main() -> None:
    options = _arguments()
    # A shell starts what it puts in the background with SIGINT ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    logging.getLogger("doip_server").setLevel(logging.ERROR)
    journal = options.journal.open("a", buffering=1) if options.journal else None

    def write(entry: dict[str, Any]) -> None:
        print(f"{entry['ecu']}  {entry['request']} -> {entry['response']}", flush=True)
        if journal:
            journal.write(json.dumps(entry) + "\n")

    fleet = [
        Vehicle(_free(options.port + number), _vin(options.vin, number), write)
        for number in range(options.count)
    ]
    for vehicle in fleet:
        threading.Thread(target=vehicle.serve, daemon=True).start()
        vehicle.is_ready.wait()
    if options.add:
        _add(fleet)
    print(_greeting(options.port, fleet), flush=True)
    with suppress(KeyboardInterrupt):
        signal.pause()


def _free(port: int) -> int:
    if not port_is_free(port):
        sys.exit(f'Port {port} is in use. Choose another one: make vehicle ARGS="--port 13401"')
    return port


def _add(fleet: list[Vehicle]) -> None:
    """Add the vehicles to the database that the settings name, as the console would."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sovd.settings")
    django.setup()
    rows: Any = apps.get_model("vehicles", "Vehicle")
    for vehicle in fleet:
        reached = {"host": "127.0.0.1", "port": vehicle.port}
        row, _ = rows.objects.update_or_create(
            vin=vehicle.vin,
            defaults={"make": "Demo", "model": "DoIP", "connector": "doip"}
            | {"connector_settings": reached},
        )
        for address, name in NAMES.items():
            row.ecus.update_or_create(
                number=address & 0xFF,
                defaults={
                    "address": f"0x{address & 0xFF:02X}",
                    "name": name,
                    "logical_address": f"0x{address:04X}",
                },
            )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m dev.vehicle", description=__doc__)
    parser.add_argument("--add", action="store_true", help="add it to the console's vehicles")
    parser.add_argument("--port", type=int, default=PORT, help="TCP and UDP port of the first")
    parser.add_argument("--vin", default=VIN, help="VIN of the first; others count up")
    parser.add_argument("--count", type=int, default=1, help="vehicles, on consecutive ports")
    parser.add_argument("--journal", type=Path, help="file to append each request to, as JSON")
    return parser.parse_args()


def _vin(first: str, number: int) -> str:
    return f"{first[:-6]}{(int(first[-6:]) + number) % 10**6:06}"


def _greeting(port: int, fleet: list[Vehicle]) -> str:
    last = f" to {port + len(fleet) - 1}" if len(fleet) > 1 else ""
    ecu_lines = "\n".join(
        f"  0x{address & 0xFF:02X}  {name}, logical address 0x{address:04X}"
        for address, name in NAMES.items()
    )
    return (
        f"DoIP vehicle {fleet[0].vin} on 127.0.0.1 port {port}{last}. ECUs:\n{ecu_lines}\n"
        f'Settings of the connector doip: {{"host": "127.0.0.1", "port": {port}}}\n'
        "Stop it with Ctrl+C."
    )


if __name__ == "__main__":
    main()
