"""WebSocket frames (RFC 6455): ours are written, of a client's only the length is read."""

from collections.abc import Iterator
from itertools import cycle
from struct import pack, unpack
from typing import NamedTuple

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
OPCODES = {CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG}
IS_LAST, RESERVED, IS_CONTROL = 0x80, 0x70, 0x08  # of the first byte
IS_MASKED = 0x80  # of the second
LONG_LENGTHS = {126: "!H", 127: "!Q"}
LENGTH_BYTES = {126: 2, 127: 8}
MASK_BYTES = 4
MAX_CONTROL_BYTES = 125


class Malformed(Exception):
    """A frame that no client may send."""


class Frame(NamedTuple):
    opcode: int
    length: int
    payload: bytes  # of a control frame; that of others is not kept


def frame(opcode: int, payload: bytes) -> bytes:
    length = len(payload)
    first = IS_LAST | opcode
    if length < 126:
        return pack("!BB", first, length) + payload
    if length < 65_536:
        return pack("!BBH", first, 126, length) + payload
    return pack("!BBQ", first, 127, length) + payload


def close_frame(code: int, reason: str = "") -> bytes:
    return frame(CLOSE, pack("!H", code) + reason.encode()[: MAX_CONTROL_BYTES - 2])


def close_code(payload: bytes) -> int:
    """Return the code in the close frame of a client, 1005 if it names none."""
    return int(unpack("!H", payload[:2])[0]) if len(payload) >= 2 else 1005


class FrameReader:
    """Reader of a client's bytes. It keeps no more of them than an unfinished control frame."""

    __slots__ = ("_rest", "_to_skip")

    def __init__(self) -> None:
        self._rest = b""
        self._to_skip = 0

    def read(self, data: bytes) -> Iterator[Frame]:
        """Yield a frame as soon as its length is known, a control frame when it is whole.

        Raise Malformed.
        """
        self._rest += data
        while True:
            skipped = min(self._to_skip, len(self._rest))
            self._rest, self._to_skip = self._rest[skipped:], self._to_skip - skipped
            found = None if self._to_skip else self._next()
            if found is None:
                return
            yield found

    def _next(self) -> Frame | None:
        if len(self._rest) < 2:
            return None
        first, second = self._rest[:2]
        opcode, length = first & 0x0F, second & 0x7F
        if first & RESERVED or opcode not in OPCODES or not second & IS_MASKED:
            raise Malformed
        if opcode & IS_CONTROL and (length > MAX_CONTROL_BYTES or not first & IS_LAST):
            raise Malformed
        mask_at = 2 + LENGTH_BYTES.get(length, 0)
        begin = mask_at + MASK_BYTES
        if len(self._rest) < begin:
            return None
        if length in LONG_LENGTHS:
            (length,) = unpack(LONG_LENGTHS[length], self._rest[2:mask_at])
        if not opcode & IS_CONTROL:
            self._rest, self._to_skip = self._rest[begin:], length
            return Frame(opcode, length, b"")
        if len(self._rest) < begin + length:
            return None
        mask, payload = self._rest[mask_at:begin], self._rest[begin : begin + length]
        self._rest = self._rest[begin + length :]
        return Frame(opcode, length, bytes(a ^ b for a, b in zip(payload, cycle(mask))))
