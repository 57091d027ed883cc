"""The OHIF viewer finds, opens and draws what the archive has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from highdicom.seg import SegmentAlgorithmTypeValues, SegmentationTypeValues, SegmentDescription
from numpy.typing import NDArray
from pydicom.sr.codedict import codes

from tests import samples
from tests.e2e.process import ArchiveProcess
from tests.e2e.web import stow
from tests.interop import viewer
from tests.interop.programs import sample
from tests.interop.viewer import Viewer

pytestmark = [viewer.needed(viewer.OHIF), pytest.mark.slow, pytest.mark.timeout(400)]

STUDY, SERIES = "1.2.826.0.1.3680043.10.511.4.1", "1.2.826.0.1.3680043.10.511.4.2"
SLICES = 4


@pytest.fixture(scope="module")
def looking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ArchiveProcess, Viewer]]:
    with viewer.looking(tmp_path_factory.mktemp("viewer")) as both:
        yield both


def is_drawn(shot: NDArray[np.uint8]) -> bool:
    """More than one flat colour, and not black."""
    return bool(shot.mean() > 8 and shot.std() > 8)


def has_segment(shot: NDArray[np.uint8]) -> bool:
    """A part of the grey image is reddish, the colour that the viewer gives the first segment."""
    red, green, blue = (shot[..., channel].astype(int) for channel in range(3))
    return bool(((red - green > 40) & (red - blue > 40)).mean() > 0.05)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("CT_small.dcm", id="CT"),
        pytest.param("MR_small.dcm", id="MR"),
        pytest.param("examples_ybr_color.dcm", id="US multi-frame"),
        pytest.param("693_J2KR.dcm", id="JPEG 2000"),
    ],
)
def test_an_image_is_drawn(looking: tuple[ArchiveProcess, Viewer], name: str) -> None:
    archive, page = looking
    file = sample(name)
    assert stow(archive, file.read_bytes()) == 200
    page.open_study(str(pydicom.dcmread(file, stop_before_pixels=True).StudyInstanceUID))
    page.await_image(is_drawn)


def test_a_segmentation_is_drawn_over_its_images(looking: tuple[ArchiveProcess, Viewer]) -> None:
    archive, page = looking
    images = [pydicom.dcmread(BytesIO(_slice(number))) for number in range(SLICES)]
    assert stow(archive, *(_slice(number) for number in range(SLICES))) == 200
    page.open_study(STUDY)
    assert not has_segment(page.await_image(is_drawn))
    assert stow(archive, _segmentation(images)) == 200
    page.open_study(STUDY)
    page.await_image(is_drawn)
    page.load_segmentation()
    page.await_image(has_segment)


def test_the_study_list_names_the_patients(looking: tuple[ArchiveProcess, Viewer]) -> None:
    archive, page = looking
    file = samples.ct(
        sop_instance_uid="1.2.826.0.1.3680043.10.511.5.3",
        study_instance_uid="1.2.826.0.1.3680043.10.511.5.1",
        series_instance_uid="1.2.826.0.1.3680043.10.511.5.2",
        patient_id="LIST-1",
        PatientName="Listed^Patient",
    )
    assert stow(archive, file) == 200
    page.open_list()
    page.await_text("LIST-1")


def _slice(number: int) -> bytes:
    """One of a stack of CT slices with a bright square."""
    pixels = np.full((64, 64), 200, np.uint16)
    pixels[16:48, 16:48] = 900
    file = samples.ct(
        sop_instance_uid=f"{SERIES}.{number}",
        study_instance_uid=STUDY,
        series_instance_uid=SERIES,
        patient_id="SEG-1",
        rows=64,
        columns=64,
        InstanceNumber=str(number + 1),
        ImagePositionPatient=["0", "0", str(number * 2)],
        ImageOrientationPatient=["1", "0", "0", "0", "1", "0"],
        PixelSpacing=["1", "1"],
        SliceThickness="2",
        FrameOfReferenceUID=f"{SERIES}.77",
        WindowCenter="500",
        WindowWidth="1000",
        RescaleIntercept="0",
        RescaleSlope="1",
    )
    dataset = pydicom.dcmread(BytesIO(file))
    dataset.PixelData = pixels.tobytes()
    dataset.PixelRepresentation = 0
    out = BytesIO()
    dataset.save_as(out)
    return out.getvalue()


def _segmentation(images: Sequence[pydicom.Dataset]) -> bytes:
    """A binary segment in the middle of all slices."""
    mask = np.zeros((SLICES, 64, 64), np.uint8)
    mask[:, 24:40, 24:40] = 1
    described = SegmentDescription(
        segment_number=1,
        segment_label="square",
        segmented_property_category=codes.SCT.Tissue,
        segmented_property_type=codes.SCT.ConnectiveTissue,
        algorithm_type=SegmentAlgorithmTypeValues.MANUAL,
    )
    segmentation = highdicom.seg.Segmentation(
        source_images=images,
        pixel_array=mask,
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[described],
        series_instance_uid=f"{SERIES}.88",
        series_number=9,
        sop_instance_uid=f"{SERIES}.99",
        instance_number=1,
        manufacturer="test",
        manufacturer_model_name="test",
        software_versions="1",
        device_serial_number="1",
    )
    out = BytesIO()
    segmentation.save_as(out)
    return out.getvalue()


def test_what_is_looked_for_can_be_missing() -> None:
    """Neither a black nor a flat nor a grey picture passes for what the others wait for."""
    black = np.zeros((90, 90, 3), np.uint8)
    grey = np.repeat(np.indices((90, 90))[0].astype(np.uint8)[..., None] * 2, 3, axis=2)
    reddish = grey.copy()
    reddish[30:60, 30:60, 0] = 220
    assert [is_drawn(shot) for shot in (black, black + 99, grey)] == [False, False, True]
    assert [has_segment(shot) for shot in (black, grey, reddish)] == [False, False, True]


def test_the_viewer_is_where_it_is_looked_for() -> None:
    folder = viewer.distribution(viewer.OHIF)
    assert folder is not None
    assert (Path(folder) / "app-config.js").exists()
