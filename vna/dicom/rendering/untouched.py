"""Stored JPEGs that are already what a client asks for: decoding and compressing them again would only cost."""

from __future__ import annotations

from collections.abc import Sequence

from vna.dicom.codestream import read_codestream
from vna.dicom.rendering.attributes import Attributes
from vna.dicom.rendering.header import describe_image
from vna.dicom.rendering.options import JPEG, RenderOptions
from vna.dicom.rendering.overlays import read_overlays

_JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
_PLAIN = RenderOptions(JPEG)
_YBR = frozenset({"YBR_FULL", "YBR_FULL_422"})
_END = b"\xff\xd9"
_SAMPLES = 3


def untouched_jpeg(
    attributes: Attributes,
    frames: Sequence[bytes],
    transfer_syntax_uid: str,
    options: RenderOptions,
) -> bytes | None:
    """The first frame as it is stored, where every viewer shows it as it would be rendered.

    That is colour in YBR, which is what a JPEG is taken for and what JFIF always is, without overlays,
    nothing asked for but an image/jpeg, and its size as the header says. None: it has to be rendered.
    """
    if options != _PLAIN or transfer_syntax_uid != _JPEG_BASELINE:
        return None
    description = describe_image(attributes)
    frame = frames[0].rstrip(b"\0")
    found = read_codestream(frame)
    is_as_described = (
        found is not None
        and not found.is_rgb
        and (found.rows, found.columns) == (description.rows, description.columns)
        and found.samples == description.samples_per_pixel == _SAMPLES
        and (found.is_jfif or description.photometric_interpretation in _YBR)
    )
    is_whole = frame.endswith(_END)
    return frame if is_as_described and is_whole and not read_overlays(attributes) else None
