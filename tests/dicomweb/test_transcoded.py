"""Instances and frames in transfer syntaxes in which they are not stored."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from flask.testing import FlaskClient
from pydicom import Dataset, dcmread
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID

from tests import samples
from tests.dicomweb.conftest import Archive, Keep
from tests.dicomweb.multiparts import ROOT, get_parts, problem
from tests.samples import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, RLE, Typed
from vna.dicom.syntaxes import ENCODABLE, FRAME_TARGETS, OBJECT_TARGETS
from vna.errors import Unsupported
from vna.model.identifiers import Selection
from vna.services.decoders import InProcess
from vna.services.piecewise import PiecewiseConversion

UIDS = {"StudyInstanceUID": "1.1", "SeriesInstanceUID": "1.2", "SOPInstanceUID": "1.3"}
INSTANCE = "/studies/1.1/series/1.2/instances/1.3"
DICOM_PARTS = 'multipart/related; type="application/dicom"'
REAL = (
    "MR_small.dcm",
    "CT_small.dcm",
    "MR_small_bigendian.dcm",
    "image_dfl.dcm",
    "SC_rgb_rle_2frame.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "MR_small_jp2klossless.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "ExplVR_BigEnd.dcm",
    "JPEG-LL.dcm",
)


def real(name: str) -> Path:
    path = next((path for path in samples.pydicom_files() if path.name == name), None)
    if path is None:
        pytest.skip(f"{name} is not among pydicom's files")
    return path


def read(data: bytes) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = dcmread(io.BytesIO(data))
        _ = found.pixel_array
    return found


def url_of(dataset: Dataset) -> str:
    return (
        f"/studies/{dataset.StudyInstanceUID}/series/{dataset.SeriesInstanceUID}"
        f"/instances/{dataset.SOPInstanceUID}"
    )


@pytest.mark.parametrize("name", REAL)
def test_real_files_in_every_syntax(client: FlaskClient, keep: Keep, name: str) -> None:
    stored = real(name).read_bytes()
    keep(stored)
    url = url_of(read(stored))
    accept = f"{DICOM_PARTS}; transfer-syntax={EXPLICIT}"
    (plain,) = get_parts(client, url, accept)
    expected = read(plain.data)
    for target in OBJECT_TARGETS:
        (part,) = get_parts(client, url, f"{DICOM_PARTS}; transfer-syntax={target}")
        assert part.headers["content-type"].endswith(f"transfer-syntax={target}")
        found = read(part.data)
        assert found.file_meta.TransferSyntaxUID == target
        assert (found.pixel_array == expected.pixel_array).all()
        assert found.SOPInstanceUID == expected.SOPInstanceUID
        assert found.get("LossyImageCompression") == expected.get("LossyImageCompression")


def test_many_frames_that_decompress_to_more_than_may_be_held(
    archive: Archive, client: FlaskClient, keep: Keep
) -> None:
    """120 frames, 110 MB uncompressed, where 64 MiB may be held of one object."""
    stored = real("color3d_jpeg_baseline.dcm").read_bytes()
    keep(stored)
    accept = f"application/dicom; transfer-syntax={EXPLICIT}"
    url = ROOT + url_of(dcmread(io.BytesIO(stored), stop_before_pixels=True))
    response = client.get(url, headers={"Accept": accept})
    assert len(response.data) > 2**26
    found = dcmread(io.BytesIO(response.data))
    assert (found.PhotometricInterpretation, found.LossyImageCompression) == ("RGB", "01")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = dcmread(io.BytesIO(stored))
        for index in (0, 60, 119):
            frame = pixel_array(expected, index=index)
            assert (pixel_array(found, index=index) == frame).all()


@pytest.mark.parametrize(
    "name", ["MR_small.dcm", "SC_rgb_rle_2frame.dcm", "MR_small_jp2klossless.dcm"]
)
def test_frames_in_every_syntax(client: FlaskClient, keep: Keep, name: str) -> None:
    stored = real(name).read_bytes()
    keep(stored)
    dataset = read(stored)
    url = f"{url_of(dataset)}/frames/1"
    octets = f"application/octet-stream; transfer-syntax={EXPLICIT}"
    plain = client.get(ROOT + url, headers={"Accept": octets})
    assert plain.content_type == octets
    for target in FRAME_TARGETS:
        accept = f"application/octet-stream; transfer-syntax={target}"
        response = client.get(ROOT + url, headers={"Accept": accept})
        assert response.status_code == 200, response.text
        assert response.content_type.endswith(f"transfer-syntax={target}")
        assert response.content_length == len(response.data)
    bare = client.get(ROOT + url, headers={"Accept": "application/octet-stream"})
    assert (bare.data, bare.content_type) == (plain.data, octets)
    any_syntax = "multipart/related; type=application/octet-stream; transfer-syntax=*"
    (part,) = get_parts(client, url, any_syntax)
    assert str(dataset.file_meta.TransferSyntaxUID) in part.headers["content-type"]


def test_a_slide_viewer_gets_what_is_stored(client: FlaskClient, keep: Keep) -> None:
    frames = [[b"\xff\xd8" + bytes([n]) * 20 + b"\xff\xd9"] for n in range(1, 3)]
    keep(samples.encapsulated(frames, **UIDS))  # type: ignore[arg-type]
    accept = (
        "image/jls, image/jp2; transfer-syntax=1.2.840.10008.1.2.4.90, image/jpx, "
        "application/octet-stream; transfer-syntax=*, image/jpeg"
    )
    response = client.get(f"{ROOT}{INSTANCE}/frames/2", headers={"Accept": accept})
    assert response.data == frames[1][0]


def test_what_cannot_be_decoded_says_so(client: FlaskClient, keep: Keep) -> None:
    keep(samples.encapsulated([[b"\xff\xd8nothing\xff\xd9"]], **UIDS))  # type: ignore[arg-type]
    for path, accept in (
        ("", f"application/dicom; transfer-syntax={RLE}"),
        ("/frames/1", "image/jls"),
    ):
        response = client.get(ROOT + INSTANCE + path, headers={"Accept": accept})
        assert samples.JPEG_BASELINE in problem(response, 406)


def test_floating_point_frames_as_stored_only(client: FlaskClient, keep: Keep) -> None:
    elements = {**samples.identity(**UIDS), **samples.image(2, 2, bits=32)}
    keep(samples.part10({**elements, "FloatPixelData": Typed("OF", bytes(range(16)))}))
    url = f"{ROOT}{INSTANCE}/frames/1"
    assert client.get(url, headers={"Accept": "application/octet-stream"}).data == bytes(range(16))
    problem(client.get(url, headers={"Accept": "image/jp2"}), 406)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, RLE])
@pytest.mark.parametrize("target", [EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED, *ENCODABLE])
@pytest.mark.parametrize("bits", [1, 8, 16])
def test_large_ones_are_converted_frame_by_frame(
    archive: Archive, client: FlaskClient, keep: Keep, syntax: str, target: str, bits: int
) -> None:
    """Piece by piece gives what the whole at once gives, but for the lengths of sequences."""
    rows, columns, count = 11, 13, 5
    random = np.random.default_rng(bits)
    size = -(-rows * columns * count * bits // 8)
    pixels = random.integers(0, 256, size + size % 2).astype(np.uint8).tobytes()
    if bits == 1:
        pixels = _without_rest(pixels, rows * columns * count)
    data = samples.multiframe(
        count,
        rows=rows,
        columns=columns,
        bits=bits,
        transfer_syntax_uid=IMPLICIT if syntax == IMPLICIT else EXPLICIT,
        PixelData=Typed("OW" if bits > 8 or syntax == IMPLICIT else "OB", pixels),
        IconImageSequence=[{**samples.image(2, 2), "PixelData": Typed("OB", b"abcd")}],
        **UIDS,
    )
    if syntax == RLE:
        data = _compressed(client, keep, data)
    else:
        keep(data)
    (stored,) = archive.retrieve.select(_selection())
    piecewise = PiecewiseConversion(archive.retrieve, InProcess(), 2**26)
    whole = archive.pixels.dataset_as
    if target in {syntax, DEFLATED} or (syntax != RLE and target == BIG_ENDIAN):
        return
    try:
        expected = whole(stored, target)
    except Unsupported:
        with pytest.raises(Unsupported):
            b"".join(piecewise.dataset(stored, target))
        return
    assert b"".join(piecewise.dataset(stored, target)) == expected


def _compressed(client: FlaskClient, keep: Keep, data: bytes) -> bytes:
    """`data` as RLE, stored under the UIDs; first under others."""
    other = dcmread(io.BytesIO(data))
    other.SOPInstanceUID = other.file_meta.MediaStorageSOPInstanceUID = UID("1.9")
    buffer = io.BytesIO()
    other.save_as(buffer)
    keep(buffer.getvalue())
    url = "/studies/1.1/series/1.2/instances/1.9"
    (part,) = get_parts(client, url, f"{DICOM_PARTS}; transfer-syntax={RLE}")
    found = dcmread(io.BytesIO(part.data))
    found.SOPInstanceUID = found.file_meta.MediaStorageSOPInstanceUID = UID("1.3")
    buffer = io.BytesIO()
    found.save_as(buffer)
    keep(buffer.getvalue())
    return buffer.getvalue()


def _without_rest(pixels: bytes, bits: int) -> bytes:
    number = int.from_bytes(pixels, "little") & ((1 << bits) - 1)
    return number.to_bytes(len(pixels), "little")


def _selection() -> Selection:
    return Selection(sop_instance_uids=("1.3",), study_instance_uids=("1.1",))


def test_what_is_odd_is_converted_as_a_whole(client: FlaskClient, keep: Keep) -> None:
    """More frames than the header counts."""
    data = samples.multiframe(4, rows=3, columns=3, NumberOfFrames="3", **UIDS)  # type: ignore[arg-type]
    keep(data)
    for target in (IMPLICIT, RLE):
        (part,) = get_parts(client, INSTANCE, f"{DICOM_PARTS}; transfer-syntax={target}")
        found = read(part.data)
        assert (found.pixel_array[:3] == read(data).pixel_array[:3]).all()


def test_a_client_that_goes_away_stops_the_work(
    archive: Archive, client: FlaskClient, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(samples.multiframe(50, rows=8, columns=8, **UIDS))  # type: ignore[arg-type]
    calls: list[object] = []
    frames = archive.frames
    call = InProcess().call

    class Counting:
        def call(self, function: object, *args: object, **keywords: object) -> object:
            calls.append(function)
            return call(function, *args, **keywords)  # type: ignore[arg-type]

    monkeypatch.setattr(frames, "_decoders", Counting())
    numbers = ",".join(map(str, range(1, 51)))
    accept = f"multipart/related; type=application/octet-stream; transfer-syntax={RLE}"
    response = client.get(f"{ROOT}{INSTANCE}/frames/{numbers}", headers={"Accept": accept})
    body = response.iter_encoded()
    for _ in range(4):
        next(body)
    response.close()
    assert 1 <= len(calls) <= 3
