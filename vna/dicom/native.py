"""Single frames cut out of native pixel data, and put into little endian (PS3.5 8.1.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vna.dicom.decode import PixelDescription, decode_frame
from vna.dicom.encode_values import swap_words
from vna.dicom.syntaxes import EXPLICIT_VR_BIG_ENDIAN, RLE_LOSSLESS
from vna.model.frames import NativeFrames


def native_frame(data: bytes | memoryview, frames: NativeFrames, number: int) -> bytes:
    """Frame `number` (from 1), cut from `data`, which is its span of whole bytes.

    Pixels of one bit run on across frames without padding: the cut moves the frame's first bit to
    the lowest bit of the first byte and clears what is behind its last. Of truncated data, what is
    there.
    """
    shift = (number - 1) * frames.bits % 8
    if shift == 0 and frames.bits % 8 == 0:
        return bytes(data[: frames.bits // 8])
    length = min(-(-frames.bits // 8), len(data))
    bits = int.from_bytes(data, "little") >> shift
    return (bits & ((1 << min(frames.bits, 8 * length)) - 1)).to_bytes(length, "little")


def join_frames(frames: Iterable[bytes], bits: int) -> Iterator[bytes]:
    """Native frames of `bits` each one behind the other, of even length in all.

    Frames that do not end on a byte are joined bit by bit (PS3.5 8.1.1).
    """
    waiting, size, total = 0, 0, 0
    for frame in frames:
        if bits % 8 == 0:
            total += len(frame)
            yield frame
            continue
        waiting |= int.from_bytes(frame, "little") << size
        whole, left = divmod(size + bits, 8)
        total += whole
        yield (waiting & ((1 << 8 * whole) - 1)).to_bytes(whole, "little")
        waiting, size = waiting >> 8 * whole, left
    if size:
        total += 1
        yield waiting.to_bytes(1, "little")
    if total & 1:
        yield b"\0"


def frame_to_little_endian(
    frame: bytes,
    transfer_syntax_uid: str,
    description: PixelDescription,
    pixel_vr: str = "OW",
) -> bytes:
    """One frame as explicit VR little endian has it: what DICOMweb answers for the few syntaxes
    without a media type of their own (big endian, deflated, RLE of 32 bits).

    `frame`: the cut of `native_frame`, or the joined fragments. Deflated datasets are little endian
    inside, their frames come back as they are. RLE is decoded, in the planar configuration
    described. Raises Unsupported when an RLE frame can't be read.
    """
    if transfer_syntax_uid == RLE_LOSSLESS:
        return decode_frame(frame, transfer_syntax_uid, description).data
    if transfer_syntax_uid != EXPLICIT_VR_BIG_ENDIAN or pixel_vr == "OB":
        return frame
    return swap_words(frame, max(2, description.bits_allocated // 8))
