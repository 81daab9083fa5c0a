"""Causes of a failed request that are the same over DoIP and SOVD."""

from vehicles.connectors.base import VehicleError


class NoAnswer(VehicleError):
    """Silence of an ECU, a server or a gateway, or a connection that cannot be made."""

    def __init__(self, message: str, *, is_certain: bool = False) -> None:
        super().__init__("vehicle_unreachable", message, is_certain=is_certain)


class UnusableAnswer(VehicleError):
    """An answer that does not belong to the request, or whose form is wrong."""

    def __init__(self, message: str) -> None:
        super().__init__("malformed_answer", message)
