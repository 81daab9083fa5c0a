"""What the layers of a PDX file say of trouble codes, identifiers and routines."""

import logging
from collections.abc import Iterator
from typing import Any

from odxtools import exceptions
from odxtools.database import Database
from odxtools.diaglayers.basevariant import BaseVariant
from odxtools.diaglayers.ecuvariant import EcuVariant
from odxtools.odxdoccontext import OdxDocContext
from odxtools.odxlink import DocType, OdxDocFragment
from packaging.version import Version

from vehicles.descriptions.odx.archive import Document, documents
from vehicles.descriptions.odx.layers import MAX_NAME, Entries, Reader
from vehicles.descriptions.odx.leniency import drop_dangling, drop_unreadable
from vehicles.descriptions.odx.patterns import PatternReader
from vehicles.descriptions.odx.refusal import LeftOut, Refused, clean

MAX_LAYERS = 2_000
MAX_ENTRIES = 1_000_000
REVISIONS = "DIAG-LAYER-CONTAINER/ADMIN-DATA/DOC-REVISIONS/DOC-REVISION"

Variant = BaseVariant | EcuVariant


def read(content: bytes) -> Iterator[Any]:
    """Yield the report, then `[layer, kind, number, name, coding]` for each entry."""
    left_out = LeftOut()
    found_documents = documents(content, left_out)
    revision = _revision(found_documents)
    database = _database(found_documents, left_out)
    layers = _layers(database)
    reader = Reader(left_out)
    found = [reader.entries_of(layer) for layer in layers]
    own = [_own_entries(layers, found, place) for place in range(len(layers))]
    if sum(map(len, own)) > MAX_ENTRIES:
        raise Refused(f"It describes more than {MAX_ENTRIES} elements.")
    patterns = PatternReader(reader, left_out)
    about = [
        {
            "name": layer.short_name,
            "base": _place_of_base(layers, layer),
            "patterns": patterns.patterns_of(layer),
        }
        for layer in layers
    ]
    yield {"revision": revision, "layers": about, "left_out": left_out.report()}
    for place, entries in enumerate(own):
        for (kind, number), (name, coding) in entries.items():
            yield [place, kind, number, name, coding]


def _revision(found: list[Document]) -> str:
    """Return the latest revision of each container, as they name them."""
    labels = {
        clean(revisions[-1].findtext("REVISION-LABEL") or "")
        for document in found
        if (revisions := document.root.findall(REVISIONS))
    }
    return clean(", ".join(sorted(labels - {""})), MAX_NAME)


def _own_entries(layers: list[Variant], found: list[Entries], place: int) -> Entries:
    """Return what a layer has differently from its base; what it lacks has an empty name."""
    base = _place_of_base(layers, layers[place])
    if base is None:
        return found[place]
    own = {key: entry for key, entry in found[place].items() if found[base].get(key) != entry}
    return own | {key: ("", {}) for key in found[base].keys() - found[place].keys()}


def _layers(database: Database) -> list[Variant]:
    layers: list[Variant] = [*database.base_variants, *database.ecu_variants]
    if not layers:
        raise Refused("It has no base variant or ECU variant that can be read.")
    if len(layers) > MAX_LAYERS:
        raise Refused(f"It has {len(layers)} variants, and {MAX_LAYERS} are allowed.")
    return layers


def _place_of_base(layers: list[Variant], layer: Variant) -> int | None:
    base = layer.base_variant if isinstance(layer, EcuVariant) else None
    return next((place for place, each in enumerate(layers) if each is base), None)


# --- The library's view of the file


def _database(found: list[Document], left_out: LeftOut) -> Database:
    """Return the database of all documents that can be read. Raise Refused."""
    drop_dangling(found, left_out)
    try:
        return _linked(found)
    except (MemoryError, RecursionError):
        raise
    except Exception:
        return _linked_leniently(_readable(found, left_out), left_out)


def _readable(found: list[Document], left_out: LeftOut) -> list[Document]:
    """Return the documents that can be read, without the elements that cannot."""
    readable = [document for document in found if _is_readable(document, left_out)]
    drop_dangling(readable, left_out)
    return readable


def _is_readable(document: Document, left_out: LeftOut) -> bool:
    """Try a document on its own, a second time without the elements that are wrong."""
    if (problem := _problem(document)) is None:
        return True
    drop_unreadable(document, _context(document), left_out)
    if (still := _problem(document)) is not None:
        left_out.add(document.name, f"The document cannot be read: {still or problem}")
    return still is None


def _problem(document: Document) -> str | None:
    try:
        Database().add_odx_xml_tree(document.root)
    except (MemoryError, RecursionError):
        raise
    except Exception as error:
        return str(error) or type(error).__name__
    return None


def _context(document: Document) -> OdxDocContext:
    version = Version(document.root.get("MODEL-VERSION", "2.0"))
    name = document.root.findtext("*/SHORT-NAME") or ""
    return OdxDocContext(version, (OdxDocFragment(name, DocType.CONTAINER),))


def _linked(readable: list[Document]) -> Database:
    database = Database(use_weakrefs=False)
    for document in readable:
        database.add_odx_xml_tree(document.root)
    database.refresh()
    return database


def _linked_leniently(readable: list[Document], left_out: LeftOut) -> Database:
    """Link the documents; if that fails still, leave out what the library cannot find and logs."""
    try:
        return _linked(readable)
    except (MemoryError, RecursionError):
        raise
    except Exception:
        return _linked_with_warnings(readable, left_out)


def _linked_with_warnings(readable: list[Document], left_out: LeftOut) -> Database:
    logger = logging.getLogger("odxtools")
    logger.addHandler(_Notes(left_out))
    exceptions.strict_mode = False
    try:
        return _linked(readable)
    except (MemoryError, RecursionError):
        raise
    except Exception as error:
        raise Refused(f"Its elements do not fit together: {clean(str(error))}.") from error
    finally:
        exceptions.strict_mode = True


class _Notes(logging.Handler):
    """Handler of the library's warnings, which become part of the report."""

    def __init__(self, left_out: LeftOut) -> None:
        super().__init__(logging.WARNING)
        self._left_out = left_out

    def emit(self, record: logging.LogRecord) -> None:
        self._left_out.add("warning", record.getMessage())
