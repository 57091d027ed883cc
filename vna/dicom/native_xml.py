"""Attributes of the DICOM JSON model as Native DICOM Model documents (PS3.19 A.1, PS3.18 F.3)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from pydicom.datadict import keyword_for_tag

from vna.dicom.native_xml_reader import read_xml
from vna.model.query import JsonElement

__all__ = ["NAMESPACE", "read_xml", "write_xml", "xml_chunks"]

NAMESPACE = "http://dicom.nema.org/PS3.19/models/NativeDICOM"

_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    f'<NativeDicomModel xmlns="{NAMESPACE}" xml:space="preserve">'
)
_TAIL = "</NativeDicomModel>"
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_COMPONENTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
_ODD = frozenset("13579BDF")
_ODD_TEXT = re.compile("[^\t\n !#-%'-;=?-\x7e\u00a0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;"}
_LEGAL = re.compile("[\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_xml(attributes: Mapping[str, JsonElement]) -> bytes:
    """`attributes`, keyed by eight upper-case hex digits, as one document in UTF-8, ordered by tag.

    `read_xml` gives the same attributes again, but for characters that XML 1.0 can't carry: those become U+FFFD.
    Private elements stand under their creator, without a block number where the creator has one block
    (PS3.19 table A.1.5-2); the creators are listed, too.
    """
    out = [_HEAD]
    _dataset(out, attributes)
    out.append(_TAIL)
    return "".join(out).encode("utf-8")


def xml_chunks(
    attributes: Mapping[str, JsonElement],
    sequences: Mapping[str, Iterable[Mapping[str, JsonElement]]],
) -> Iterator[bytes]:
    """As `write_xml`, with sequences whose items are taken one by one as the document is written.

    They stand behind `attributes`.
    """
    out = [_HEAD]
    _dataset(out, attributes)
    yield "".join(out).encode("utf-8")
    for tag, items in sequences.items():
        yield _opening(tag, "SQ").encode("utf-8")
        for number, item in enumerate(items, 1):
            out = [f'<Item number="{number}">']
            _dataset(out, item)
            yield "".join([*out, "</Item>"]).encode("utf-8")
        yield b"</DicomAttribute>"
    yield _TAIL.encode("utf-8")


def _dataset(out: list[str], attributes: Mapping[str, JsonElement]) -> None:
    creators = _creators(attributes)
    for tag in sorted(attributes):
        element = attributes[tag]
        vr = element.get("vr")
        vr = vr if isinstance(vr, str) else "UN"
        creator = creators.get(tag[:6]) if tag[3] in _ODD else None
        out.append(_opening(tag, vr) if creator is None else _private_opening(tag, vr, creator))
        _content(out, vr, element)
        out.append("</DicomAttribute>")


def _content(out: list[str], vr: str, element: JsonElement) -> None:
    values = element.get("Value")
    if isinstance(values, (list, tuple)):
        write = {"SQ": _items, "PN": _names}.get(vr, _values)
        write(out, values)
    elif "InlineBinary" in element:
        out.append(f"<InlineBinary>{_escaped(str(element['InlineBinary']))}</InlineBinary>")
    elif "BulkDataURI" in element:
        out.append(f'<BulkData uri="{_escaped(str(element["BulkDataURI"]))}"/>')


def _items(out: list[str], items: Sequence[object]) -> None:
    for number, item in enumerate(items, 1):
        out.append(f'<Item number="{number}">')
        _dataset(out, item if isinstance(item, Mapping) else {})
        out.append("</Item>")


def _values(out: list[str], values: Sequence[object]) -> None:
    for number, value in enumerate(values, 1):
        if value is None or value == "":
            out.append(f'<Value number="{number}"/>')
        else:
            out.append(f'<Value number="{number}">{_text(value)}</Value>')


def _names(out: list[str], names: Sequence[object]) -> None:
    for number, name in enumerate(names, 1):
        out.append(f'<PersonName number="{number}">')
        groups = name if isinstance(name, Mapping) else {_GROUPS[0]: name or ""}
        said = [(group, str(groups[group])) for group in _GROUPS if groups.get(group)]
        out.extend(f"<{group}>{_components(text)}</{group}>" for group, text in said)
        out.append("</PersonName>")


def _components(name: str) -> str:
    """The components that say something; an empty last one tells how many carets there were."""
    parts = name.split("^", len(_COMPONENTS) - 1)
    last = len(parts) - 1
    return "".join(
        f"<{component}>{_escaped(part)}</{component}>"
        for number, (component, part) in enumerate(zip(_COMPONENTS, parts, strict=False))
        if part or number == last
    )


def _text(value: object) -> str:
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    return _escaped(value) if isinstance(value, str) else str(value)


def _escaped(text: str) -> str:
    return _ODD_TEXT.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    return _ESCAPES.get(character) or (character if _LEGAL.match(character) else "\ufffd")


@lru_cache(maxsize=8192)
def _opening(tag: str, vr: str) -> str:
    keyword = keyword_for_tag(int(tag, 16))
    named = f' keyword="{keyword}"' if keyword else ""
    return f'<DicomAttribute tag="{tag}" vr="{_escaped(vr)}"{named}>'


@lru_cache(maxsize=8192)
def _private_opening(tag: str, vr: str, creator: tuple[str, bool]) -> str:
    name, has_one_block = creator
    tag = f"{tag[:4]}00{tag[6:]}" if has_one_block else tag
    quoted = _escaped(name).replace("\t", "&#9;").replace("\n", "&#10;")
    return f'<DicomAttribute tag="{tag}" vr="{_escaped(vr)}" privateCreator="{quoted}">'


def _creators(attributes: Mapping[str, JsonElement]) -> dict[str, tuple[str, bool]]:
    """Group and block ("000910") -> the creator's name, and whether it has no other block there."""
    found: dict[str, str] = {}
    for tag, element in attributes.items():
        if tag[3] in _ODD and tag[4:6] == "00" and tag[6:] >= "10":
            name = _creator_name(element)
            if name:
                found[tag[:4] + tag[6:]] = name
    blocks = Counter((key[:4], name) for key, name in found.items())
    return {key: (name, blocks[key[:4], name] == 1) for key, name in found.items()}


def _creator_name(element: JsonElement) -> str:
    values = element.get("Value")
    if element.get("vr") == "LO" and isinstance(values, (list, tuple)) and len(values) == 1:
        return values[0].strip() if isinstance(values[0], str) else ""
    return ""
