"""A PDX file of an invented engine control unit, as ODX 2.2 writes it."""

from collections.abc import Mapping
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile

UINT, INT, TEXT = "A_UINT32", "A_INT32", "A_ASCIISTRING"


def archive(members: Mapping[str, str | bytes]) -> bytes:
    file = BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as pdx:
        for name, content in members.items():
            pdx.writestr(name, content)
    return file.getvalue()


def document(base: str, variants: str = "") -> str:
    """Return an ODX document with one base variant, ENGINE, and ECU variants."""
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<ODX MODEL-VERSION="2.2.0"><DIAG-LAYER-CONTAINER ID="engine">
<SHORT-NAME>engine</SHORT-NAME><ADMIN-DATA><DOC-REVISIONS><DOC-REVISION>
<REVISION-LABEL>4.2</REVISION-LABEL><DATE>2026-01-31T12:00:00</DATE></DOC-REVISION></DOC-REVISIONS>
</ADMIN-DATA>
<BASE-VARIANTS><BASE-VARIANT ID="base"><SHORT-NAME>ENGINE</SHORT-NAME>{base}
</BASE-VARIANT></BASE-VARIANTS>{variants}</DIAG-LAYER-CONTAINER></ODX>"""


def layer(dops: str, services: "list[Service]", dtcs: str = "") -> str:
    dtc_dop = f"""<DTC-DOPS><DTC-DOP ID="dtcs"><SHORT-NAME>dtcs</SHORT-NAME>{coded(UINT, 24)}
<PHYSICAL-TYPE BASE-DATA-TYPE="A_UINT32"/><COMPU-METHOD><CATEGORY>IDENTICAL</CATEGORY>
</COMPU-METHOD><DTCS>{dtcs}</DTCS></DTC-DOP></DTC-DOPS>"""
    return f"""<DIAG-DATA-DICTIONARY-SPEC>{dtc_dop if dtcs else ""}{dops}
</DIAG-DATA-DICTIONARY-SPEC>
<DIAG-COMMS>{"".join(each.service for each in services)}</DIAG-COMMS>
<REQUESTS>{"".join(each.request for each in services)}</REQUESTS>
<POS-RESPONSES>{"".join(each.response for each in services)}</POS-RESPONSES>"""


def coded(kind: str, bits: int, more: str = "") -> str:
    return (
        f'<DIAG-CODED-TYPE BASE-DATA-TYPE="{kind}" xsi:type="STANDARD-LENGTH-TYPE" {more} '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
        f"<BIT-LENGTH>{bits}</BIT-LENGTH></DIAG-CODED-TYPE>"
    )


def variable(low: int, high: int, end: str) -> str:
    return (
        f'<DIAG-CODED-TYPE BASE-DATA-TYPE="{TEXT}" TERMINATION="{end}" '
        'xsi:type="MIN-MAX-LENGTH-TYPE" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
        f"<MAX-LENGTH>{high}</MAX-LENGTH><MIN-LENGTH>{low}</MIN-LENGTH></DIAG-CODED-TYPE>"
    )


IDENTICAL = "<CATEGORY>IDENTICAL</CATEGORY>"


def linear(offset: float, factor: float, divisor: float = 1, limits: str = "") -> str:
    return f"""<CATEGORY>LINEAR</CATEGORY><COMPU-INTERNAL-TO-PHYS><COMPU-SCALES><COMPU-SCALE>
{limits}<COMPU-RATIONAL-COEFFS><COMPU-NUMERATOR><V>{offset}</V><V>{factor}</V></COMPU-NUMERATOR>
<COMPU-DENOMINATOR><V>{divisor}</V></COMPU-DENOMINATOR></COMPU-RATIONAL-COEFFS></COMPU-SCALE>
</COMPU-SCALES></COMPU-INTERNAL-TO-PHYS>"""


def texts(table: Mapping[tuple[int, int], str]) -> str:
    scales = "".join(
        f"<COMPU-SCALE><LOWER-LIMIT>{low}</LOWER-LIMIT><UPPER-LIMIT>{high}</UPPER-LIMIT>"
        f"<COMPU-CONST><VT>{text}</VT></COMPU-CONST></COMPU-SCALE>"
        for (low, high), text in table.items()
    )
    return (
        "<CATEGORY>TEXTTABLE</CATEGORY><COMPU-INTERNAL-TO-PHYS>"
        f"<COMPU-SCALES>{scales}</COMPU-SCALES></COMPU-INTERNAL-TO-PHYS>"
    )


def dop(name: str, type_: str, physical: str, method: str = IDENTICAL, unit: str = "") -> str:
    unit_ref = f'<UNIT-REF ID-REF="{unit}"/>' if unit else ""
    return f"""<DATA-OBJECT-PROP ID="dop.{name}"><SHORT-NAME>{name}</SHORT-NAME>
