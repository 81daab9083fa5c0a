"""PDX files that want to harm the process that imports them, and a part of each one's reason."""

import struct
from collections.abc import Callable

from vehicles.tests import pdx

Make = Callable[[], bytes]
LAUGHS = """<?xml version="1.0"?><!DOCTYPE ODX [<!ENTITY a "aaaaaaaaaa">
<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]><ODX>&b;</ODX>"""
EXTERNAL = '<!DOCTYPE ODX [<!ENTITY a SYSTEM "file:///etc/passwd">]><ODX>&a;</ODX>'


def named(name: str) -> Make:
    return lambda: pdx.archive({"engine.odx-d": pdx.engine(), name: "x"})


def of(text: str) -> Make:
    return lambda: pdx.archive({"engine.odx-d": text})


def bomb() -> bytes:
    return pdx.archive({"engine.odx-d": b" " * (64 * 1024**2)})


def false_size() -> bytes:
    """Return an archive whose directory says that its member has four gigabytes."""
    content = bytearray(pdx.archive({"engine.odx-d": pdx.engine()}))
    directory = content.rindex(b"PK\x01\x02")
    content[directory + 24 : directory + 28] = struct.pack("<I", 0xFFFFFFF0)
    return bytes(content)


def encrypted() -> bytes:
    content = bytearray(pdx.archive({"engine.odx-d": pdx.engine()}))
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def many_members() -> bytes:
    return pdx.archive({f"{number}.odx-d": "" for number in range(10_001)})


def wide() -> bytes:
    """Return a document of elements that cost much memory and few bytes."""
    text = "".join(f"<a{number}/>" for number in range(2_000_000))
    return pdx.archive({"engine.odx-d": f"<ODX>{text}</ODX>"})


def circle() -> str:
    parent = """<PARENT-REFS><PARENT-REF ID-REF="base" xsi:type="BASE-VARIANT-REF"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"/></PARENT-REFS>"""
    return pdx.document(pdx.layer("", pdx.SERVICES[-1:]) + parent)


HOSTILE: dict[str, tuple[Make, str]] = {
    "no archive": (lambda: b"not a zip archive", "not a PDX file"),
    "cut archive": (lambda: pdx.pdx()[:-200], "not a PDX file"),
    "empty archive": (lambda: pdx.archive({}), "no ODX document"),
    "bomb": (bomb, "grows more than"),
    "false size": (false_size, "larger than"),
    "encrypted": (encrypted, "encrypted"),
    "many members": (many_members, "10000 are allowed"),
    "path": (named("../../evil.odx-d"), "leads out"),
    "absolute path": (named("/etc/evil.odx-d"), "leads out"),
    "entities": (of(LAUGHS), "document type"),
    "external entity": (of(EXTERNAL), "document type"),
    "depth": (of("<ODX>" * 200_000), "nested deeper"),
    "memory": (wide, "DESCRIPTION_IMPORT_MEMORY_MB"),
    "circle": (of(circle()), "circle"),
    "no layers": (of("<ODX MODEL-VERSION='2.2.0'/>"), "no base variant"),
}
