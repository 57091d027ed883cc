"""Rendered pixels of real files equal what pydicom's own transformations give."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from tests import samples
from tests.real_images import UNDECODABLE, tolerance
from tests.unit.dicom.rendering.expected import compare, eight_bits, first_frame, flattened
from tests.unit.dicom.rendering.files import rendered
from vna.errors import InvalidInstance, VnaError

LARGE = 2_000_000


def test_helper_rounds_half_up() -> None:
    assert eight_bits(np.array([0.5, 1.5]), 0, 255).tolist() == [1, 2]


FILES = [*samples.pydicom_files(), *samples.corpus_files()]


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(
            path, id=path.name, marks=[pytest.mark.slow] if path.stat().st_size > LARGE else []
        )
        for path in FILES
        if path.name not in UNDECODABLE
    ],
)
def test_a_real_file_is_rendered_as_pydicom_would(path: Path) -> None:
    data = path.read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = dcmread(io.BytesIO(data), force=True)
        try:
            array = first_frame(found)
        except Exception:  # noqa: BLE001 # pydicom raises anything at all for files without an image
            check_refused(data)
            return
        try:
            image = rendered(data)
        except InvalidInstance as exc:
            assert "DICOMDIR" in str(exc)
            return
        compare(flattened(found), array, image, tolerance(data))


def check_refused(data: bytes) -> None:
    """What pydicom can't decode may be shown, or is refused in words."""
    try:
        rendered(data)
    except (VnaError, AssertionError) as exc:
        assert str(exc) or isinstance(exc, AssertionError)