<COMPU-METHOD>{method}</COMPU-METHOD>{type_}<PHYSICAL-TYPE BASE-DATA-TYPE="{physical}"/>{unit_ref}
</DATA-OBJECT-PROP>"""


class Service:
    """A service with its request and positive response."""

    def __init__(self, name: str, title: str, request: str, fields: str = "") -> None:
        self.service = f"""<DIAG-SERVICE ID="s.{name}"><SHORT-NAME>{name}</SHORT-NAME>
<LONG-NAME>{title}</LONG-NAME><REQUEST-REF ID-REF="rq.{name}"/>
<POS-RESPONSE-REFS><POS-RESPONSE-REF ID-REF="pr.{name}"/></POS-RESPONSE-REFS></DIAG-SERVICE>"""
        self.request = f"""<REQUEST ID="rq.{name}"><SHORT-NAME>RQ_{name}</SHORT-NAME>
<PARAMS>{constants(bytes.fromhex(request))}</PARAMS></REQUEST>"""
        echo = bytes.fromhex(request)
        echo = bytes([echo[0] + 0x40]) + echo[1:]
        self.response = f"""<POS-RESPONSE ID="pr.{name}"><SHORT-NAME>PR_{name}</SHORT-NAME>
<PARAMS>{constants(echo)}{fields}</PARAMS></POS-RESPONSE>"""


def constants(data: bytes) -> str:
    return "".join(
        f"""<PARAM xsi:type="CODED-CONST" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<SHORT-NAME>byte{place}</SHORT-NAME><BYTE-POSITION>{place}</BYTE-POSITION>
<CODED-VALUE>{byte}</CODED-VALUE>{coded(UINT, 8)}</PARAM>"""
        for place, byte in enumerate(data)
    )


def value(name: str, dop_name: str, at: int | None = None, bit: int = 0) -> str:
    position = f"<BYTE-POSITION>{at}</BYTE-POSITION>" if at is not None else ""
    position += f"<BIT-POSITION>{bit}</BIT-POSITION>" if bit else ""
    return f"""<PARAM xsi:type="VALUE" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<SHORT-NAME>{name}</SHORT-NAME>{position}<DOP-REF ID-REF="dop.{dop_name}"/></PARAM>"""


def dtc(name: str, code: int, text: str) -> str:
    return f"""<DTC ID="dtc.{name}"><SHORT-NAME>{name}</SHORT-NAME>
<TROUBLE-CODE>{code}</TROUBLE-CODE><TEXT>{text}</TEXT></DTC>"""


UNITS = """<UNIT-SPEC><UNITS>
<UNIT ID="unit.C"><SHORT-NAME>C</SHORT-NAME><DISPLAY-NAME>°C</DISPLAY-NAME></UNIT>
<UNIT ID="unit.rpm"><SHORT-NAME>rpm</SHORT-NAME><DISPLAY-NAME>1/min</DISPLAY-NAME></UNIT>
</UNITS></UNIT-SPEC>"""
LITTLE = 'IS-HIGHLOW-BYTE-ORDER="false"'
LIMITS = "<LOWER-LIMIT>0</LOWER-LIMIT><UPPER-LIMIT>200</UPPER-LIMIT>"
DOPS = "".join(
    [
        dop("temperature", coded(UINT, 8), "A_FLOAT64", linear(-40, 1), "unit.C"),
        dop("speed", coded(UINT, 16), "A_FLOAT64", linear(0, 1, 4), "unit.rpm"),
        dop("limited", coded(UINT, 8), "A_FLOAT64", linear(0, 1.5, 1, LIMITS)),
        dop("signed", coded(INT, 16, LITTLE), INT),
        dop("vin", coded(TEXT, 136), "A_UNICODE2STRING"),
        dop("name", variable(1, 20, "ZERO"), "A_UNICODE2STRING"),
        dop("rest", variable(0, 50, "END-OF-PDU"), "A_UNICODE2STRING"),
        dop("float", coded("A_FLOAT32", 32), "A_FLOAT32"),
        dop("bytes", coded("A_BYTEFIELD", 32), "A_BYTEFIELD"),
        dop("decimal", coded(UINT, 16, 'BASE-TYPE-ENCODING="BCD-P"'), UINT),
        dop(
            "gear",
            coded(UINT, 3),
            "A_UNICODE2STRING",
            texts({(0, 0): "Park", (1, 1): "Reverse", (2, 7): "Forward"}),
        ),
        dop("flag", coded(UINT, 1), "A_UNICODE2STRING", texts({(0, 0): "off", (1, 1): "on"})),
    ]
)
SERVICES = [
    Service("Coolant", "Coolant temperature", "22D001", value("value", "temperature", 3)),
    Service("Speed", "Engine speed", "22D002", value("value", "speed")),
    Service("Limited", "Limited value", "22D003", value("value", "limited")),
    Service("Signed", "Signed value", "22D004", value("value", "signed")),
    Service("Vin", "Vehicle identification number", "22F190", value("vin", "vin")),
    Service("Names", "Two names", "22D005", value("first", "name") + value("second", "rest")),
    Service("Float", "Lambda", "22D006", value("lambda", "float")),
    Service("Bytes", "Key bytes", "22D007", value("key", "bytes")),
    Service("Decimal", "Year of production", "22D008", value("year", "decimal")),
    Service(
        "Status",
        "Engine status",
        "22D009",
        value("gear", "gear", 3, 5)
        + value("running", "flag", 3)
        + value("coolant", "temperature", 4)
        + value("speed", "speed"),
    ),
    Service("SetLimit", "Limit of speed", "2ED00A"),
    Service("StartTest", "Self-test", "31010203"),
    Service("StopTest", "Stop of the self-test", "31020203"),
]
DTCS = dtc("DTC_P0420", 0x042000, "Catalyst efficiency too low") + dtc(
    "DTC_P0113", 0x011316, "Intake air sensor open"
)


def engine() -> str:
    """Return the document: a base variant, and a variant with one identifier more."""
    more = [Service("Oil", "Oil temperature", "22D010", value("value", "temperature"))]
    variant = f"""<ECU-VARIANTS><ECU-VARIANT ID="v2"><SHORT-NAME>ENGINE_V2</SHORT-NAME>
{layer("", more)}<PARENT-REFS><PARENT-REF ID-REF="base" xsi:type="BASE-VARIANT-REF"
xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"/></PARENT-REFS></ECU-VARIANT></ECU-VARIANTS>"""
    dops = f"<DATA-OBJECT-PROPS>{DOPS}</DATA-OBJECT-PROPS>{UNITS}"
    return document(layer(dops, SERVICES, DTCS), variant)


