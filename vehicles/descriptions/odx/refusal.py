"""What becomes of a file, or of an element, that cannot be used."""

MAX_TEXT = 300
MAX_LEFT_OUT = 2_000


class Refused(Exception):
    """A file that cannot be imported at all; the message says why."""


class LeftOut:
    """The elements that were left out, each with the reason."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], None] = {}

    def add(self, name: str, reason: object) -> None:
        text = str(reason) or type(reason).__name__
        self._found[clean(name), clean(text)] = None

    def report(self) -> list[dict[str, str]]:
        rows = [{"name": name, "reason": reason} for name, reason in self._found]
        if len(rows) > MAX_LEFT_OUT:
            more = f"{len(rows) - MAX_LEFT_OUT} more elements were left out, which are not listed."
            rows[MAX_LEFT_OUT:] = [{"name": "", "reason": more}]
        return rows


def clean(text: str, length: int = MAX_TEXT) -> str:
    """Return a text of the file on one line, as far as it can be stored and shown."""
    words = " ".join(text.split())
    if not words.isprintable():
        words = "".join(letter for letter in words if letter.isprintable())
    return words[:length]
