"""Native DICOM Model documents (PS3.19 A.1) read into the DICOM JSON model, without entities of any kind."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from vna.dicom.charset import DEFAULT
from vna.dicom.json import MAX_DEPTH
from vna.dicom.json_values import finite, value_json
from vna.dicom.vrs import BINARY_VRS, CODES, NUMBER_FORMATS, implicit_vr
from vna.errors import InvalidInstance
from vna.model.query import JsonElement

MAX_GAP = 64
"""Values of one attribute that may be left out where their numbers say so, beyond as many as are there."""

_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_COMPONENTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
_CONTENT = frozenset({"Value", "PersonName", "Item", "InlineBinary", "BulkData"})
_VALUE_OF = {"SQ": "Item", "PN": "PersonName", **dict.fromkeys(BINARY_VRS, "InlineBinary")}
_CHILDREN: Mapping[str, frozenset[str]] = {
    "": frozenset({"NativeDicomModel"}),
    "NativeDicomModel": frozenset({"DicomAttribute"}),
    "Item": frozenset({"DicomAttribute"}),
    "DicomAttribute": _CONTENT,
    "PersonName": frozenset(_GROUPS),
    **{group: frozenset(_COMPONENTS) for group in _GROUPS},
}
_WITH_TEXT = frozenset({"Value", "InlineBinary", *_COMPONENTS})
_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(slots=True)
class _Node:
    """An element that is open: what its end needs of its start, and what its children left."""

    name: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    content: str = ""
    text: list[str] = field(default_factory=list)
    values: dict[int, object] = field(default_factory=dict)
    named: dict[str, str] = field(default_factory=dict)
    members: list[tuple[str, str, JsonElement]] = field(default_factory=list)


def read_xml(data: bytes) -> dict[str, JsonElement]:
    """The attributes of one document, keyed by eight upper-case hex digits.

    Numbers are JSON numbers where they parse, as `dataset_json` has them; private elements get the block of their
    creator, a free one where the document does not list it. A document type, an element that the model does not
    know, a tag given twice and more than MAX_DEPTH nested items raise InvalidInstance; nothing is ever fetched.
    """
    reader = _Reader()
    try:
        reader.parser.Parse(data, True)  # noqa: FBT003 – it takes no keywords
    except expat.ExpatError as exc:
        raise InvalidInstance(f"the XML metadata is not well-formed: {exc}") from exc
    except (ValueError, LookupError) as exc:  # an encoding that Python does not know
        raise InvalidInstance(f"the XML metadata can't be read: {exc}") from exc
    return reader.dataset


class _Reader:
    """Keeps the open elements; the document never decides how deep Python's own stack gets."""

    def __init__(self) -> None:
        self.dataset: dict[str, JsonElement] = {}
        self._open = [_Node("")]
        self._depth = 0
        self.parser = parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = _refuse_doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters

    def _start(self, qualified: str, attributes: Mapping[str, str]) -> None:
        name = qualified.rpartition(" ")[2]
        parent = self._open[-1]
        if name not in _CHILDREN.get(parent.name, ()):
            where = parent.name or "the document"
            raise InvalidInstance(f"the XML metadata holds {name[:64]!r} in {where}")
        if parent.name == "DicomAttribute" and name not in {"BulkData", parent.content}:
            raise InvalidInstance(
                f"the XML metadata has a {name} in an attribute of VR {parent.attributes['vr'][:16]!r}"
            )
        node = _attribute(attributes) if name == "DicomAttribute" else _Node(name, attributes)
        if name == "Item":
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise InvalidInstance(
                    f"the XML metadata nests items more than {MAX_DEPTH} deep: that is refused"
                )
        self._open.append(node)

    def _characters(self, text: str) -> None:
        node = self._open[-1]
        if node.name in _WITH_TEXT:
            node.text.append(text)
        elif text.strip():
            raise InvalidInstance(f"the XML metadata holds text in {node.name or 'the document'}")

    def _end(self, _name: str) -> None:
        node, parent = self._open.pop(), self._open[-1]
        if node.name == "NativeDicomModel":
            self.dataset = _dataset(node)
            return
        if node.name == "Item":
            self._depth -= 1
        _CLOSE[node.name](node, parent)


def _refuse_doctype(*_: object) -> None:
    raise InvalidInstance("the XML metadata has a document type: that is refused")


def _close_component(node: _Node, parent: _Node) -> None:
    parent.named[node.name] = "".join(node.text)


def _close_group(node: _Node, parent: _Node) -> None:
    parts = [node.named.get(component) for component in _COMPONENTS]
    while parts and parts[-1] is None:
        parts.pop()
    parent.named[node.name] = "^".join(part or "" for part in parts)


def _close_name(node: _Node, parent: _Node) -> None:
    name = {group: node.named[group] for group in _GROUPS if node.named.get(group)}
    _add_value(node, parent, name or None)


def _close_value(node: _Node, parent: _Node) -> None:
    _add_value(node, parent, "".join(node.text) or None)


def _close_item(node: _Node, parent: _Node) -> None:
    _add_value(node, parent, _dataset(node))


def _close_inline(node: _Node, parent: _Node) -> None:
    parent.named["InlineBinary"] = "".join("".join(node.text).split())


