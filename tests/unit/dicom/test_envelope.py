"""The quick look at what stands before a dataset finds what the whole reading finds."""

from __future__ import annotations

import struct
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import samples
from vna.dicom.envelope import names_syntax, read_envelope
from vna.dicom.part10 import file_meta

UIDS = (samples.CT_IMAGE, "1.2.3")
HEAD = file_meta(*UIDS, samples.EXPLICIT, "SENDER")


def slowly(head: bytes, uid: str) -> bool:
    return head[128:132] == b"DICM" and read_envelope(head).transfer_syntax_uid == uid


FILES = sorted((Path(pydicom.__file__).parent / "data" / "test_files").glob("*.dcm"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_of_every_test_file(path: Path) -> None:
    data = path.read_bytes()[:100_000]
    envelope = read_envelope(data)
    head = data[: envelope.dataset_offset]
    for uid in (envelope.transfer_syntax_uid, samples.JPEG_BASELINE, ""):
        assert names_syntax(head, uid) == slowly(head, uid)


def element(number: int, vr: bytes, value: bytes) -> bytes:
    if vr == b"OB":
        return struct.pack("<HH2s2xI", 2, number, vr, len(value)) + value
    return struct.pack("<HH2sH", 2, number, vr, len(value)) + value


elements = st.lists(
    st.builds(
        element,
        st.sampled_from([1, 2, 3, 0x10, 0x12, 0x102]),
        st.sampled_from([b"UI", b"SH", b"AE", b"OB", b"UR", b"XX"]),
        st.sampled_from([b"", b"1.2\0", samples.EXPLICIT.encode() + b"\0", HEAD[150:200]]),
    ),
    max_size=6,
)


@given(elements, st.integers(-2, 300))
def test_of_any_meta_elements(found: list[bytes], cut: int) -> None:
    body = b"".join(found)
    head = HEAD[:140] + struct.pack("<I", len(body)) + body
    head = head[: len(head) - cut] if cut > 0 else head + bytes(-cut)
    offset = read_envelope(head).dataset_offset
    for uid in (samples.EXPLICIT, "1.2"):
        assert names_syntax(head[:offset], uid) == slowly(head[:offset], uid)
