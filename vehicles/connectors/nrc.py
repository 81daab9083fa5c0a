"""Negative responses of ISO 14229-1: their names, and in words the way out of each."""

from udsoncan.ResponseCode import ResponseCode

RESPONSE_PENDING = 0x78
NOT_IN_THIS_SESSION = {0x7E, 0x7F}
# The response was too long, a control unit behind the ECU did not answer, the memory failed.
MAY_HAVE_ACTED = {0x14, 0x25, 0x72}

CHECK_SUPPORT = "This ECU does not offer it. Check the ECU address and the command."
CHECK_CONDITIONS = "Let the vehicle stand still with the engine off, then send it again."
UNLOCK = "It is protected. Unlock the ECU with the manufacturer's tool first."
SEND_AGAIN = "Wait a moment, then send it again."

ADVICE = {
    0x11: CHECK_SUPPORT,
    0x12: CHECK_SUPPORT,
    0x13: "Check the length of the data that the command carries.",
    0x14: "Ask for less at once.",
    0x21: SEND_AGAIN,
    0x22: CHECK_CONDITIONS,
    0x24: "Send the step that belongs before it first, such as start before results.",
    0x25: "Check that the control unit behind it has power, then send it again.",
    0x26: "Read the trouble codes and repair the fault that prevents it.",
    0x31: "Check the identifier, the trouble code and the data.",
    0x33: UNLOCK,
    0x34: UNLOCK,
    0x35: UNLOCK,
    0x36: "Wait until the ECU allows another attempt.",
    0x37: "Wait until the ECU allows another attempt.",
    0x70: CHECK_CONDITIONS,
    0x72: "Read the trouble codes; the ECU could not store the data.",
    0x7E: "Not even its extended session allows it. Check the command.",
    0x7F: "Not even its extended session allows it. Check the command.",
    0x81: "Lower the engine speed, then send it again.",
    0x82: "Raise the engine speed, then send it again.",
    0x83: "Stop the engine, then send it again.",
    0x84: "Start the engine, then send it again.",
    0x85: "Let the engine run longer, then send it again.",
    0x86: "Let it cool down, then send it again.",
    0x87: "Let it warm up, then send it again.",
    0x88: "Stop the vehicle, then send it again.",
    0x89: "Drive faster where that is safe, then send it again.",
    0x8A: "Release the accelerator pedal, then send it again.",
    0x8B: "Press the accelerator pedal, then send it again.",
    0x8C: "Shift to neutral, then send it again.",
    0x8D: "Shift into gear, then send it again.",
    0x8F: "Press the brake pedal, then send it again.",
    0x90: "Shift to park, then send it again.",
    0x92: "Lower the supply voltage, then send it again.",
    0x93: "Charge the battery, then send it again.",
}


def name_of(nrc: int) -> str:
    """Return the standard's name, such as `conditionsNotCorrect`."""
    if nrc == RESPONSE_PENDING:
        return "requestCorrectlyReceived-ResponsePending"
    name = ResponseCode.get_name(nrc)
    return "unknownResponseCode" if name.isdecimal() else name[0].lower() + name[1:]


def explain(nrc: int, refused: str) -> str:
    """Return a sentence about a refusal; `refused` is such as "ECU 0x10 refused ECUReset"."""
    advice = ADVICE.get(nrc, "Check the command and the state of the vehicle.")
    return f"NRC 0x{nrc:02X} {name_of(nrc)}: {refused}. {advice}"
