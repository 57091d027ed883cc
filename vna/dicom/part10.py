"""The preamble and file meta information that the archive puts in front of a bare dataset (PS3.10
7.1).
"""

from __future__ import annotations

import struct

PREAMBLE = bytes(128) + b"DICM"
IMPLEMENTATION_CLASS_UID = "2.25.216364518270396340273346174218413286561"
IMPLEMENTATION_VERSION_NAME = "VNA_ARCHIVE_1"

_SHORT = struct.Struct("<HH2sH")
_LONG = struct.Struct("<HH2sHI")


def file_meta(
    sop_class_uid: str,
    sop_instance_uid: str,
    transfer_syntax_uid: str,
    source_ae_title: str = "",
) -> bytes:
    """Preamble, "DICM" and group 0002 for a dataset in `transfer_syntax_uid`.

    Text that is not ASCII or too long for its length field is cut: the meta group describes, the
    dataset counts.
    """
    elements = [
        _LONG.pack(2, 0x0001, b"OB", 0, 2) + b"\x00\x01",
        _uid(0x0002, sop_class_uid),
        _uid(0x0003, sop_instance_uid),
        _uid(0x0010, transfer_syntax_uid),
        _uid(0x0012, IMPLEMENTATION_CLASS_UID),
        _text(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME, b" "),
    ]
    if source_ae_title:
        elements.append(_text(0x0016, b"AE", source_ae_title[:16], b" "))
    body = b"".join(elements)
    return PREAMBLE + _SHORT.pack(2, 0, b"UL", 4) + struct.pack("<I", len(body)) + body


def _uid(element: int, value: str) -> bytes:
    return _text(element, b"UI", value, b"\0")


def _text(element: int, vr: bytes, text: str, padding: bytes) -> bytes:
    value = text.encode("ascii", "replace")[:0xFFFE]
    if len(value) % 2:
        value += padding
    return _SHORT.pack(2, element, vr, len(value)) + value
