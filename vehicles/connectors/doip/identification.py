"""Vehicle identification over UDP (ISO 13400-2): the VIN before anything else is sent."""

import asyncio

from doipclient.messages import VehicleIdentificationRequest, VehicleIdentificationResponse

from vehicles.connectors.data_ids import text_of
from vehicles.connectors.doip.connection import HEADER, pack

REPEAT_SECONDS = 0.25  # a datagram may be lost


class _Listener(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.vin: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, _address: object) -> None:
        vin = _vin_in(data)
        if vin and not self.vin.done():
            self.vin.set_result(vin)

    def error_received(self, _error: Exception) -> None:
        """Stop waiting: the port is closed."""
        if not self.vin.done():
            self.vin.set_result(None)


async def identify(address: str, port: int, wait_seconds: float) -> str | None:
    """Return the VIN that a gateway tells by UDP, None if it tells none in time."""
    try:
        transport, listener = await asyncio.get_running_loop().create_datagram_endpoint(
            _Listener, remote_addr=(address, port)
        )
    except OSError:
        return None
    try:
        async with asyncio.timeout(wait_seconds):
            while not listener.vin.done():
                transport.sendto(pack(VehicleIdentificationRequest()))
                await asyncio.wait([listener.vin], timeout=REPEAT_SECONDS)
        return listener.vin.result()
    except TimeoutError:
        return None
    finally:
        transport.abort()


def _vin_in(datagram: bytes) -> str | None:
    """Return the VIN of an identification response, None if it is none or tells none."""
    if len(datagram) < HEADER.size:
        return None
    _, _, kind, _ = HEADER.unpack_from(datagram)
    if kind != VehicleIdentificationResponse.payload_type:
        return None
    return vin_of(datagram[HEADER.size : HEADER.size + 17])


def vin_of(raw: bytes) -> str | None:
    """Return the VIN in 17 bytes, None if they are no text."""
    text = text_of(raw)
    return text if len(text) == 17 else None
