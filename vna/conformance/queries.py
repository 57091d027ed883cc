"""The keys of the statement, how each is matched and in which character sets they are answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vna.conformance.table import Row, Table, listed, table
from vna.dicom.attributes import BY_LEVEL, COMPUTED, UNIQUE_KEYS, Attribute
from vna.dicom.charset import CODECS
from vna.dicom.coded_sets import AREAS, MULTI_BYTE, STAND_ALONE, CodedSet, number_of
from vna.dicom.encode import encode_dataset
from vna.dicom.json import dataset_json
from vna.dicom.matching import MATCHABLE_VRS, TIME_OF_DATE, attribute_name, parse_match
from vna.dicom.person_names import names_by_key
from vna.dicom.query_keys import keys_of_identifier
from vna.errors import InvalidQuery
from vna.model.identifiers import Level
from vna.model.query import AnyOf, JsonElement, Match, OneOf, Range, SingleValue, Wildcard

REQUIRED = frozenset(
    [
        "PatientName",
        "StudyDate",
        "StudyTime",
        "AccessionNumber",
        "StudyID",
        "Modality",
        "SeriesNumber",
        "InstanceNumber",
    ]
)
"""Required keys of PS3.4 tables C.6-1 to C.6-4."""

_SAMPLES = {
    "DA": ("20200101", "20210101"),
    "TM": ("101010.000000", "111111.000000"),
    "DT": ("20200101101010.000000", "20210101101010.000000"),
    "AS": ("010Y", "020Y"),
    "AT": ("00100010", "00100020"),
    "UI": ("1.2.3", "1.2.4"),
}
_PLAIN = ("1", "2")
_KEY = "00100010"


def matching_table() -> Table:
    """The types of matching of each VR (PS3.4 C.2.2.2), by trying them."""
    by_types: dict[tuple[str, ...], list[str]] = {}
    for vr in sorted(MATCHABLE_VRS):
        by_types.setdefault(tuple(matching_types(vr)), []).append(vr)
    rows = [(listed(vrs), listed(types)) for types, vrs in by_types.items()]
    return table(
        "VR | matching", [*rows, ("SQ", "sequence: one item matches all keys of the item")]
    )


def matching_types(vr: str) -> Iterator[str]:
    """How a key of `vr` can match, besides universally."""
    one, other = _SAMPLES.get(vr, _PLAIN)
    tries: tuple[tuple[str, str, type[Match] | tuple[type[Match], ...]], ...] = (
        ("single value", one, SingleValue),
        ("list", rf"{one}\{other}", AnyOf),
        ("wildcards", one[:1] + "*", Wildcard),
        ("list with wildcards", rf"{one[:1]}*\{other}", OneOf),
        ("range", f"{one}-{other}", Range),
    )
    for name, text, kind in tries:
        try:
            match = parse_match(vr, text)
        except InvalidQuery:
            continue
        if isinstance(match, kind):
            yield name


def key_table(level: Level) -> Table:
    """The keys of a level: those that the index keeps, and computed ones."""
    computed = [item for item in COMPUTED if item.level is level and is_matched(item)]
    found = sorted({item.tag: item for item in (*BY_LEVEL[level], *computed)}.values(), key=_tag)
    return table(
        "keyword | tag | VR | type | matching", (_key_row(item, computed) for item in found)
    )


def _tag(attribute: Attribute) -> int:
    return attribute.tag


def _key_row(attribute: Attribute, computed: Sequence[Attribute]) -> Row:
    kind = "optional"
    if attribute in UNIQUE_KEYS.values():
        kind = "unique"
    elif attribute.keyword in REQUIRED:
        kind = "required"
    elif attribute in computed:
        kind = "computed"
    tag = attribute_name(attribute.tag).removeprefix(attribute.keyword).strip(" ")
    return attribute.keyword, tag, attribute.vr, kind, _matching_of(attribute)


def _matching_of(attribute: Attribute) -> str:
    if not is_matched(attribute):
        return "return only"
    if attribute.vr == "SQ":
        return "sequence"
    return "fuzzy, too" if is_fuzzy(attribute) else "by its VR"


def is_matched(attribute: Attribute) -> bool:
    """Whether a value in a query makes a filter, by asking."""
    return bool(keys_of_identifier({attribute.key: _element(attribute.vr)}).filters)


def is_fuzzy(attribute: Attribute) -> bool:
    """Whether the index keeps the tokens of such a name, by asking."""
    return bool(names_by_key({attribute.key: _element(attribute.vr)}))


def _element(vr: str) -> JsonElement:
    if vr == "SQ":
        return {"vr": "SQ", "Value": [{"00080104": _element("LO")}]}
    value = _SAMPLES.get(vr, _PLAIN)[0]
    return {"vr": vr, "Value": [{"Alphabetic": "Doe"} if vr == "PN" else value]}


def pair_table() -> Table:
    """Dates with the times that belong to them (combined matching, time zones)."""
    return table(
        "date | time",
        ((attribute_name(date), attribute_name(time)) for date, time in TIME_OF_DATE.items()),
    )


def unmatched_keywords() -> str:
    """The keys that are returned and never matched."""
    items = {item.keyword: item for table in BY_LEVEL.values() for item in table}
    items |= {item.keyword: item for item in COMPUTED}
    names = [name for name, item in items.items() if not is_matched(item)]
    return listed(sorted(names))


def charset_table() -> Table:
    """The defined terms of Specific Character Set that are read and written."""
    numbers = dict.fromkeys(number_of(term) for term in CODECS if term not in STAND_ALONE)
    rows = [_charset_row(number) for number in numbers]
    rows += [(term, "–", codec, "") for term, codec in STAND_ALONE.items()]
    return table("without code extensions | with them | G0, G1 | also read under that label", rows)


def _charset_row(number: str) -> Row:
    single = "–" if number in MULTI_BYTE else f"ISO_IR {number}"
    areas = [area for area in AREAS[number] if area is not None]
    extensions = dict.fromkeys(area.extension for area in areas if area.extension)
    return (
        f"{single}, or none" if number == "6" else single,
        f"ISO 2022 IR {number}",
        listed(map(_set_name, areas)),
        listed(extensions, ""),
    )


def _set_name(area: CodedSet) -> str:
    return f"ISO-IR {area.name}"


def answer_table() -> Table:
    """Which label an answer has, by encoding some."""
    cases = (
        ("Doe", "ISO_IR 100", ""),
        ("Müller", "ISO_IR 100", ""),
        ("Müller", "", ""),
        ("Müller", "", "ISO_IR 192"),
        ("Иванов", "ISO_IR 144", "ISO_IR 100"),
        ("Иванов", "ISO_IR 100", ""),
        ("Yamada=山田", r"\ISO 2022 IR 87", "ISO_IR 192"),
        ("Müller 山田", r"\ISO 2022 IR 87", ""),
    )
    return table(
        "text | label of the data | label of the request | label of the answer",
        (
            (text, own or "none", asked or "none", _label(text, own, asked))
            for text, own, asked in cases
        ),
    )


def _label(text: str, own: str, asked: str) -> str:
    attributes: dict[str, JsonElement] = {_KEY: {"vr": "PN", "Value": [{"Alphabetic": text}]}}
    if own:
        attributes["00080005"] = {"vr": "CS", "Value": own.split("\\")}
    data = encode_dataset(attributes, requested=asked)
    found = dataset_json(data, dataset_offset=0, transfer_syntax_uid="1.2.840.10008.1.2.1")
    values = found.get("00080005", {}).get("Value")
    return "\\".join(str(value or "") for value in values) if isinstance(values, list) else "none"
