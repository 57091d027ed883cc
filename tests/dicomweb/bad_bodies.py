"""Bodies that no honest client sends, and files made to be expensive."""

from __future__ import annotations

import struct
import zlib

from tests import samples
from vna.dicom.part10 import file_meta

DICOM, JSON, XML = "application/dicom", "application/dicom+json", "application/dicom+xml"
DEPTH = 20_000
REPORT = "1.2.840.10008.5.1.4.1.1.88.33"
_SEQUENCE = struct.pack("<HH2sH", 0x0040, 0xA730, b"SQ", 0)
_ITEM = struct.pack("<HH", 0xFFFE, 0xE000)
_ENDS = struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
_MIB = 2**20


def multipart(kind: str) -> str:
    """The Content-Type of a store request; its boundary is B."""
    return f'multipart/related; type="{kind}"; boundary=B'


def part(content: bytes, kind: str = DICOM) -> bytes:
    """A whole body with one part."""
    return b"--B\r\nContent-Type: %b\r\n\r\n%b\r\n--B--\r\n" % (kind.encode(), content)


def nested_file(uid: str, *, undefined: bool) -> bytes:
    """A report whose content items lie DEPTH deep in each other."""
    if undefined:
        nested = (_SEQUENCE + b"\xff" * 4 + _ITEM + b"\xff" * 4) * DEPTH + _ENDS * DEPTH
    else:
        nested = b"".join(
            _SEQUENCE + struct.pack("<I", 20 * n + 8) + _ITEM + struct.pack("<I", 20 * n)
            for n in reversed(range(DEPTH))
        )
    elements = samples.identity(SOPClassUID=REPORT, SOPInstanceUID=uid)
    return file_meta(REPORT, uid, samples.EXPLICIT) + samples.dataset(elements) + nested


def nested_json() -> bytes:
    """The same as metadata."""
    return (
        b'[{"0040A730":' + b'{"vr":"SQ","Value":[{"0040A730":' * DEPTH + b"{}" + b"}]}" * DEPTH
    ) + b"}]"


def nested_xml() -> bytes:
    """The same as a Native DICOM Model."""
    opening = b'<DicomAttribute tag="0040A730" vr="SQ"><Item number="1">' * DEPTH
    closing = b"</Item></DicomAttribute>" * DEPTH
    return b"<NativeDicomModel>" + opening + closing + b"</NativeDicomModel>"


def entity_bomb() -> bytes:
    """Each entity ten times the one before it."""
    entities = b'<!ENTITY e0 "aaaaaaaaaa">' + b"".join(
        b'<!ENTITY e%d "%b">' % (n, b"&e%d;" % (n - 1) * 10) for n in range(1, 10)
    )
    return b"<!DOCTYPE x [" + entities + b"]><NativeDicomModel>&e9;</NativeDicomModel>"


def foreign_entity() -> bytes:
    """A file of the server's as a value."""
    return (
        b'<!DOCTYPE x [<!ENTITY e SYSTEM "/etc/passwd">]><NativeDicomModel>'
        b'<DicomAttribute tag="00100010" vr="PN"><Value number="1">&e;</Value></DicomAttribute>'
        b"</NativeDicomModel>"
    )


def deflate_bomb(uid: str) -> bytes:
    """Two MiB that inflate to two GiB of an encapsulated document."""
    elements = samples.identity(SOPInstanceUID=uid)
    start = samples.dataset(elements)
    start += struct.pack("<HH2sHI", 0x0042, 0x0011, b"OB", 0, 2048 * _MIB - 2)
    packed = _deflated(start) + _deflated(bytes(_MIB)) * 2048 + samples.deflate(b"")
    meta = file_meta(str(elements["SOPClassUID"]), uid, samples.DEFLATED)
    return meta + packed + bytes(len(packed) % 2)


def _deflated(data: bytes) -> bytes:
    """Blocks that may stand anywhere in a stream."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush(zlib.Z_FULL_FLUSH)
