"""Causes of a failed exchange that a command may survive: the connection itself still works."""

from vehicles.connectors import nrc as negative_responses
from vehicles.connectors.base import VehicleError
from vehicles.connectors.errors import NoAnswer, UnusableAnswer


class Refusal(VehicleError):
    """A negative response: with few exceptions the request was certainly not carried out."""

    def __init__(self, nrc: int, refused: str) -> None:
        super().__init__(
            "vehicle_refused",
            negative_responses.explain(nrc, refused),
            is_certain=nrc not in negative_responses.MAY_HAVE_ACTED,
        )
        self.nrc = nrc


SURVIVABLE = (NoAnswer, Refusal, UnusableAnswer)


def connection_broken(reason: str) -> VehicleError:
    return VehicleError(
        "vehicle_unreachable",
        f"The connection to the vehicle broke: {reason}. Check its network, then send it again.",
    )


def unusable_message(problem: str) -> VehicleError:
    """Return the error for bytes after which the connection is of no use."""
    return VehicleError(
        "malformed_answer",
        f"The gateway sent a message that is no use: {problem}. Check `host` and `port`.",
    )
