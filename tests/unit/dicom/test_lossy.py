"""What a decoded image says of the lossy compression that it once had."""

from __future__ import annotations

import pytest

from tests import samples
from vna.dicom.lossy import is_lossy, lossy_changes

JPEG_LS_NEAR = "1.2.840.10008.1.2.4.81"
JPEG_2000_LOSSY, HTJ2K = "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.203"
INSTANCE = {0x00080018: b"1.2.3"}
LOSSY, RATIO, METHOD = 0x00282110, 0x00282112, 0x00282114


def jpeg_ls(near: int) -> bytes:
    frame_header = b"\xff\xf7\x00\x0b\x08\x00\x04\x00\x04\x01\x01\x11\x00"
    return b"\xff\xd8" + frame_header + b"\xff\xda\x00\x08\x01\x01\x00" + bytes([near, 0, 0]) + b"x"


def jpeg_2000(transformation: int) -> bytes:
    size = b"\xff\x4f\xff\x51\x00\x29" + bytes(39)
    style = b"\xff\x52\x00\x0c\x00\x00\x00\x01\x00\x05\x04\x04\x00" + bytes([transformation])
    return size + style + b"\xff\x90"


@pytest.mark.parametrize(
    ("frame", "syntax", "expected"),
    [
        (b"\xff\xd8", samples.JPEG_BASELINE, True),
        (b"\xff\xd8", samples.JPEG_LOSSLESS, False),
        (jpeg_ls(0), JPEG_LS_NEAR, False),
        (jpeg_ls(3), JPEG_LS_NEAR, True),
        (jpeg_ls(0), samples.JPEG_LS, False),
        (b"\xff\xd8\xff", JPEG_LS_NEAR, False),
        (jpeg_2000(0), JPEG_2000_LOSSY, True),
        (jpeg_2000(1), JPEG_2000_LOSSY, False),
        (jpeg_2000(0), samples.JPEG_2000, True),
        (jpeg_2000(0)[:50], JPEG_2000_LOSSY, False),
        (b"", JPEG_2000_LOSSY, False),
        (b"", samples.RLE, False),
    ],
)
def test_the_codestream_tells_whether_something_was_lost(
    frame: bytes, syntax: str, expected: bool
) -> None:
    assert is_lossy(frame, syntax) is expected


@pytest.mark.parametrize(
    ("syntax", "method"),
    [
        (samples.JPEG_BASELINE, b"ISO_10918_1"),
        (JPEG_LS_NEAR, b"ISO_14495_1"),
        (JPEG_2000_LOSSY, b"ISO_15444_1"),
        (HTJ2K, b"ISO_15444_15"),
    ],
)
def test_an_image_that_says_nothing_is_told_all(syntax: str, method: bytes) -> None:
    assert lossy_changes(INSTANCE, syntax, 1000, 80) == {
        LOSSY: ("CS", b"01"),
        RATIO: ("DS", b"12.5"),
        METHOD: ("CS", method),
    }


def test_what_the_image_says_itself_stays() -> None:
    values = {**INSTANCE, LOSSY: b"01", RATIO: b"7\\3 ", METHOD: b"ISO_10918_1\\ISO_15444_1 "}
    assert lossy_changes(values, JPEG_2000_LOSSY, 1000, 80) == {}


def test_a_history_of_several_steps_is_not_guessed() -> None:
    values = {**INSTANCE, LOSSY: b"01", RATIO: b"7\\3 "}
    assert lossy_changes(values, JPEG_2000_LOSSY, 1000, 80) == {}


def test_an_image_that_calls_itself_lossless_is_corrected() -> None:
    values = {**INSTANCE, LOSSY: b"00", RATIO: b"7 ", METHOD: b"ISO_10918_1 "}
    assert lossy_changes(values, samples.JPEG_BASELINE, 1, 1) == {LOSSY: ("CS", b"01")}


def test_an_icon_has_no_such_elements() -> None:
    assert lossy_changes({0x00280010: b"\x04\x00"}, samples.JPEG_BASELINE, 1, 1) == {}
