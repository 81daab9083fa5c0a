"""Frames of WebSockets, written and read, against those of the library `websockets`."""

import tracemalloc

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from sovd.server.frames import FrameReader, Malformed, close_code, close_frame, frame

LENGTHS = [0, 1, 125, 126, 65_535, 65_536]


def sent(opcode: Opcode, payload: bytes, fin: bool = True) -> bytes:
    """Return a frame as a client sends it."""
    return Frame(opcode, payload, fin).serialize(mask=True)


def received(frames: bytes) -> list[Frame]:
    """Return the frames as a client understands them."""
    client = ClientProtocol(parse_uri("ws://x/"), state=State.OPEN)
    client.receive_data(frames)
    return [event for event in client.events_received() if isinstance(event, Frame)]


@pytest.mark.parametrize("length", LENGTHS)
def test_a_client_understands_what_is_written(length: int) -> None:
    text = b"x" * length
    assert received(frame(Opcode.TEXT, text)) == [Frame(Opcode.TEXT, text)]


def test_a_client_understands_a_close_frame() -> None:
    (told,) = received(close_frame(4404, "no such command" * 20))
    close = Close.parse(bytes(told.data))
    assert (close.code, len(close.reason)) == (4404, 123)
    assert close_code(bytes(told.data)) == 4404
    assert close_code(b"") == 1005


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("step", [1, 3, 100_000])
def test_frames_are_counted_however_they_are_cut(length: int, step: int) -> None:
    data = (
        sent(Opcode.TEXT, b"a" * length, fin=False)
        + sent(Opcode.PING, b"ping")
        + sent(Opcode.CONT, b"b" * length)
    )
    reader = FrameReader()
    parts = [data[at : at + step] for at in range(0, len(data), step)]
    assert [each for part in parts for each in reader.read(part)] == [
        (Opcode.TEXT, length, b""),
        (Opcode.PING, 4, b"ping"),
        (Opcode.CONT, length, b""),
    ]


def test_a_frame_is_told_by_its_head_alone() -> None:
    head = sent(Opcode.TEXT, bytes(70_000))[:14]
    assert list(FrameReader().read(head)) == [(Opcode.TEXT, 70_000, b"")]


def test_the_payload_of_a_message_is_not_kept() -> None:
    reader, data = FrameReader(), sent(Opcode.TEXT, bytes(1_000_000))
    tracemalloc.start()
    for at in range(0, 900_000, 50_000):
        assert len(list(reader.read(data[at : at + 50_000]))) == (at == 0)
    assert tracemalloc.get_traced_memory()[0] < 10_000
    tracemalloc.stop()


@pytest.mark.parametrize(
    "data",
    [
        b"\x81\x01x",
        b"\xc1\x80",
        b"\x83\x80",
        b"\x8b\x80",
        b"\x09\x80",
        b"\x89\xfe",
    ],
    ids=["unmasked", "reserved", "kind 3", "kind 11", "part of a ping", "long ping"],
)
def test_what_no_client_may_send_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        list(FrameReader().read(data))
