"""A TCP connection to a DoIP gateway (ISO 13400-2): activation, and diagnostic messages.

The messages are doipclient's. Its client is not used: it blocks in its constructor without a time
limit, leaks its sockets when activation is denied, loses a response that comes before the
acknowledgement, and accepts payloads of any size. One thread for each vehicle would be the price.
"""

import asyncio
import contextlib
import socket
import struct
from asyncio import StreamReader, StreamWriter
from typing import Any, Self

from doipclient.client import DoIPClient
from doipclient.messages import (
    AliveCheckRequest,
    AliveCheckResponse,
    DiagnosticMessage,
    DiagnosticMessageNegativeAcknowledgement,
    DiagnosticMessagePositiveAcknowledgement,
    GenericDoIPNegativeAcknowledge,
    RoutingActivationRequest,
    RoutingActivationResponse,
    payload_message_to_type,
    payload_type_to_message,
)

from vehicles.connectors.base import VehicleError
from vehicles.connectors.doip.errors import connection_broken, unusable_message
from vehicles.connectors.errors import NoAnswer

PROTOCOL_VERSION = 0x02  # ISO 13400-2:2012, which later gateways answer, too
HEADER = struct.Struct("!BBHL")
MAX_PAYLOAD_BYTES = 64 * 1024 + 4
# A peer that floods us with messages nobody asked for gets a hundredth of a second for each.
UNWANTED_MESSAGE_SECONDS = 0.01

ACTIVATED = RoutingActivationResponse.ResponseCode.Success
# Another tester's connection: it may be gone in a moment.
BUSY = {
    RoutingActivationResponse.ResponseCode.DeniedAllSocketsRegisteredActive,
    RoutingActivationResponse.ResponseCode.DeniedSARegistered,
}
ACTIVATION_PROBLEMS = {
    0x00: "the source address is unknown to it. Correct `source_address`",
    0x01: "all its connections are in use. Close other testers",
    0x02: "this connection has another source address. Send it again",
    0x03: "the source address is in use by another tester. Close it",
    0x04: "it wants authentication. Unlock it with the manufacturer's tool",
    0x05: "the confirmation in the vehicle was rejected. Confirm it there",
    0x06: "it does not know the activation type. Correct `activation_type`",
    0x07: "it wants TLS, which is not supported here",
    0x11: "it waits for a confirmation in the vehicle. Confirm it there, then send it again",
}
# Codes of a negative acknowledgement by which the ECU did not get the message.
NOT_DELIVERED = {
    0x02: "the source address is not valid",
    0x03: "the gateway does not know the ECU's logical address",
    0x04: "the message is too long",
    0x05: "the gateway is out of memory",
    0x06: "the gateway does not reach the ECU",
}


NEGATIVE_ACKNOWLEDGEMENTS = (
    DiagnosticMessageNegativeAcknowledgement,
    GenericDoIPNegativeAcknowledge,
)


class GatewayBusy(VehicleError):
    """Another tester's connection keeps ours out for now."""


def _denied(problem: str) -> VehicleError:
    return VehicleError(
        "vehicle_refused", f"The gateway denied routing activation: {problem}.", is_certain=True
    )


def _not_delivered(message: Any, *, may_be_delivered: bool) -> NoAnswer:
    """Return the error for a negative acknowledgement of a diagnostic message."""
    code = message._nack_code  # the property raises for a code that it does not know
    is_generic = isinstance(message, GenericDoIPNegativeAcknowledge)
    problem = None if is_generic else NOT_DELIVERED.get(code)
    return NoAnswer(
        f"The gateway did not pass the request on: {problem or f'code 0x{code:02X}'}. "
        "Check the ECU's logical address.",
        is_certain=(is_generic or problem is not None) and not may_be_delivered,
    )


def pack(message: Any) -> bytes:
    payload: bytes = message.pack()
    kind = payload_message_to_type[type(message)]
    packed: bytes = DoIPClient._pack_doip(PROTOCOL_VERSION, kind, payload)
    return packed


def unpack(kind: int, payload: bytes) -> Any:
    """Return the message, None if its type is unknown. Raises VehicleError."""
    message_type: Any = payload_type_to_message.get(kind)
    try:
        return message_type.unpack(payload, len(payload)) if message_type else None
    except struct.error as error:
        raise unusable_message(f"type 0x{kind:04X} with {len(payload)} bytes") from error


