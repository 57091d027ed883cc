"""Elements of a dataset that is being written, replaced or left out."""

from __future__ import annotations

from collections.abc import Mapping

from vna.dicom.element_writer import ElementWriter, word_size
from vna.dicom.encode_values import swap_words
from vna.dicom.encoding import Encoding
from vna.dicom.rewrite import Elements

Changes = Mapping[int, tuple[str, bytes] | None]
"""By tag what an element becomes: (VR, little endian value); None: it goes."""


def apply_changes(elements: Elements, changes: Changes, encoding: Encoding) -> None:
    """Write `changes` in `encoding`; group lengths that are no longer true go."""
    writer = ElementWriter(encoding)
    for tag, change in changes.items():
        elements.chunks.pop(tag, None)
        if change is not None:
            vr, value = change
            size = word_size(vr) if encoding.big_endian else 1
            elements.chunks[tag] = writer.written(tag, vr, swap_words(value, size))
    for group in {tag >> 16 for tag in changes}:
        elements.chunks.pop(group << 16, None)
