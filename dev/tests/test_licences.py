"""The packages of the product may be shipped with it."""

from dev.licences import LOCK, licence, locked, table

FREE = ("MIT", "BSD", "Apache", "LGPL", "Mozilla Public License 2.0", "PSF", "ZPL", "Public Domain")


def test_the_list_is_that_of_the_lock_file() -> None:
    assert (LOCK.parent / "docs" / "licences.md").read_text() == table()


def test_every_licence_is_free() -> None:
    licences = {package.name: licence(package) for package in locked()}
    assert len(licences) > 40
    assert not {name: text for name, text in licences.items() if not text.startswith(FREE)}
