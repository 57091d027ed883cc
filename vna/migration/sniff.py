"""What a file is, told from its first bytes."""

from __future__ import annotations

from enum import Enum

from vna.dicom.elements import Scanner, peek
from vna.dicom.envelope import read_envelope
from vna.dicom.header import DIRECTORY_STORAGE

HEAD_BYTES = 1024
"""So many bytes from the start are enough for `sniff`."""

_PREAMBLE = 128
_SOP_CLASS = 0x00020002
_FIRST_GROUPS = frozenset({0x0002, 0x0008})
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")


class Kind(Enum):
    """What a file may be."""

    DICOM = "DICOM"
    DICOMDIR = "a DICOMDIR"
    ZIP = "a zip archive"
    OTHER = "not DICOM"


def sniff(head: bytes, size: int) -> Kind:
    """The kind of a file of `size` bytes that begins with `head` (HEAD_BYTES, or all of it).

    DICOM is a preamble with "DICM" behind (PS3.10 7.1), or what can be the first element of a meta
    group or of a dataset without one. A false DICOM is found out by the parse at its store.
    """
    if head.startswith(_ZIP):
        return Kind.ZIP
    if head[_PREAMBLE : _PREAMBLE + 4] != b"DICM" and not head.startswith(b"DICM"):
        looks_right = _is_element(head, 0, size) or _is_element(head, _PREAMBLE, size)
        return Kind.DICOM if looks_right else Kind.OTHER
    if DIRECTORY_STORAGE.encode() in head:
        is_directory = read_envelope(head).meta.get(_SOP_CLASS) == DIRECTORY_STORAGE
        return Kind.DICOMDIR if is_directory else Kind.DICOM
    return Kind.DICOM


def _is_element(head: bytes, position: int, size: int) -> bool:
    if position + 8 > len(head):
        return False
    encoding = peek(head, position, size)
    if encoding is None:
        return False
    return Scanner(head).tag_at(position, encoding) >> 16 in _FIRST_GROUPS
