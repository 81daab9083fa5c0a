"""Requests of the clients to the producer, so that no event is written faster than received."""

from typing import NamedTuple, Self

QUEUE = "soak"  # a list in Valkey


class WriteRequest(NamedTuple):
    """Write on the log of this command up to this sequence number; there it may end."""

    command_id: str
    up_to: int
    is_end: bool
    padding: int = 0
    """Bytes that are added to each response."""

    def encode(self) -> str:
        return f"{self.command_id} {self.up_to} {int(self.is_end)} {self.padding}"

    @classmethod
    def decode(cls, text: str) -> Self:
        command_id, up_to, is_end, padding = text.split()
        return cls(command_id, int(up_to), is_end == "1", int(padding))
