"""The digests by which stored instances are compared: of the dataset, and of its pixel data."""

from __future__ import annotations

import struct

from blake3 import blake3

from storage_backends.base import Digest
from vna.dicom.envelope import DEFLATED_UIDS
from vna.dicom.header import Header
from vna.spool import Span, Spooled

PIXEL_TREE = "blake3-pixel-tree"
"""BLAKE3 of the lengths and the BLAKE3 digests of three parts of a dataset: up to the value of the
pixel data, that value, and what is behind it. Lengths are 64 bits, little endian.
"""

_LENGTHS = struct.Struct("<QQQ").pack


def instance_digests(spooled: Spooled, header: Header) -> tuple[Digest, Digest | None]:
    """(digest of the dataset, digest of the value of its pixel data if there is one), in one pass.

    The first follows from the bytes behind the file meta information alone. A dataset without pixel
    data, and a deflated one, has plain BLAKE3. Raises Unavailable.
    """
    layout, size = header.layout, spooled.size
    begin, pixels = layout.dataset_offset, layout.pixel_offset
    behind = pixels + layout.pixel_length
    if pixels < begin or behind > size or header.transfer_syntax_uid in DEFLATED_UIDS:
        return spooled.digest_of(begin, size - begin), None
    spans: list[Span] = [
        (begin, pixels - begin),
        (pixels, layout.pixel_length),
        (behind, size - behind),
    ]
    digests = spooled.digests(spans)
    tree = blake3(_LENGTHS(*(length for _, length in spans)))
    for digest in digests:
        tree.update(bytes.fromhex(digest.value))
    return Digest(PIXEL_TREE, tree.hexdigest()), digests[1]
