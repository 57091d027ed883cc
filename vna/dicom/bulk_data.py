"""A dataset without its bulk data, as Composite Instance Retrieve Without Bulk Data sends it (PS3.4 Z.1.3)."""

from __future__ import annotations

from vna.dicom.element_writer import Chunk, Frames
from vna.dicom.envelope import find_syntax
from vna.dicom.rewrite import Omissions, Rewriter
from vna.dicom.syntaxes import TARGETS

# PS3.4 table Z.1-1. The offset tables of pixel data mean nothing without it, and grow with the frames.
_NEVER_SENT = frozenset(
    {
        0x00287FE0,  # Pixel Data Provider URL
        0x00420011,  # Encapsulated Document
        0x56000020,  # Spectroscopy Data
        0x7FE00001,  # Extended Offset Table
        0x7FE00002,  # Extended Offset Table Lengths
        0x7FE00008,  # Float Pixel Data
        0x7FE00009,  # Double Float Pixel Data
        0x7FE00010,  # Pixel Data
    }
)
_REPEATING_GROUPS = frozenset({0x60003000, 0x50003000, 0x5000200C})  # overlays, curves, audio
_WAVEFORM_SEQUENCE, _WAVEFORM_DATA = 0x54000100, 0x54001010


def is_bulk_data(tag: int) -> bool:
    """Whether table Z.1-1 leaves out the element, of the dataset itself, with this tag."""
    return tag in _NEVER_SENT or (tag & 0xFF00FFFF in _REPEATING_GROUPS and not tag & 0x00010000)


_BULK_DATA = Omissions(is_bulk_data, {_WAVEFORM_SEQUENCE: frozenset({_WAVEFORM_DATA})})


def without_bulk_data(
    parts: tuple[memoryview, ...], transfer_syntax_uid: str, target: str
) -> bytes:
    """The dataset whose bytes are `parts`, one behind the other, in syntax `target`.

    `parts` need not hold the pixel data. Of compressed and private syntaxes the encoding of the
    elements stays: `target` is one of the uncompressed ones, or `transfer_syntax_uid` itself.
    Raises Unsupported.
    """
    source = find_syntax(parts[0], 0, transfer_syntax_uid).encoding
    written = TARGETS.get(target, source)
    chunks: list[Chunk] = []
    for part in parts:
        rewriter = Rewriter(part, source, written, omissions=_BULK_DATA)
        chunks += rewriter.dataset(0, len(part))[0].all_chunks()
    return b"".join(chunk for chunk in chunks if not isinstance(chunk, Frames))
