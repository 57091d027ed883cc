"""Single elements of the head of an object, whichever they are: of its file meta or of its dataset."""

from __future__ import annotations

from collections.abc import Iterable

from vna.dicom.attributes import vr_of
from vna.dicom.charset import DEFAULT, decode, parse_charsets
from vna.dicom.elements import Scanner, Token
from vna.dicom.encoding import Buffer, Encoding
from vna.dicom.envelope import find_syntax, read_envelope
from vna.dicom.header_elements import Recent
from vna.dicom.index_values import CHARACTER_SET, MAX_CHARSET_BYTES, MAX_VALUE_BYTES, coerced
from vna.dicom.runs import Elements, Run
from vna.dicom.vrs import CHARSET_VRS
from vna.errors import InvalidInstance
from vna.model.query import JsonElement

_META_GROUP = 0x0002
MAX_DEPTH = 8
_MOST_KNOWN = 64
_Known = dict[int, tuple[Run, bool]]
"""By the id of a run the run itself, so that no other one gets that id, and whether it has foreign text."""


class Head:
    """The elements before the pixel data. `charsets`: the defined terms that the dataset itself names."""

    __slots__ = ("_elements", "_encoding", "_known", "_meta", "charsets")

    def __init__(
        self, meta: dict[int, str], elements: Elements, encoding: Encoding, known: _Known
    ) -> None:
        self._meta, self._elements, self._encoding = meta, elements, encoding
        self._known = known
        found = elements.find(CHARACTER_SET)
        data = _data(found, MAX_CHARSET_BYTES) if found else b""
        self.charsets = parse_charsets(data) if data else DEFAULT

    def __contains__(self, tag: int) -> bool:
        return tag in self._elements

    def element(
        self, tag: int, charsets: tuple[str, ...], warnings: list[str] | None = None
    ) -> JsonElement:
        """The element with the VR of the standard, its texts read by `charsets`; without "Value" where it is empty,
        absent, or larger than 4 KiB. `warnings` collects what does not fit.
        """
        vr = vr_of(tag)
        if tag >> 16 == _META_GROUP:
            text = self._meta.get(tag, "").strip()
            return {"vr": vr, "Value": [text]} if text else {"vr": vr}
        found = self._elements.find(tag)
        if found is None or found[1][3] > MAX_VALUE_BYTES or found[1][1] == "SQ":
            return {"vr": vr}
        data = _data(found, MAX_VALUE_BYTES)
        order = self._encoding.big_endian
        return coerced(
            vr, found[1][1], data, charsets or DEFAULT, order, [] if warnings is None else warnings
        )

    def first_misfit(self, tags: Iterable[int], charsets: tuple[str, ...]) -> int:
        """The first of these texts that can't be in `charsets`; 0 when all can. One that was cut off within a
        character can, and of one with escape sequences nobody knows: extensions of the sets are usual there.
        """
        for tag in tags:
            found = self._elements.find(tag)
            data = b"" if found is None else _data(found, MAX_VALUE_BYTES)
            if _is_plain(data) or b"\x1b" in data:
                continue
            warnings: list[str] = []
            text = decode(data, charsets or DEFAULT, warnings, vr=vr_of(tag))
            if warnings and not text.endswith("\N{REPLACEMENT CHARACTER}"):
                return tag
        return 0

    def needs_character_set(self) -> bool:
        """Whether any text, at any depth, is not plain ASCII: for all others the character set means nothing."""
        return any(self._is_foreign(run) for run in self._elements.all_runs())

    def _is_foreign(self, run: Run) -> bool:
        """What repeats from head to head is the same run: it is looked through once."""
        known = self._known.get(id(run))
        if known is None or known[0] is not run:
            found = any(
                _is_foreign(run.data, token, self._encoding, 0) for token in run.tokens.values()
            )
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            known = self._known[id(run)] = (run, found)
        return known[1]


class HeadReader:
    """Reads heads one after the other. Shared by threads."""

    def __init__(self) -> None:
        self._recent = Recent()
        self._known: _Known = {}

    def read(self, buffer: Buffer) -> Head:
        """Raises InvalidInstance for what is no DICOM dataset."""
        view: Buffer = buffer if isinstance(buffer, bytes) else memoryview(buffer)
        envelope = read_envelope(view)
        syntax = find_syntax(view, envelope.dataset_offset, envelope.transfer_syntax_uid)
        dataset = self._recent.read(Scanner(view), envelope.dataset_offset, syntax)
        if not dataset.elements:
            raise InvalidInstance("no DICOM dataset was found")
        return Head(dict(envelope.meta), dataset.elements, syntax.encoding, self._known)


def _is_plain(data: Buffer) -> bool:
    return isinstance(data, bytes) and data.isascii() and b"\x1b" not in data


def _is_foreign(buffer: Buffer, token: Token, encoding: Encoding, depth: int) -> bool:
    """Whether an element is, or contains, text that is not plain ASCII; below MAX_DEPTH any byte counts as text."""
    _, vr, offset, length, is_undefined = token
    is_sequence = vr == "SQ" or (vr == "UN" and is_undefined)
    if not is_sequence and vr not in CHARSET_VRS:
        return False
    data = bytes(buffer[offset : offset + length])
    if _is_plain(data):
        return False
    if not is_sequence or depth == MAX_DEPTH:
        return True
    scanner = Scanner(buffer)
    inner = scanner.children_encoding(token, encoding)
    return any(
        _is_foreign(buffer, member, inner, depth + 1)
        for start, end in scanner.items(token, inner)
        for member in scanner.elements(start, end, inner)[0]
    )


def _data(found: tuple[Buffer, Token], limit: int) -> bytes:
    buffer, token = found
    return bytes(buffer[token[2] : token[2] + min(token[3], limit)])
