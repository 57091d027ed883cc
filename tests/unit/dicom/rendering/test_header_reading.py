"""The part of a header that rendering needs: small, complete, and read from anything."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import samples
from vna.dicom.header import read_header
from vna.dicom.rendering import header_reading
from vna.dicom.rendering.header import RelevantHeader
from vna.dicom.rendering.header_reading import read_relevant


def read(data: bytes) -> RelevantHeader:
    header = read_header(data)
    return read_relevant(
        data,
        dataset_offset=header.layout.dataset_offset,
        transfer_syntax_uid=header.transfer_syntax_uid,
        stop=header.layout.header_length,
    )


def tags(header: RelevantHeader) -> set[str]:
    return set(orjson.loads(header.common))


def test_what_rendering_does_not_need_is_left_out() -> None:
    whole = samples.ct()
    found = read(whole)
    assert {"00280010", "00281050", "00281053", "00100010", "7FE00010"} <= tags(found)
    assert not {"00080012", "00181200", "00400275", "00091001"} & tags(found)
    assert len(found.common) < 3000
    assert found.description.rows == found.description.columns == 512


def test_each_frame_has_its_own_groups() -> None:
    groups = [
        {
            "PlanePositionSequence": [{"ImagePositionPatient": "1\\2\\3"}],
            "FrameVOILUTSequence": [{"WindowCenter": str(number), "WindowWidth": "10"}],
        }
        for number in range(3)
    ]
    shared = {
        "PixelMeasuresSequence": [{"PixelSpacing": "1\\2"}],
        "FrameAnatomySequence": [{"FrameLaterality": "U"}],
    }
    found = read(
        samples.multiframe(
            3, SharedFunctionalGroupsSequence=[shared], PerFrameFunctionalGroupsSequence=groups
        )
    )
    (item,) = orjson.loads(found.common)["52009229"]["Value"]
    assert set(item) == {"00289110"}
    assert "52009230" not in tags(found)
    items = orjson.loads(found.of_frames((3, 1, 9)))["52009230"]["Value"]
    centers = [item["00289132"]["Value"][0]["00281050"]["Value"] for item in items[:2]]
    assert centers == [[2], [0]]
    assert set(items[0]) == {"00289132"}
    assert items[2] == {}
    assert found.size > len(found.common) + len(b"".join(found.frames))


def test_only_the_profile_of_an_optical_path_is_taken() -> None:
    paths: list[samples.Value] = [
        {"OpticalPathIdentifier": "1"},
        {"OpticalPathIdentifier": "2", "ICCProfile": samples.Typed("OB", b"profile!")},
        {"OpticalPathIdentifier": "3", "ICCProfile": samples.Typed("OB", b"another!")},
    ]
    found = read(samples.multiframe(OpticalPathSequence=paths))
    (path,) = orjson.loads(found.common)["00480105"]["Value"]
    assert path == {"00282000": {"vr": "OB", "InlineBinary": "cHJvZmlsZSE="}}


def test_values_that_are_too_long_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(header_reading, "MAX_VALUE", 100)
    item = {
        "LUTDescriptor": samples.Typed("US", [64, 0, 16]),
        "LUTData": samples.Typed("OW", bytes(128)),
    }
    found = read(
        samples.multiframe(VOILUTSequence=[item], ICCProfile=samples.Typed("OB", bytes(200)))
    )
    assert "00282000" not in tags(found)
    assert list(orjson.loads(found.common)["00283010"]["Value"][0]) == ["00283002"]


def test_what_stands_behind_the_pixels_is_read_too() -> None:
    data = samples.multiframe()
    header = read_header(data)
    stop, tail = header.layout.header_length, header.layout.header_length + 16
    behind = samples.writer().dataset({"RescaleSlope": "2"})
    found = read_relevant(
        data[:tail] + behind,
        dataset_offset=header.layout.dataset_offset,
        transfer_syntax_uid=header.transfer_syntax_uid,
        stop=stop,
        tail=tail,
    )
    assert {"7FE00010", "00281053", "00280010"} <= tags(found)


SYNTAXES = [
    samples.EXPLICIT,
    samples.IMPLICIT,
    samples.BIG_ENDIAN,
    samples.DEFLATED,
    samples.JPEG_BASELINE,
    "1.2.3",
]


@given(
    st.binary(max_size=300),
    st.sampled_from(SYNTAXES),
    st.integers(0, 320),
    st.none() | st.integers(0, 320),
)
def test_any_bytes(data: bytes, syntax: str, stop: int, tail: int | None) -> None:
    read_relevant(data, dataset_offset=0, transfer_syntax_uid=syntax, stop=stop, tail=tail)


WHOLE = {syntax: samples.multiframe(transfer_syntax_uid=syntax) for syntax in SYNTAXES[:4]}


@given(st.data(), st.sampled_from(SYNTAXES[:4]))
def test_damaged_headers(data: st.DataObject, syntax: str) -> None:
    whole = bytearray(WHOLE[syntax])
    for _ in range(3):
        whole[data.draw(st.integers(132, len(whole) - 1))] = data.draw(st.integers(0, 255))
    found = read_relevant(
        bytes(whole), dataset_offset=132, transfer_syntax_uid=syntax, stop=len(whole) - 60
    )
    assert found.of_frames((1, 2))
