"""What presentation states say of an image."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydicom import dcmread

from tests import reports, samples
from vna.dicom.json import dataset_json
from vna.dicom.json_reading import Dataset
from vna.dicom.presentation_state import Area, read_state, referenced_images
from vna.dicom.rendering.options import Viewport
from vna.errors import InvalidQuery, Unsupported

SIZE = (64, 32)


def parsed(data: bytes) -> Dataset:
    start = 144 + int.from_bytes(data[140:144], "little")
    return dataset_json(data, dataset_offset=start, transfer_syntax_uid=samples.EXPLICIT)


def state(**overrides: Any) -> Dataset:
    return parsed(reports.state("1.1", "1.2", "1.3", **overrides))


def test_a_state_that_says_nothing_leaves_values_as_they_are() -> None:
    found = read_state(state(), "1.3", 1, SIZE)
    elements = orjson.loads(found.elements)
    assert elements["20500020"]["Value"] == ["IDENTITY"]
    assert elements["00280004"]["Value"] == ["MONOCHROME2"]
    for tag in ("00281050", "00281051", "00281052", "00281053", "00283000", "00283010"):
        assert "Value" not in elements[tag]
    assert (found.rotation, found.is_mirrored, found.not_shown) == (0, False, ())
    assert found.area == Area(0, 0, 64, 32)


def test_the_window_of_the_image_that_is_meant() -> None:
    def voi(uid: str, center: str) -> dict[str, Any]:
        image = {"ReferencedSOPInstanceUID": uid, "ReferencedFrameNumber": "2"}
        return {"WindowCenter": center, "WindowWidth": "5", "ReferencedImageSequence": [image]}

    found = state(SoftcopyVOILUTSequence=[voi("1.9", "1"), voi("1.3", "2")])
    elements = orjson.loads(read_state(found, "1.3", 2, SIZE).elements)
    assert elements["00281050"]["Value"] == [2]
    assert "Value" not in orjson.loads(read_state(found, "1.3", 1, SIZE).elements)["00281050"]


def area(*corners: int) -> dict[str, Any]:
    item: dict[str, Any] = {
        "DisplayedAreaTopLeftHandCorner": list(corners[:2]),
        "DisplayedAreaBottomRightHandCorner": list(corners[2:]),
    }
    return {"DisplayedAreaSelectionSequence": [item]}


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({}, Viewport(10, 20, 0, 0, 64, 32)),
        (area(1, 1, 64, 32), Viewport(10, 20, 0, 0, 64, 32)),
        (area(5, 3, 8, 10), Viewport(10, 20, 4, 2, 4, 8)),
        (area(8, 10, 5, 3), Viewport(10, 20, 4, 2, 4, 8)),
        (area(-100, -100, 500, 500), Viewport(10, 20, 0, 0, 64, 32)),
        (area(100, 100, 500, 500), Viewport(10, 20, 0, 0, 64, 32)),
        ({"ImageHorizontalFlip": "Y"}, Viewport(10, 20, 0, 0, -64, 32)),
        ({"ImageRotation": 90}, Viewport(20, 10, 0, 0, 64, 32)),
        ({"ImageRotation": 270, "ImageHorizontalFlip": "Y"}, Viewport(20, 10, 0, 0, 64, -32)),
    ],
)
def test_the_displayed_area(overrides: dict[str, Any], expected: Viewport) -> None:
    assert read_state(state(**overrides), "1.3", 1, SIZE).viewport(10, 20) == expected


def test_what_can_not_be_applied() -> None:
    with pytest.raises(InvalidQuery, match="does not refer"):
        read_state(state(), "1.4", 1, SIZE)
    with pytest.raises(Unsupported, match="mask"):
        read_state(state(MaskSubtractionSequence=[{"MaskOperation": "AVG_SUB"}]), "1.3", 1, SIZE)
    with pytest.raises(Unsupported, match="SOP class"):
        read_state(state(SOPClassUID="1.2.840.10008.5.1.4.1.1.11.4"), "1.3", 1, SIZE)
    with pytest.raises(Unsupported, match="unknown"):
        read_state({}, "1.3", 1, SIZE)
    points: Any = {"vr": "FL", "Value": [0.5] * 3_000_000}
    graphics: Any = {
        "vr": "SQ",
        "Value": [{"00700009": {"vr": "SQ", "Value": [{"00700022": points}]}}],
    }
    with pytest.raises(Unsupported, match="draws more"):
        read_state({**state(), "00700001": graphics}, "1.3", 1, SIZE)


REAL = [path for path in samples.corpus_files() if path.parent.name == "PR"]


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.name)
def test_real_states(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        real = dcmread(path)
        images = [
            image.ReferencedSOPInstanceUID
            for series in real.ReferencedSeriesSequence
            for image in series.ReferencedImageSequence
        ]
    dataset = parsed(path.read_bytes())
    assert [image.sop_instance_uid for image in referenced_images(dataset)] == images
    found = read_state(dataset, images[0], 1, (2048, 2048))
    assert found.rotation == real.get("ImageRotation", 0)
    assert found.is_mirrored == (real.get("ImageHorizontalFlip", "N") == "Y")
    corner = real.DisplayedAreaSelectionSequence[0].DisplayedAreaTopLeftHandCorner
    assert found.area.left in {corner[0] - 1, 0.0} or found.rotation or found.is_mirrored
    elements = orjson.loads(found.elements)
    assert elements["20500020"]["Value"] == [real.PresentationLUTShape]
    if "SoftcopyVOILUTSequence" in real:
        item = real.SoftcopyVOILUTSequence[0]
        assert ("VOILUTSequence" in item) == ("Value" in elements["00283010"])
