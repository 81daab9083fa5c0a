"""Error answers of a SOVD server, and what each says about the request."""

from collections.abc import Iterator, Mapping
from typing import Any

from vehicles.connectors import nrc as negative_responses
from vehicles.connectors.base import VehicleError
from vehicles.connectors.errors import NoAnswer, UnusableAnswer

MAX_QUOTED = 160  # characters of a message of the server
MAY_ACT = negative_responses.MAY_HAVE_ACTED | {negative_responses.RESPONSE_PENDING}
# Codes by which nothing was carried out, whatever the status.
CERTAIN_CODES = {
    "error-response",
    "incomplete-request",
    "insufficient-access-rights",
    "lock-broken",
    "precondition-not-fulfilled",
    "preconditions-not-fulfilled",
}
HOLDER_KEYS = ("holder", "current_holder", "owner")


class Refusal(VehicleError):
    """A refusal by the server or the ECU."""

    def __init__(
        self, message: str, *, status: int = 0, nrc: int | None = None, is_certain: bool = True
    ) -> None:
        super().__init__("vehicle_refused", message, is_certain=is_certain)
        self.status, self.nrc = status, nrc


SURVIVABLE = (NoAnswer, Refusal, UnusableAnswer)


def negative_response(nrc: int, refused: str) -> Refusal:
    """Return the error for a negative response; `refused` is such as "The ECU refused it"."""
    return Refusal(
        negative_responses.explain(nrc, refused),
        nrc=nrc,
        is_certain=nrc not in MAY_ACT,
    )


def error_of(status: int, body: Any, asked: str) -> VehicleError:
    """Return the error that an answer stands for; `asked` is such as "DELETE …/faults"."""
    about = _generic_error(body)
    nrc = nrc_of(about)
    code = str(about.get("error_code", ""))
    if nrc is not None:
        return negative_response(nrc, f"The ECU refused {asked}")
    if status == 504 or code == "not-responding":
        return NoAnswer(f"The server got no answer from the ECU to {asked}{_quoted(about)}.")
    if status == 503:
        message = f"The server cannot reach the vehicle now{_quoted(about)}. Send it again later."
        return NoAnswer(message, is_certain=bool(about))
    if status < 400 or (status >= 500 and status != 501 and not about):
        return UnusableAnswer(f"The server answered {asked} with {_meaning(status)}. Check `url`.")
    if code == "invalid-response-content":
        return UnusableAnswer(f"The ECU's answer to {asked} was of no use{_quoted(about)}.")
    return Refusal(
        f"The server refused {asked} with {status}{_quoted(about)}. {_advice(status)}",
        status=status,
        is_certain=status < 500 or status == 501 or code in CERTAIN_CODES,
    )


def locked(status: int, body: Any) -> Refusal:
    """Return the error for a lock that could not be had, with its holder where it is told."""
    about = _generic_error(body)
    holder = next((str(about[key]) for key in HOLDER_KEYS if about.get(key)), "")
    parameters = about.get("parameters")
    if not holder and isinstance(parameters, Mapping):
        holder = next((str(parameters[key]) for key in HOLDER_KEYS if parameters.get(key)), "")
    by = f"by {holder[:60]}" if holder else "by another tester"
    return Refusal(
        f"The ECU is locked {by}{_quoted(about)}. Send it again when the lock has ended.",
        status=status,
    )


def error_in(body: Any, asked: str) -> VehicleError | None:
    """Return the error that a body with status 200 tells of, by its DataErrors."""
    for entry in _data_errors(body):
        return error_of(502, entry, asked)
    return None


def _data_errors(body: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the errors in `error` or `errors`: one or a list, each in a DataError or bare."""
    if not isinstance(body, Mapping):
        return
    for key in ("error", "errors"):
        found = body.get(key)
        for entry in found if isinstance(found, list) else [found]:
            if isinstance(entry, Mapping) and entry:
                inner = entry.get("error")
                yield inner if isinstance(inner, Mapping) else entry


def _generic_error(body: Any) -> Mapping[str, Any]:
    """Return the error object in a body, at the top or wrapped; empty if there is none."""
    if isinstance(body, Mapping):
        if "error_code" in body:
            return body
        for entry in _data_errors(body):
            return entry
        detail = body.get("detail")
        if isinstance(detail, Mapping):
            return detail
        if isinstance(detail, str):
            return {"message": detail}
    return {}


def nrc_of(error: Mapping[str, Any]) -> int | None:
    """Return the negative response code in the parameters of an error, however it is spelled."""
    parameters = error.get("parameters")
    if not isinstance(parameters, Mapping):
        return None
    for key, value in parameters.items():
        if key.lower() in {"nrc", "responsecode", "response_code"}:
            return _byte(value)
    return None


def _byte(value: Any) -> int | None:
    """Return the byte that a number or hexadecimal text stands for."""
    if isinstance(value, str):
        try:
            value = int(value, 16)
        except ValueError:
            return None
    is_byte = isinstance(value, int) and not isinstance(value, bool) and 0 < value < 0x100
    return value if is_byte else None


def _quoted(about: Mapping[str, Any]) -> str:
    text = " ".join(str(about.get("message") or about.get("error_code") or "").split())
    return f' ("{text[:MAX_QUOTED].rstrip(".")}")' if text else ""


def _meaning(status: int) -> str:
    if 300 <= status < 400:
        return f"a redirect ({status}), which is not followed"
    return f"status {status} and no error in the form of SOVD"


def _advice(status: int) -> str:
    return {
        401: "Correct the token or the client credentials.",
        403: "Ask its operator for the right, or wait until a lock has ended.",
        404: "Check the component and the identifier.",
        409: "Check the state of the vehicle, then send it again.",
        423: "Send it again when the lock has ended.",
        429: "Wait a moment, then send it again.",
        501: "This server does not offer it.",
    }.get(status, "Check the command and the vehicle's settings.")