class Connection:
    """An activated connection to one gateway, for several ECUs, one request at a time."""

    def __init__(self, reader: StreamReader, writer: StreamWriter, source_address: int) -> None:
        self._reader, self._writer = reader, writer
        self._source_address = source_address
        self._unanswered: set[int] = set()
        self._expects_acknowledgement = False
        self._may_be_delivered = False
        self._header: tuple[int, int, int, int] | None = None
        self.gateway_address: int | None = None

    @classmethod
    async def open(cls, address: str, port: int, source_address: int, kind: int) -> Self:
        """Connect and activate routing. Raises VehicleError; the caller bounds the time."""
        try:
            reader, writer = await asyncio.open_connection(address, port)
        except OSError as error:
            raise VehicleError(
                "vehicle_unreachable",
                f"The gateway {address} port {port} accepts no connection "
                f"({error.strerror or type(error).__name__}). Check that it is online.",
            ) from error
        connection = cls(reader, writer, source_address)
        try:
            await connection._activate(kind)
        except BaseException:
            connection.close()
            raise
        return connection

    async def _activate(self, kind: int) -> None:
        await self._write(RoutingActivationRequest(self._source_address, kind))
        while True:
            message = await self._read()
            if isinstance(message, GenericDoIPNegativeAcknowledge):
                raise _denied(f"it refused the request (code 0x{message._nack_code:02X})")
            if isinstance(message, RoutingActivationResponse):
                break
            await asyncio.sleep(UNWANTED_MESSAGE_SECONDS)
        code = message._response_code  # the property raises for a code that it does not know
        if code in BUSY:
            problem = ACTIVATION_PROBLEMS[code]
            raise GatewayBusy("vehicle_unreachable", f"The gateway is busy: {problem}.")
        if code != ACTIVATED:
            raise _denied(ACTIVATION_PROBLEMS.get(code, f"its code is 0x{code:02X}"))
        self.gateway_address = message.logical_address

    @property
    def is_reusable(self) -> bool:
        """Whether nothing can still arrive that belongs to an earlier request."""
        return not (self._unanswered or self._reader.at_eof() or self._writer.is_closing())

    async def discard_unasked(self) -> None:
        """Throw away messages that came since the last answer: they belong to no request."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0):
                while True:
                    await self._read()

    async def send(self, ecu_address: int, payload: bytes, *, expects_answer: bool = True) -> None:
        if expects_answer:
            self._unanswered.add(ecu_address)
        # A refusal of what keeps the session says nothing about the request before it.
        self._may_be_delivered = not expects_answer
        self._expects_acknowledgement = True
        await self._write(DiagnosticMessage(self._source_address, ecu_address, payload))

    async def receive(self, ecu_address: int) -> bytes:
        """Return the next response of an ECU, however long it takes. Raises VehicleError."""
        while True:
            message = await self._read()
            if isinstance(message, DiagnosticMessage) and self._is_from(message, ecu_address):
                self._may_be_delivered = True
                return bytes(message.user_data)
            if isinstance(message, NEGATIVE_ACKNOWLEDGEMENTS):
                if not self._may_be_delivered:
                    self._unanswered.discard(ecu_address)
                raise _not_delivered(message, may_be_delivered=self._may_be_delivered)
            if not self._is_expected(message):
                await asyncio.sleep(UNWANTED_MESSAGE_SECONDS)

    def _is_expected(self, message: Any) -> bool:
        """Return whether it is the acknowledgement of the last request; there is one."""
        is_acknowledgement = isinstance(message, DiagnosticMessagePositiveAcknowledgement)
        is_expected = is_acknowledgement and self._expects_acknowledgement
        self._may_be_delivered |= is_expected
        self._expects_acknowledgement &= not is_acknowledgement
        return is_expected

    def _is_from(self, message: Any, ecu_address: int) -> bool:
        addresses = message.source_address, message.target_address
        return addresses == (ecu_address, self._source_address)

    def answered(self, ecu_address: int) -> None:
        """Note that the response which came was the last one to this request."""
        self._unanswered.discard(ecu_address)

    def close(self) -> None:
        """Close at once: a peer that does not read must not keep us waiting."""
        self._writer.transport.abort()

    async def _write(self, message: Any) -> None:
        try:
            self._writer.write(pack(message))
            await self._writer.drain()
        except OSError as error:
            raise connection_broken(error.strerror or "it was closed") from error

    async def _read(self) -> Any:
        """Return the next message; answer alive checks on the way."""
        while True:
            message = await self._read_message()
            if not isinstance(message, AliveCheckRequest):
                return message
            await self._write(AliveCheckResponse(self._source_address))
            await asyncio.sleep(UNWANTED_MESSAGE_SECONDS)

    async def _read_message(self) -> Any:
        self._acknowledge_at_once()
        try:
            return await self._read_header_and_payload()
        except asyncio.IncompleteReadError as error:
            raise connection_broken("the gateway closed it") from error
        except OSError as error:
            raise connection_broken(error.strerror or "it was reset") from error

    async def _read_header_and_payload(self) -> Any:
        """Read one message. A wait that is cancelled between its parts loses nothing."""
        if self._header is None:
            self._header = HEADER.unpack(await self._reader.readexactly(HEADER.size))
        version, inverse, kind, size = self._header
        if version ^ inverse != 0xFF:
            raise unusable_message("not DoIP")
        if size > MAX_PAYLOAD_BYTES:
            raise unusable_message(f"{size} bytes long")
        payload = await self._reader.readexactly(size)
        self._header = None
        return unpack(kind, payload)

    def _acknowledge_at_once(self) -> None:
        """Spare 40 ms: gateways write acknowledgement and response in two small segments."""
        if hasattr(socket, "TCP_QUICKACK"):
            with contextlib.suppress(OSError):
                self._writer.get_extra_info("socket").setsockopt(
                    socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1
                )
