"""One compressed frame of pixel data, decoded to native little endian samples (PS3.5 8.2)."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID
from rle.utils import decode_pixel_data as decode_rle

from vna.dicom.codestream import Codestream, read_codestream
from vna.dicom.jpeg import Samples, decode_jpeg, decode_jpeg_ls, sign_extended
from vna.dicom.stream_headers import bare_codestream
from vna.dicom.syntaxes import (
    DECODABLE,
    DEFLATED_FRAMES,
    ENCAPSULATED_UNCOMPRESSED,
    JPEG_2000,
    JPEG_LOSSY,
    RLE_LOSSLESS,
    describe,
)
from vna.errors import Unsupported

_FAILURES = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RuntimeError,
    struct.error,
    TypeError,
    ValueError,
    zlib.error,
)
"""What the plug-ins and pydicom raise for codestreams that they can't read."""


_PANIC = "PanicException"
_BITS_OF_A_BYTE = 8
_RLE_EXPANSION = 64  # two bytes become 128 at most (PS3.5 G.3)


@dataclass(frozen=True, slots=True)
class PixelDescription:
    """The Image Pixel module (PS3.3 C.7.6.3) of a dataset, as far as decoding needs it."""

    rows: int
    columns: int
    samples_per_pixel: int = 1
    bits_allocated: int = 16
    bits_stored: int = 0
    pixel_representation: int = 0
    planar_configuration: int = 0
    photometric_interpretation: str = "MONOCHROME2"
    number_of_frames: int = 1

    @property
    def frame_bits(self) -> int:
        """Bits of a native frame."""
        return self.rows * self.columns * self.samples_per_pixel * self.bits_allocated

    @property
    def frame_bytes(self) -> int:
        """Bytes of a native frame by itself, 1-bit pixels packed."""
        return -(-self.frame_bits // 8)


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """Samples of one frame, and those properties of the image that decoding may change."""

    data: bytes
    photometric_interpretation: str
    planar_configuration: int


def described_by(decoded: DecodedFrame, description: PixelDescription) -> PixelDescription:
    """`description` of a compressed frame, as it is true of the `decoded` one."""
    return replace(
        description,
        photometric_interpretation=decoded.photometric_interpretation,
        planar_configuration=decoded.planar_configuration,
    )


def decode_frame(
    frame: bytes, transfer_syntax_uid: str, description: PixelDescription
) -> DecodedFrame:
    """`frame` (its fragments joined) as native samples, `description.frame_bytes` of them.

    Colours that the compression had turned into YBR for its own sake come back as RGB (lossy JPEG,
    and ICT and RCT of JPEG 2000); what a lossless syntax keeps as YBR_FULL stays so, bit for bit.
    The size that the codestream declares is compared with the description before anything is
    allocated.

    Raises Unsupported naming the syntax: no decoder, or a codestream that it can't read.
    """
    if transfer_syntax_uid not in DECODABLE:
        raise Unsupported(f"There is no decoder for {describe(transfer_syntax_uid)}")
    if description.frame_bytes <= 0:
        raise _undecodable(transfer_syntax_uid, "its header declares a frame without pixels")
    try:
        if transfer_syntax_uid == RLE_LOSSLESS:
            data = _decode_rle(frame, description)
        elif transfer_syntax_uid == DEFLATED_FRAMES:
            data = zlib.decompressobj(-15).decompress(frame, description.frame_bytes)
        elif transfer_syntax_uid == ENCAPSULATED_UNCOMPRESSED:
            data = frame[: description.frame_bytes]
        else:
            return _decode_image(frame, transfer_syntax_uid, description)
    except _FAILURES as exc:
        raise _undecodable(transfer_syntax_uid, str(exc)) from exc
    _check_length(data, transfer_syntax_uid, description)
    return DecodedFrame(
        data, description.photometric_interpretation, description.planar_configuration
    )


def _decode_rle(frame: bytes, description: PixelDescription) -> bytes:
    """Planes as PS3.5 G has them, or interleaved where PlanarConfiguration is 0."""
    if description.frame_bytes > _RLE_EXPANSION * len(frame):
        raise ValueError(f"{len(frame)} bytes can't hold {description.frame_bytes}")
    try:
        planes = bytes(
            decode_rle(
                frame,
                version=2,
                rows=description.rows,
                columns=description.columns,
                bits_allocated=description.bits_allocated,
                byteorder="<",
                pack_bits=True,
            )
        )
    except BaseException as exc:  # a panic of its Rust code is no Exception
        if type(exc).__name__ != _PANIC:
            raise
        raise ValueError(f"its segments are damaged: {exc}") from exc
    samples, size = description.samples_per_pixel, description.bits_allocated // 8
    if samples == 1 or description.planar_configuration == 1 or size == 0:
        return planes
    return np.frombuffer(planes, f"V{size}").reshape(samples, -1).T.tobytes()


def _decode_image(
    frame: bytes, transfer_syntax_uid: str, description: PixelDescription
) -> DecodedFrame:
    frame = bytes(bare_codestream(frame))
    header = _header(frame, description)
    is_lossy_jpeg = transfer_syntax_uid in JPEG_LOSSY and not header.is_jpeg_ls
    photometric = _photometric(header, transfer_syntax_uid, description)
    if transfer_syntax_uid in JPEG_2000:
        samples = _decode_jpeg_2000(frame, UID(transfer_syntax_uid), description)
    elif header.is_jpeg_ls:  # some are labelled as another JPEG
        samples = _words(decode_jpeg_ls(frame, header), header.precision, description)
    else:
        from_ybr = is_lossy_jpeg and photometric.startswith("YBR")
        found = decode_jpeg(frame, header, from_ybr=from_ybr)
        samples = _words(found, description.bits_stored or description.bits_allocated, description)
    if description.bits_allocated == 1:
        samples = np.packbits(samples.ravel(), bitorder="little")
    data = samples.astype(samples.dtype.newbyteorder("<"), copy=False).tobytes()
    _check_length(data, transfer_syntax_uid, description)
    if photometric in {"YBR_ICT", "YBR_RCT"} or (is_lossy_jpeg and photometric.startswith("YBR")):
        photometric = "RGB"
    elif photometric == "YBR_FULL_422":
        photometric = "YBR_FULL"  # the decoder has given each pixel its own Cb and Cr
    return DecodedFrame(data, photometric, 0)


def _header(frame: bytes, description: PixelDescription) -> Codestream:
    """What the codestream declares, compared with what the header does."""
    found = read_codestream(frame)
    if found is None:
        raise ValueError("no frame header of that compression is found")
    if (found.rows, found.columns) != (description.rows, description.columns):
        raise ValueError(
            f"the codestream has {found.rows} rows and {found.columns} columns, "
            f"the header {description.rows} and {description.columns}"
        )
    if found.samples != description.samples_per_pixel:
        raise ValueError(f"the codestream has {found.samples} samples a pixel")
    if found.precision > max(description.bits_allocated, _BITS_OF_A_BYTE):
        raise ValueError(
            f"the codestream has samples of {found.precision} bits, the header allocates "
            f"{description.bits_allocated}"
        )
    return found


def _photometric(
    header: Codestream, transfer_syntax_uid: str, description: PixelDescription
) -> str:
    """The colour space of the codestream, which may know better than the header."""
    photometric = description.photometric_interpretation
    if header.samples != 3 or transfer_syntax_uid in JPEG_2000:
        return photometric
    transform = header.transform if transfer_syntax_uid in JPEG_LOSSY else -1
    if header.is_rgb or transform == 0:
        return "RGB"
    is_ybr = header.is_jfif or transform == 1
    return "YBR_FULL" if is_ybr and "YBR" not in photometric else photometric


def _words(samples: Samples, bits: int, description: PixelDescription) -> Samples:
    """`samples` in words as large as allocated; negative ones, of which `bits` are told, with their sign.

    Unused bits of unsigned ones may hold an overlay and stay.
    """
    size = max(1, description.bits_allocated // 8)
    words = samples.astype(f"u{size}", copy=False)
    return sign_extended(words, bits) if description.pixel_representation else words


def _decode_jpeg_2000(
    frame: bytes, transfer_syntax_uid: UID, description: PixelDescription
) -> Samples:
    options: dict[str, Any] = {
        "rows": description.rows,
        "columns": description.columns,
        "number_of_frames": 1,
        "samples_per_pixel": description.samples_per_pixel,
        "bits_allocated": description.bits_allocated,
        "bits_stored": description.bits_stored or description.bits_allocated,
        "pixel_representation": description.pixel_representation,
        "photometric_interpretation": description.photometric_interpretation,
        "planar_configuration": 0,
        "pixel_keyword": "PixelData",
        "as_rgb": False,
    }
    source = encapsulate([frame], has_bot=False)
    decoder = get_decoder(transfer_syntax_uid)
    return decoder.as_array(source, validate=False, decoding_plugin="pylibjpeg", **options)[0]


def _check_length(data: bytes, transfer_syntax_uid: str, description: PixelDescription) -> None:
    if len(data) != description.frame_bytes:
        found, expected = len(data), description.frame_bytes
        raise _undecodable(transfer_syntax_uid, f"it gave {found} bytes instead of {expected}")


def _undecodable(transfer_syntax_uid: str, reason: str) -> Unsupported:
    summary = " ".join(reason.split())[:300]
    return Unsupported(f"A frame of {describe(transfer_syntax_uid)} can't be decoded: {summary}")