def pdx() -> bytes:
    return archive(
        {"index.xml": "<CATALOG><SHORT-NAME>e</SHORT-NAME></CATALOG>", "engine.odx-d": engine()}
    )


def condition(service: str, parameter: str, expected: str) -> str:
    return f"""<MATCHING-PARAMETER><EXPECTED-VALUE>{expected}</EXPECTED-VALUE>
<DIAG-COMM-SNREF SHORT-NAME="{service}"/><OUT-PARAM-IF-SNREF SHORT-NAME="{parameter}"/>
</MATCHING-PARAMETER>"""


def variant(name: str, services: "list[Service]", *patterns: str) -> str:
    """Return an ECU variant of ENGINE; each pattern is its conditions."""
    found = "".join(
        "<ECU-VARIANT-PATTERN><MATCHING-PARAMETERS>"
        f"{pattern}</MATCHING-PARAMETERS></ECU-VARIANT-PATTERN>"
        for pattern in patterns
    )
    return f"""<ECU-VARIANT ID="{name}"><SHORT-NAME>{name}</SHORT-NAME>{layer("", services)}
<ECU-VARIANT-PATTERNS>{found}</ECU-VARIANT-PATTERNS><PARENT-REFS>
<PARENT-REF ID-REF="base" xsi:type="BASE-VARIANT-REF"
xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"/></PARENT-REFS></ECU-VARIANT>"""


def recognizable() -> bytes:
    """Return a file whose variants are told by the software version; one pattern is not usable."""
    software = Service("Software", "Version of the software", "22F189", value("text", "version"))
    parts = [
        Service(f"Part{number}", f"Part number of V{number}", "22F187", value("text", "rest"))
        for number in (1, 2)
    ]
    variants = variant(
        "ENGINE_V1", parts[:1], condition("Software", "text", "1.4.2") + SPEED_IS_ZERO
    ) + variant(
        "ENGINE_V2",
        parts[1:],
        condition("StartTest", "result", "1"),
        condition("Software", "text", "2.7.1") + condition("Part2", "text", "DEMO-1010-01"),
        condition("Software", "text", "1.4.2"),
    )
    dops = DOPS + dop("version", coded(TEXT, 40), "A_UNICODE2STRING")
    dops = f"<DATA-OBJECT-PROPS>{dops}</DATA-OBJECT-PROPS>{UNITS}"
    base = layer(dops, [*SERVICES, software], DTCS)
    text = document(base, f"<ECU-VARIANTS>{variants}</ECU-VARIANTS>")
    return archive({"engine.odx-d": text})


SPEED_IS_ZERO = condition("Speed", "value", "0")
