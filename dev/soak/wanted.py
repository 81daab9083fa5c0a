"""What the clients ask of the producer: so nothing is written faster than it is received."""

from typing import NamedTuple, Self

QUEUE = "soak"  # a list in Valkey


class Wanted(NamedTuple):
    """The log of this command, written on until it ends at `up_to`."""

    command_id: str
    up_to: int
    is_end: bool

    def encode(self) -> str:
        return f"{self.command_id} {self.up_to} {int(self.is_end)}"

    @classmethod
    def decode(cls, text: str) -> Self:
        command_id, up_to, is_end = text.split()
        return cls(command_id, int(up_to), is_end == "1")
