"""RLE frames for tests (PS3.5 annex G)."""

from __future__ import annotations

from rle.utils import encode_pixel_data


def rle_frame(
    frame: bytes, rows: int, columns: int, bits: int, samples_per_pixel: int = 1
) -> bytes:
    return bytes(
        encode_pixel_data(
            frame,
            rows=rows,
            columns=columns,
            samples_per_pixel=samples_per_pixel,
            bits_allocated=bits,
            number_of_frames=1,
            byteorder="<",
        )
    )
