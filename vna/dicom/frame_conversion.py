"""One frame of a stored image in another transfer syntax (PS3.18 8.7.3)."""

from __future__ import annotations

from vna.dicom.decode import PixelDescription, decode_frame, described_by
from vna.dicom.encode_pixels import encode_frame
from vna.dicom.syntaxes import DECODABLE, EXPLICIT_VR_LITTLE_ENDIAN
from vna.errors import Unsupported


def convert_frame(
    frame: bytes,
    source: str,
    target: str,
    description: PixelDescription,
    photometric_interpretation: str = "",
) -> bytes:
    """`frame` of syntax `source` (native little endian, or its fragments joined) in `target`, which
    is explicit VR little endian or a compressed one.

    Never with a loss. Raises Unsupported for a frame that can't be read, that `target` can't hold, or
    that is not of `photometric_interpretation` when it is decoded.
    """
    if source in DECODABLE:
        decoded = decode_frame(frame, source, description)
        frame, description = decoded.data, described_by(decoded, description)
        found = decoded.photometric_interpretation
        if photometric_interpretation not in {"", found}:
            raise Unsupported("its frames are of different colour spaces")
    if target == EXPLICIT_VR_LITTLE_ENDIAN:
        return frame
    return encode_frame(frame, target, description)
