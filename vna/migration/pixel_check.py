"""Whether every frame of an object can be decoded, and the digest of all its pixels."""

from __future__ import annotations

from collections.abc import Callable

from blake3 import blake3

from vna.dicom.codestream import split_items
from vna.dicom.envelope import DEFLATED_UIDS
from vna.dicom.frame_digest import frame_digest
from vna.dicom.header import Header
from vna.dicom.json import dataset_json
from vna.dicom.native import native_frame
from vna.dicom.pixel_attributes import expected_length
from vna.dicom.syntaxes import (
    DECODABLE,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from vna.errors import Abandoned, Unsupported
from vna.model.frames import NativeFrames
from vna.services.decoders import Decoding
from vna.services.pixels import describe, pixel_word

_NATIVE = frozenset({IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN})
_PIXEL_HEADER = 16
"""Bytes by which an element is told apart that begins where the header ends."""


class PixelCheck:
    """Decodes objects frame by frame, one of them in memory; `max_frame_bytes`: larger ones are not decoded."""

    def __init__(self, decoding: Decoding, max_frame_bytes: int) -> None:
        self._decoding, self._max_frame_bytes = decoding, max_frame_bytes

    @staticmethod
    def can_check(header: Header) -> bool:
        """Whether there are pixels of a syntax that is known here, in frames that can be told apart."""
        syntax = header.transfer_syntax_uid
        is_known = syntax in DECODABLE or syntax in _NATIVE
        return is_known and header.frames is not None and syntax not in DEFLATED_UIDS

    def digest(
        self, view: memoryview, header: Header, should_stop: Callable[[], bool] = lambda: False
    ) -> bytes:
        """A digest of all pixels of the object `view`, equal for lossless recodings of it.

        Raises Unsupported when a frame can't be decoded, or when there are fewer than the header says; DecoderFailed,
        Unavailable; Abandoned when `should_stop` says so.
        """
        table, syntax = header.frames, header.transfer_syntax_uid
        if table is None:
            raise Unsupported("its frames can't be told apart")
        layout = header.layout
        attributes = dataset_json(
            view[: layout.header_length + _PIXEL_HEADER],
            dataset_offset=layout.dataset_offset,
            transfer_syntax_uid=syntax,
            stop=layout.header_length,
            tail=None,
            bulk_uri=lambda path: path,
        )
        _check_amount(header, expected_length(attributes))
        description, word = describe(attributes), pixel_word(attributes)
        if description.frame_bytes > self._max_frame_bytes:
            raise Unsupported("its frames are larger than archive.max_transcode_bytes")
        whole = blake3(table.count.to_bytes(8, "little"))
        for number in range(1, table.count + 1):
            if should_stop():
                raise Abandoned("the decoding is to end")
            start, length = table.span(number)
            data = bytes(view[start : start + length])
            if isinstance(table, NativeFrames):
                whole.update(
                    frame_digest(native_frame(data, table, number), syntax, description, word)
                )
                continue
            data = b"".join(split_items(data))
            whole.update(self._decoding.call(frame_digest, data, syntax, description))
        return whole.digest()


def _check_amount(header: Header, expected: int | None) -> None:
    table = header.frames
    if isinstance(table, NativeFrames):
        if expected is not None and table.length < expected:
            raise Unsupported(f"its pixel data has {table.length} bytes instead of {expected}")
    elif table is not None and table.count < header.number_of_frames:
        raise Unsupported(f"it has {table.count} frames instead of {header.number_of_frames}")
