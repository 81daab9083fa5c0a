"""Directories and files that a process needs before it starts."""

import os
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile

from django.core.management.utils import get_random_secret_key

from commands.start_refusal import refuse
from sovd.env import reason


def make_directory(setting: str, path: Path) -> None:
    """Make the directory, and refuse one that this user cannot list or write to."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        next(path.iterdir(), None)
        with TemporaryFile(dir=path):
            pass
    except OSError as error:
        refuse(
            f"{setting}={path} cannot be used ({error.strerror}): "
            "give it to this user, or set another directory"
        )


def check_database_file(path: Path) -> None:
    if path.exists() and not (path.is_file() and os.access(path, os.R_OK | os.W_OK)):
        refuse(f"{path} cannot be read and written: give it to this user, or set SOVD_VAR_DIR")


def kept_secret_key(path: Path) -> str:
    """Return a key made once, so that sessions and tokens outlive a restart."""
    try:
        if not path.exists():
            _write_secret_key(path)
        key = path.read_text().strip()
    except (OSError, UnicodeError) as error:
        refuse(
            f"{path} cannot be read ({reason(error)}): give it to this user, or set SOVD_VAR_DIR"
        )
    return key or refuse(f"{path} is empty: delete it, and a new key is made")


def _write_secret_key(path: Path) -> None:
    with NamedTemporaryFile("w", dir=path.parent) as draft:  # has mode 0600
        draft.write(get_random_secret_key())
        draft.flush()
        with suppress(FileExistsError):  # another process was faster: its key is the key
            os.link(draft.name, path)
