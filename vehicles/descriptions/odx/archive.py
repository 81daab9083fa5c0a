"""The XML documents of a PDX file, which is not to be trusted."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import PurePosixPath
from xml.etree import ElementTree
from xml.etree.ElementTree import Element
from zipfile import BadZipFile, LargeZipFile, ZipFile, ZipInfo

from vehicles.descriptions.odx.refusal import LeftOut, Refused, clean

MAX_MEMBERS = 10_000
MAX_BYTES = 2 * 1024**3  # of all documents
MAX_RATIO = 200  # a document of ODX shrinks to a tenth or twentieth
SMALL_BYTES = 10 * 1024**2  # any ratio is allowed
MAX_DEPTH = 100
ENCRYPTED = 0x1


class Document:
    """One ODX document of the file."""

    def __init__(self, name: str, root: Element) -> None:
        self.name = name
        self.root = root


def documents(content: bytes, left_out: LeftOut) -> list[Document]:
    """Return the ODX documents. Raise Refused."""
    try:
        with ZipFile(BytesIO(content)) as archive:
            members = list(_checked(archive))
            found = [_document(archive, member, left_out) for member in members]
    except (BadZipFile, LargeZipFile, EOFError, NotImplementedError, OSError, ValueError) as error:
        raise Refused(f"It is not a PDX file, which is a zip archive ({error}).") from error
    usable = [document for document in found if document]
    if not usable:
        raise Refused("It has no ODX document that can be read.")
    return usable


def _checked(archive: ZipFile) -> Iterator[ZipInfo]:
    """Yield the ODX documents of an archive by whose directory nothing is suspicious."""
    members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        raise Refused(f"It has {len(members)} members, and {MAX_MEMBERS} are allowed.")
    if len({member.filename for member in members}) < len(members):
        raise Refused("Two of its members have the same name.")
    if sum(member.file_size for member in members) > MAX_BYTES:
        raise Refused(f"Its members are larger than {MAX_BYTES // 1024**2} MB.")
    for member in members:
        _check(member)
        if PurePosixPath(member.filename).suffix.lower().startswith(".odx"):
            yield member


def _check(member: ZipInfo) -> None:
    name = clean(member.filename, 100)
    parts = member.filename.replace("\\", "/").split("/")
    if ".." in parts or parts[0] == "" or ":" in parts[0]:
        raise Refused(f"The name of its member {name} leads out of the archive.")
    if member.flag_bits & ENCRYPTED:
        raise Refused(f"Its member {name} is encrypted.")
    is_large = member.file_size > SMALL_BYTES
    if is_large and member.file_size > MAX_RATIO * max(1, member.compress_size):
        raise Refused(f"Its member {name} grows more than {MAX_RATIO} times when it is unpacked.")


def _document(archive: ZipFile, member: ZipInfo, left_out: LeftOut) -> Document | None:
    parser = ElementTree.XMLParser(target=_Builder())
    try:
        with archive.open(member) as file:
            root = ElementTree.parse(file, parser).getroot()
    except ElementTree.ParseError as error:
        left_out.add(member.filename, f"It is not well-formed XML: {error}")
        return None
    return Document(clean(member.filename), root)


class _Builder(ElementTree.TreeBuilder):
    """Builds a tree of bounded depth, and no entities: a declaration of them is refused."""

    _depth = 0

    def doctype(self, *_: object) -> None:
        raise Refused("It declares a document type, by which XML can grow without end.")

    def start(self, tag: str, attributes: dict[str, str]) -> Element:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Refused(f"Its elements are nested deeper than {MAX_DEPTH} levels.")
        return super().start(tag, attributes)

    def end(self, tag: str) -> Element:
        self._depth -= 1
        return super().end(tag)
