"""Tags: short words by which people group vehicles."""

import re
import unicodedata
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

if TYPE_CHECKING:
    TextField = models.TextField[Any, Any]
else:
    TextField = models.TextField

MAX_TAGS = 20  # of one vehicle
MAX_CHARACTERS = 32  # of one tag
PATTERN = re.compile(rf"[\w.:/-]{{1,{MAX_CHARACTERS}}}")
WRONG_TAG = f"A tag has 1 to {MAX_CHARACTERS} letters, digits and . : / _ - only. Correct %(tag)a."


def normal(tags: Iterable[str]) -> list[str]:
    """Return each tag once, in lower case and in order."""
    return sorted({unicodedata.normalize("NFKC", tag).lower() for tag in tags})


def words_of(text: str) -> list[str]:
    """Return the tags in a text, which blanks or commas separate."""
    return normal(re.findall(r"[^\s,]+", text))


def check(tags: list[str]) -> None:
    """Raise ValidationError for words that are no tags, or for too many."""
    for tag in tags:
        if not PATTERN.fullmatch(tag):
            raise ValidationError(WRONG_TAG, params={"tag": tag[:100]})
    if len(tags) > MAX_TAGS:
        raise ValidationError(f"{len(tags)} tags are too many: a vehicle has at most {MAX_TAGS}.")


def check_text(text: str) -> None:
    """Raise ValidationError for a text that names no tag, or something else."""
    tags = words_of(text)
    if not tags:
        raise ValidationError("Name at least one tag.")
    check(tags)


def having(text: str) -> Q:
    """Match what has every tag of the text."""
    return Q(*(Q(tags__contains=f" {tag} ") for tag in words_of(text)))


class TagsField(TextField):
    """A list of tags, stored as one text with a blank before and behind each."""

    def __init__(self, **options: Any) -> None:
        fixed: dict[str, Any] = {
            "blank": True,
            "default": list,
            "db_default": "",
            "validators": [check],
        }
        super().__init__(**fixed | options)

    def deconstruct(self) -> Any:
        name, _, _, _ = super().deconstruct()
        return name, "vehicles.tags.TagsField", [], {}

    def from_db_value(self, value: str, *_: Any) -> list[str]:
        return value.split()

    def to_python(self, value: Any) -> list[str]:
        return words_of(value) if isinstance(value, str) else list(value or [])

    def get_prep_value(self, value: Any) -> Any:
        return f" {' '.join(value)} " if value and isinstance(value, list) else value or ""

    def value_from_object(self, obj: Any) -> str:
        return " ".join(super().value_from_object(obj))

    def save_form_data(self, instance: Any, data: Any) -> None:
        super().save_form_data(instance, self.to_python(data))
