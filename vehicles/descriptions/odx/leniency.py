"""Removal of the elements that the library would fail on, so that all others can be read."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from xml.etree.ElementTree import Element

from odxtools.dataobjectproperty import DataObjectProperty
from odxtools.diagnostictroublecode import DiagnosticTroubleCode
from odxtools.diagservice import DiagService
from odxtools.dtcdop import DtcDop
from odxtools.endofpdufield import EndOfPduField
from odxtools.multiplexer import Multiplexer
from odxtools.odxdoccontext import OdxDocContext
from odxtools.request import Request
from odxtools.response import Response
from odxtools.singleecujob import SingleEcuJob
from odxtools.structure import Structure
from odxtools.table import Table
from odxtools.unit import Unit

from vehicles.descriptions.odx.archive import Document
from vehicles.descriptions.odx.refusal import LeftOut

READERS: dict[str, Callable[[Element, OdxDocContext], Any]] = {
    "DTC": DiagnosticTroubleCode.from_et,
    "DATA-OBJECT-PROP": DataObjectProperty.from_et,
    "DTC-DOP": DtcDop.from_et,
    "UNIT": Unit.from_et,
    "STRUCTURE": Structure.from_et,
    "END-OF-PDU-FIELD": EndOfPduField.from_et,
    "MUX": Multiplexer.from_et,
    "TABLE": Table.from_et,
    "REQUEST": Request.from_et,
    "POS-RESPONSE": Response.from_et,
    "NEG-RESPONSE": Response.from_et,
    "GLOBAL-NEG-RESPONSE": Response.from_et,
    "DIAG-SERVICE": DiagService.from_et,
    "SINGLE-ECU-JOB": SingleEcuJob.from_et,
}
REFERENCE = "-REF"
# An element cannot do without one of these; of all others only the reference is removed.
NEEDED = {
    "REQUEST-REF",
    "DOP-REF",
    "DATA-OBJECT-PROP-REF",
    "DTC-DOP-REF",
    "STRUCTURE-REF",
    "BASIC-STRUCTURE-REF",
    "TABLE-REF",
    "TABLE-ROW-REF",
    "TABLE-KEY-REF",
    "LENGTH-KEY-REF",
    "KEY-DOP-REF",
}


def name_of(element: Element) -> str:
    """Return how a report calls an element."""
    return element.findtext("SHORT-NAME") or element.get("ID") or element.tag


def drop_unreadable(document: Document, context: OdxDocContext, left_out: LeftOut) -> None:
    """Remove each element that the library cannot read by itself, the innermost first."""
    for parent in list(document.root.iter())[::-1]:
        for element in [child for child in parent if child.tag in READERS]:
            try:
                READERS[element.tag](element, context)
            except Exception as error:
                left_out.add(name_of(element), error)
                parent.remove(element)


def drop_dangling(documents: Iterable[Document], left_out: LeftOut) -> None:
    """Remove each element that refers to one that is not there, until none does."""
    trees = _Trees(documents)
    while dangling := list(trees.dangling()):
        for owner, reference in dangling:
            is_needed = reference.tag in NEEDED
            if trees.remove(owner if is_needed else reference):
                missing = f"{reference.get('ID-REF')}, which is not in the file or was left out."
                what = "It refers to" if is_needed else f"Only its {reference.tag} to"
                left_out.add(name_of(owner), f"{what} {missing}")


class _Trees:
    """The elements of all documents by their IDs, and the parents of all."""

    def __init__(self, documents: Iterable[Document]) -> None:
        self._parents: dict[Element, Element] = {}
        self._ids: defaultdict[str, set[Element]] = defaultdict(set)
        self._references: set[Element] = set()
        for document in documents:
            for parent in document.root.iter():
                self._parents.update(dict.fromkeys(parent, parent))
                self._note(parent)

    def _note(self, element: Element) -> None:
        if number := element.get("ID"):
            self._ids[number].add(element)
        if element.tag.endswith(REFERENCE) and element.get("ID-REF"):
            self._references.add(element)

    def dangling(self) -> Iterator[tuple[Element, Element]]:
        for reference in list(self._references):
            if not self._ids[reference.get("ID-REF", "")]:
                yield self._owner(reference), reference

    def _owner(self, reference: Element) -> Element:
        """Return the nearest element that has a name, and is no parameter.

        Without one of its parameters a response would be read wrongly.
        """
        element = reference
        while element in self._parents and (
            element.tag == "PARAM" or element.find("SHORT-NAME") is None
        ):
            element = self._parents[element]
        return element if element in self._parents else reference

    def remove(self, element: Element) -> bool:
        """Remove an element with all that it contains. Return False if it is gone already."""
        parent = self._parents.pop(element, None)
        if parent is None:
            return False
        parent.remove(element)
        for each in element.iter():
            self._parents.pop(each, None)
            self._references.discard(each)
            self._ids[each.get("ID", "")].discard(each)
        return True