def _close_bulk(node: _Node, parent: _Node) -> None:
    uri = node.attributes.get("uri") or node.attributes.get("uuid")
    if not uri:
        raise InvalidInstance("the XML metadata has BulkData without uri or uuid")
    parent.named["BulkDataURI"] = uri


def _add_value(node: _Node, parent: _Node, value: object) -> None:
    text = node.attributes.get("number", str(len(parent.values) + 1))
    number = int(text) if _NUMBER.fullmatch(text) else 0
    if not number or number in parent.values:
        raise InvalidInstance(
            f"the XML metadata numbers a {node.name} {text[:16]!r}: no number, or there already"
        )
    parent.values[number] = value


def _attribute(attributes: Mapping[str, str]) -> _Node:
    """A DicomAttribute that begins, with tag and VR put right, and the kind of content that its VR has."""
    tag = attributes.get("tag", "").upper()
    if _TAG.fullmatch(tag) is None:
        raise InvalidInstance(f"the XML metadata has an attribute with tag {tag[:16]!r}")
    vr = attributes.get("vr") or implicit_vr(int(tag, 16))
    if vr.encode("ascii", "replace") not in CODES:
        raise InvalidInstance(f"the XML metadata has {tag} with VR {vr[:16]!r}, which is none")
    known = {"tag": tag, "vr": vr, "creator": attributes.get("privateCreator", "").strip()}
    return _Node("DicomAttribute", known, _VALUE_OF.get(vr, "Value"))


def _close_attribute(node: _Node, parent: _Node) -> None:
    parent.members.append(
        (
            node.attributes["tag"],
            node.attributes["creator"],
            {"vr": node.attributes["vr"], **_content(node)},
        )
    )


def _content(node: _Node) -> dict[str, object]:
    tag, vr = node.attributes["tag"], node.attributes["vr"]
    if node.named and (node.values or len(node.named) > 1):
        raise InvalidInstance(f"the XML metadata has {tag} with content of several kinds")
    if node.named:
        return {kind: text for kind, text in node.named.items() if text}
    last = max(node.values, default=0)
    if last > 2 * len(node.values) + MAX_GAP:
        raise InvalidInstance(f"the XML metadata leaves out most of the values of {tag}")
    values = [_typed(vr, node.values.get(number)) for number in range(1, last + 1)]
    return {"Value": values} if any(value is not None for value in values) else {}


def _typed(vr: str, value: object) -> object:
    """The value as the JSON model has it; text stays where it is no number."""
    if vr == "SQ":
        return value or {}
    if not isinstance(value, str):
        return value
    if vr in {"DS", "IS"} and value.isascii():
        values = value_json(vr, value.encode("ascii"), DEFAULT).get("Value")
        return values[0] if isinstance(values, list) and len(values) == 1 else value
    if vr in NUMBER_FORMATS:
        try:
            return finite(float(value)) if vr in {"FL", "FD"} else int(value)
        except ValueError:
            return value
    return value


def _dataset(node: _Node) -> dict[str, JsonElement]:
    """The members of a dataset under their whole tags (PS3.5 7.8.1)."""
    members: dict[str, JsonElement] = {}
    blocks: dict[tuple[str, str], int] = {}
    for tag, creator, element in node.members:
        if not _is_blockless(tag, creator):
            _add(members, tag, element)
    for tag, creator, _ in node.members:
        if creator and int(tag[3], 16) % 2 and tag[4:6] >= "10":
            members.setdefault(f"{tag[:4]}00{tag[4:6]}", {"vr": "LO", "Value": [creator]})
    for tag, creator, element in node.members:
        if _is_blockless(tag, creator):
            owner = tag[:4], creator
            block = blocks[owner] = blocks.get(owner) or _block(members, *owner)
            _add(members, f"{tag[:4]}{block:02X}{tag[6:]}", element)
    return members


def _is_blockless(tag: str, creator: str) -> bool:
    return bool(creator) and int(tag[3], 16) % 2 == 1 and tag[4:6] == "00"


def _block(members: dict[str, JsonElement], group: str, creator: str) -> int:
    """The block that `creator` has reserved, or the first free one, which is reserved now."""
    free = 0
    for block in range(0x10, 0x100):
        element = members.get(f"{group}00{block:02X}")
        if element is None:
            free = free or block
        elif _is_name(element, creator):
            return block
    if not free:
        raise InvalidInstance(f"the XML metadata leaves no private block free in group {group}")
    members[f"{group}00{free:02X}"] = {"vr": "LO", "Value": [creator]}
    return free


def _is_name(element: JsonElement, creator: str) -> bool:
    values = element.get("Value")
    return isinstance(values, list) and len(values) == 1 and str(values[0]).strip() == creator


def _add(members: dict[str, JsonElement], tag: str, element: JsonElement) -> None:
    if tag in members:
        raise InvalidInstance(f"the XML metadata has the attribute {tag} twice")
    members[tag] = element


_CLOSE: Mapping[str, Callable[[_Node, _Node], None]] = {
    "DicomAttribute": _close_attribute,
    "Value": _close_value,
    "PersonName": _close_name,
    "Item": _close_item,
    "InlineBinary": _close_inline,
    "BulkData": _close_bulk,
    **dict.fromkeys(_GROUPS, _close_group),
    **dict.fromkeys(_COMPONENTS, _close_component),
}
