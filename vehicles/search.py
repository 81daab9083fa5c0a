"""Searches for vehicles: by words of what is displayed, or by a VIN in any way of writing it."""

import re
import unicodedata
from collections.abc import Iterator

from django.core.exceptions import ValidationError
from django.db.models import Q

from vehicles.vin import normal_vin

MAX_WORDS = 8  # each word is looked for in every column of every row
COLUMNS = ["vin", "make", "model", "tags"]


def check_words(text: str) -> None:
    """Raise ValidationError if a search has too many words."""
    number = len(text.split())
    if number > MAX_WORDS:
        raise ValidationError(f"{number} words are too many: search for at most {MAX_WORDS}.")


def normalized(text: str) -> str:
    """Return the text without invisible characters, with full-width characters as plain ones."""
    visible = (char for char in text if unicodedata.category(char) != "Cf")
    return unicodedata.normalize("NFKC", "".join(visible))


def matching(text: str) -> Q:
    """Match each word in VIN, make, model, tags or year, or the whole text as a VIN in groups."""
    found = Q()
    for word in normalized(text).split():
        found &= _containing(word)
    vin = normal_vin(text)
    return found | Q(vin__icontains=vin) if vin else found


def _containing(word: str) -> Q:
    found = Q(year=int(word)) if re.fullmatch("[0-9]{4}", word) else Q()
    for spelling in {*_spellings(word)}:
        for column in COLUMNS:
            found |= Q((f"{column}__icontains", spelling))
    return found


def _spellings(word: str) -> Iterator[str]:
    """Yield a word of other letters in each case: databases may ignore the case of ASCII only."""
    yield word
    if not word.isascii():
        for cased in (word.lower(), word.upper(), word.capitalize()):
            for form in ("NFC", "NFD"):
                yield unicodedata.normalize(form, cased)
