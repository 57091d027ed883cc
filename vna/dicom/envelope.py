"""What stands before the dataset of an object (preamble, file meta), and in which syntax the
dataset truly is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vna.dicom.deflate import starts_like_deflate
from vna.dicom.elements import Scanner
from vna.dicom.encoding import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    Buffer,
    Encoding,
    peek,
)

IMPLICIT_UID = "1.2.840.10008.1.2"
EXPLICIT_UID = "1.2.840.10008.1.2.1"
BIG_ENDIAN_UID = "1.2.840.10008.1.2.2"
DEFLATED_UID = "1.2.840.10008.1.2.1.99"
GE_PRIVATE_UID = "1.2.840.113619.5.2"
"""Implicit VR little endian, but the pixel data are big endian."""

_STANDARD_ROOT = "1.2.840.10008."
_LAST_GROUP = 0x7FE1
_JPIP = "1.2.840.10008.1.2.4."
DEFLATED_UIDS = frozenset({DEFLATED_UID, _JPIP + "95", _JPIP + "205"})
NATIVE_UIDS = DEFLATED_UIDS | {
    IMPLICIT_UID, EXPLICIT_UID, BIG_ENDIAN_UID, GE_PRIVATE_UID, _JPIP + "94", _JPIP + "204",
}  # fmt: skip
"""Transfer syntaxes whose pixel data, if there is any, is not in fragments."""

_PLAIN_UIDS = frozenset({"", IMPLICIT_UID, EXPLICIT_UID, BIG_ENDIAN_UID, DEFLATED_UID})
"""Labels that say how elements are written and nothing else: what fits the bytes may replace them."""

_INFLATED_OF = {_JPIP + "95": _JPIP + "94", _JPIP + "205": _JPIP + "204"}
_DEFLATED_OF = {plain: deflated for deflated, plain in _INFLATED_OF.items()}
_CONVINCING = 4
_ENCODINGS = {
    IMPLICIT_UID: IMPLICIT_LITTLE,
    GE_PRIVATE_UID: IMPLICIT_LITTLE,
    BIG_ENDIAN_UID: EXPLICIT_BIG,
}
_PREAMBLE_LENGTH = 128
_SEARCHED = 1024
_MAX_META_TEXT = 1024
_REGULAR = b"DICM\2\0\0\0UL\4\0"
"""How nearly every file goes on behind its preamble: prefix, then the group length."""
_META_GROUP, _SYNTAX_TAG = b"\2\0", b"\2\0\x10\0"
_SHORT_TEXTS = frozenset({b"UI", b"SH", b"AE"})


@dataclass(frozen=True, slots=True)
class Envelope:
    """File meta information: its text values by tag, and where the dataset begins."""

    dataset_offset: int
    meta: Mapping[int, str]
    warnings: tuple[str, ...]

    @property
    def transfer_syntax_uid(self) -> str:
        return self.meta.get(0x00020010, "")


@dataclass(frozen=True, slots=True)
class Syntax:
    """How a dataset is written. `transfer_syntax_uid`: the label if it can be true or says more than
    how elements are written, else what fits the bytes.
    """

    transfer_syntax_uid: str
    encoding: Encoding
    deflated: bool
    warning: str = ""


def read_envelope(buffer: Buffer) -> Envelope:
    """Find the file meta information, however it is written or missing. Never raises."""
    if bytes(buffer[_PREAMBLE_LENGTH : _PREAMBLE_LENGTH + len(_REGULAR)]) == _REGULAR:
        regular = _read_regular_meta(buffer)
        if regular is not None:
            return regular
    size = len(buffer)
    start, warnings = _meta_start(buffer, size)
    encoding = peek(buffer, start, size)
    if encoding is None or Scanner(buffer).tag_at(start, encoding) >> 16 != 2:
        return Envelope(start, {}, (*warnings, "no file meta information"))
    return _read_meta(buffer, start, encoding, warnings)


def names_syntax(head: bytes, transfer_syntax_uid: str) -> bool:
    """Whether `head`, all before a dataset, begins as PS3.10 7.1 wants it and names this transfer syntax.

    That is told in a tenth of the time that the whole envelope takes where the elements before are the usual ones.
    """
    if head[_PREAMBLE_LENGTH : _PREAMBLE_LENGTH + len(_REGULAR)] == _REGULAR:
        position = _PREAMBLE_LENGTH + len(_REGULAR) + 4
        while head.startswith(_META_GROUP, position):
            vr, start = head[position + 4 : position + 6], position + 8
            if vr in _SHORT_TEXTS:
                length = int.from_bytes(head[position + 6 : start], "little")
            elif vr == b"OB":
                start, length = position + 12, int.from_bytes(head[start : start + 4], "little")
            else:
                break
            if head.startswith(_SYNTAX_TAG, position):
                found = head[start : start + length].decode("latin-1").strip("\0 ")
                if found == transfer_syntax_uid and vr == b"UI":
                    return True
                break
            position = start + length
    is_prefixed = head[_PREAMBLE_LENGTH : _PREAMBLE_LENGTH + 4] == b"DICM"
    return is_prefixed and read_envelope(head).transfer_syntax_uid == transfer_syntax_uid


def _read_regular_meta(buffer: Buffer) -> Envelope | None:
    """The meta elements in one walk, as nearly every file has them (PS3.10 7.1); None: look closer."""
    scanner, start = Scanner(buffer), _PREAMBLE_LENGTH + 4
    tokens, position = scanner.elements(start, len(buffer), EXPLICIT_LITTLE, stop_tag=0x00030000)
    values = {
        tag: bytes(buffer[offset : offset + length])
        for tag, vr, offset, length, _ in tokens
        if length <= _MAX_META_TEXT and vr != "OB"
    }
    group_length = values.pop(0x00020000, b"")
    declared = start + 12 + int.from_bytes(group_length, "little")
    is_regular = len(group_length) == 4 and declared == position and 0x00020010 in values
    tags = [token[0] for token in tokens]
    if not is_regular or scanner.warnings or scanner.truncated or tags != sorted(set(tags)):
        return None
    meta = {tag: value.decode("latin-1").strip("\0 ") for tag, value in values.items()}
    return Envelope(position, meta, () if meta[0x00020010] else ("no Transfer Syntax UID",))


def _meta_start(buffer: Buffer, size: int) -> tuple[int, list[str]]:
    magic = _PREAMBLE_LENGTH + 4
    at_start = peek(buffer, 0, size)
    if bytes(buffer[_PREAMBLE_LENGTH:magic]) == b"DICM":
        inside_data = peek(buffer, magic, size) is None and magic < size
        if not (inside_data and at_start is not None):
            return magic, []
    displaced = bytes(buffer[:_SEARCHED]).find(b"DICM\2\0")
    if displaced >= 0 and not _is_dataset(buffer, 0, size):
        return displaced + 4, ["the preamble has not 128 bytes"]
    if _is_dataset(buffer, 0, size) or not _is_dataset(buffer, _PREAMBLE_LENGTH, size):
        return 0, ["no preamble"]
    return _PREAMBLE_LENGTH, ["no DICM prefix behind the preamble"]


def _is_dataset(buffer: Buffer, position: int, size: int) -> bool:
    """Whether something like elements begins here: the preamble's zeros look like an empty group
    0000.
    """
    encoding = peek(buffer, position, size)
    return encoding is not None and Scanner(buffer).tag_at(position, encoding) >> 16 != 0


def _read_meta(buffer: Buffer, start: int, encoding: Encoding, warnings: list[str]) -> Envelope:
    """Walk the meta elements by their group; the group length only settles where doubt is left."""
    size, scanner = len(buffer), Scanner(buffer)
    position, previous, declared = start, -1, -1
    meta: dict[int, str] = {}
    while position + 8 <= size:
        tag = scanner.tag_at(position, encoding)
        if tag >> 16 != 2 or (tag <= previous and position == declared):
            break
        _, vr, offset, length, _ = scanner.element_at(position, size, encoding)
        value = bytes(buffer[offset : offset + length])
        if tag == 0x00020000 and declared < 0 and length == 4:
            value = value[::-1] if encoding.big_endian else value
            declared = offset + length + int.from_bytes(value, "little")
        elif vr != "OB" and length <= _MAX_META_TEXT:
            meta.setdefault(tag, value.decode("latin-1").strip("\0 "))
        position, previous = max(offset + length, position + 8), tag
    if declared != position:
        warnings = [*warnings, "file meta group length is missing or wrong"]
    if not meta.get(0x00020010):
        warnings = [*warnings, "no Transfer Syntax UID"]
    return Envelope(min(position, size), meta, (*warnings, *scanner.warnings))


def is_private(transfer_syntax_uid: str) -> bool:
    """Whether a vendor defined it, so that nobody else knows how its pixel data are to be read."""
    return bool(transfer_syntax_uid) and not transfer_syntax_uid.startswith(_STANDARD_ROOT)


def find_syntax(buffer: Buffer, dataset_offset: int, transfer_syntax_uid: str) -> Syntax:
    """In which syntax the dataset truly is.

    A label that says no more than how elements are written, and that the first ones contradict, is
    replaced. All others stay, since only pixel data show which compression it is, and what else a
    private one means nobody knows: then the dataset is read as it is seen, with a warning.
    """
    label, size = transfer_syntax_uid, len(buffer)
    labelled = Syntax(
        label or EXPLICIT_UID, _ENCODINGS.get(label, EXPLICIT_LITTLE), label in DEFLATED_UIDS
    )
    start = dataset_start(buffer, dataset_offset)
    if start >= size:
        return labelled
    seen = peek(buffer, start, size)
    if labelled.deflated or seen is None or not _is_dataset(buffer, start, size):
        inflated = starts_like_deflate(buffer, dataset_offset)
        inside = peek(inflated, 0, 2**32) if len(inflated) >= 8 else None
        if inside is not None:
            return _deflated(inside, label)
    if seen is None or (seen == labelled.encoding and label and not labelled.deflated):
        return labelled
    if labelled.encoding == IMPLICIT_LITTLE and _fits(buffer, start, IMPLICIT_LITTLE):
        return labelled  # a length may look like a VR
    uid = _uid_of(seen, label)
    return Syntax(uid, seen, deflated=False, warning=_difference(label, uid, seen))


def _deflated(inside: Encoding, label: str) -> Syntax:
    if label in DEFLATED_UIDS:
        return Syntax(label, inside, deflated=True)
    uid = DEFLATED_UID if label in _PLAIN_UIDS else _DEFLATED_OF.get(label, label)
    warning = _difference(label, uid) or f"dataset of {label} is deflated"
    return Syntax(uid, inside, deflated=True, warning=warning)


def _fits(buffer: Buffer, position: int, encoding: Encoding) -> bool:
    """Whether several elements of `encoding` follow each other at `position`."""
    scanner, size, previous = Scanner(buffer), len(buffer), 0
    for _ in range(_CONVINCING):
        if position == size:
            return True
        if position + 8 > size or scanner.tag_at(position, encoding) <= previous:
            return False
        previous, _, offset, length, _ = scanner.element_at(position, size, encoding)
        if scanner.truncated or scanner.warnings or previous >> 16 > _LAST_GROUP:
            return False
        position = max(offset + length, position + 8)
    return True


def _uid_of(seen: Encoding, label: str) -> str:
    if label not in _PLAIN_UIDS:
        return _INFLATED_OF.get(label, label)
    if seen.big_endian:
        return BIG_ENDIAN_UID
    return IMPLICIT_UID if seen.implicit else EXPLICIT_UID


def _difference(label: str, uid: str, seen: Encoding | None = None) -> str:
    if not label:
        return f"Transfer Syntax UID guessed: {uid}"
    if label != uid:
        return f"labelled {label}, but written in {uid}"
    if seen is not None:
        kind = "implicit" if seen.implicit else "explicit"
        return f"dataset of {label} is {kind} VR {'big' if seen.big_endian else 'little'} endian"
    return ""


def dataset_start(buffer: Buffer, dataset_offset: int) -> int:
    """Behind command and meta elements (groups 0000, 0002) that some senders leave in front of the
    dataset.
    """
    position, size, scanner = dataset_offset, len(buffer), Scanner(buffer)
    for _ in range(64):
        encoding = peek(buffer, position, size)
        if encoding is None or scanner.tag_at(position, encoding) >> 16 not in {0, 2}:
            break
        _, _, offset, length, _ = scanner.element_at(position, size, encoding)
        if length == 0 and offset == position + 8 and encoding.implicit:
            break  # zeros, not elements
        position = offset + length
    return position
