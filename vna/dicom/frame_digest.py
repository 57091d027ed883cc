"""The digest of a frame's pixels, whatever the lossless syntax that carries them."""

from __future__ import annotations

import numpy as np
from blake3 import blake3

from vna.dicom.decode import PixelDescription, decode_frame, described_by
from vna.dicom.encode_values import swap_words
from vna.dicom.syntaxes import DECODABLE, EXPLICIT_VR_BIG_ENDIAN


def frame_digest(
    frame: bytes, transfer_syntax_uid: str, description: PixelDescription, word: int = 1
) -> bytes:
    """BLAKE3 of the samples of one frame: native, little endian, colour by pixel.

    `frame`: its fragments joined, or its native bytes, `word` bytes to a value. Raises Unsupported when it can't be
    decoded.
    """
    if transfer_syntax_uid in DECODABLE:
        decoded = decode_frame(frame, transfer_syntax_uid, description)
        frame, description = decoded.data, described_by(decoded, description)
    elif transfer_syntax_uid == EXPLICIT_VR_BIG_ENDIAN:
        frame = swap_words(frame, word)
    return blake3(_by_pixel(frame, description)).digest()


def _by_pixel(frame: bytes, description: PixelDescription) -> bytes:
    """Samples in the order of PlanarConfiguration 0 (PS3.3 C.7.6.3.1.3)."""
    samples, bits = description.samples_per_pixel, description.bits_allocated
    if description.planar_configuration != 1 or samples < 2 or bits % 8:
        return frame
    size = bits // 8
    pixels = len(frame) // (samples * size)
    planes = np.frombuffer(frame, np.uint8, pixels * samples * size)
    return planes.reshape(samples, pixels, size).swapaxes(0, 1).tobytes()
