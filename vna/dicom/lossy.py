"""What a decoded image says of the lossy compression that it once had (PS3.3 C.7.6.1.1.5)."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from vna.dicom.syntaxes import JPEG_2000, JPEG_LOSSY, JPEG_LS

Buffer = bytes | memoryview
Changes = dict[int, tuple[str, bytes] | None]

_LOSSY_IMAGE_COMPRESSION = 0x00282110
_RATIO, _METHOD = 0x00282112, 0x00282114
_IDENTITY = frozenset({0x00080016, 0x00080018, 0x0020000D})
_HTJ2K = frozenset({"1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203"})
_MAX_SEGMENTS = 1024
_START_OF_SCAN, _CODING_STYLE = 0xDA, b"\xff\x52"


def is_lossy(frame: bytes, transfer_syntax_uid: str) -> bool:
    """Whether the codestream `frame` certainly lost something, whatever its header said.

    JPEG-LS with a tolerance (NEAR, ISO 14495-1 C.2.3), JPEG 2000 with the irreversible transformation
    (ISO 15444-1 A.6.1). A reversible JPEG 2000 stream that was cut can't be told.
    """
    if transfer_syntax_uid in JPEG_LOSSY:
        return True
    if transfer_syntax_uid in JPEG_LS:
        return _near(frame) > 0
    return transfer_syntax_uid in JPEG_2000 and _is_irreversible(frame)


def lossy_changes(
    values: Mapping[int, Buffer], transfer_syntax_uid: str, native: int, compressed: int
) -> Changes:
    """The elements by which an image says that, and how, it lost something; what is there stays.

    `native` and `compressed` are the bytes of its pixel data. None for an icon: it has no such
    elements.
    """
    if not _IDENTITY & set(values):
        return {}
    changes: Changes = {}
    if _text(values, _LOSSY_IMAGE_COMPRESSION) != "01":
        changes[_LOSSY_IMAGE_COMPRESSION] = ("CS", b"01")
    ratio, method = _text(values, _RATIO), _text(values, _METHOD)
    if not ratio and "\\" not in method:
        changes[_RATIO] = ("DS", f"{native / max(compressed, 1):.6g}".encode())
    if not method and "\\" not in ratio:
        changes[_METHOD] = ("CS", _method_of(transfer_syntax_uid).encode())
    return changes


def _method_of(transfer_syntax_uid: str) -> str:
    if transfer_syntax_uid in _HTJ2K:
        return "ISO_15444_15"
    if transfer_syntax_uid in JPEG_2000:
        return "ISO_15444_1"
    return "ISO_14495_1" if transfer_syntax_uid in JPEG_LS else "ISO_10918_1"


def _text(values: Mapping[int, Buffer], tag: int) -> str:
    return str(values.get(tag, b""), "latin-1").strip(" \0")


def _near(frame: bytes) -> int:
    position = 2
    try:
        for _ in range(_MAX_SEGMENTS):
            marker = frame[position + 1]
            if frame[position] != 0xFF:
                return 0
            if marker == _START_OF_SCAN:
                return frame[position + 5 + 2 * frame[position + 4]]
            position += 2 + int(struct.unpack_from(">H", frame, position + 2)[0])
    except (struct.error, IndexError):
        pass
    return 0


def _is_irreversible(frame: bytes) -> bool:
    start = frame.find(b"\xff\x4f\xff\x51", 0, 4096)
    marker = frame.find(_CODING_STYLE, start, start + 65536) if start >= 0 else -1
    return 0 <= marker < len(frame) - 13 and frame[marker + 13] == 0
