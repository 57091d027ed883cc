"""JPEG, PNG, GIF and MP4 files, their colours, their times and what is written on them."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests import samples
from tests.unit.dicom.rendering.files import (
    colour_image,
    grey_image,
    pixels_of,
    rendered,
    rendered_file,
)
from vna.dicom.rendering.boxes import find, full_box, read_track
from vna.dicom.rendering.icc import standard_profile
from vna.dicom.rendering.options import (
    ANNOTATIONS,
    GIF,
    ICC_PROFILES,
    JPEG,
    MP4,
    PNG,
    RenderOptions,
)
from vna.errors import Unsupported

SMOOTH = np.add.outer(np.arange(64), np.arange(96)).astype(np.uint8)
FILM = np.stack([np.full((32, 48), 20 * number, np.uint8) for number in range(10)])
COLOURS = np.stack([SMOOTH, SMOOTH[::-1], np.full_like(SMOOTH, 90)], axis=2)


def opened(file: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(file))
    image.load()
    return image


def film(media_type: str, values: np.ndarray = FILM, /, **overrides: Any) -> bytes:
    numbers = range(1, len(values) + 1)
    return rendered_file(grey_image(values, **overrides), numbers, RenderOptions(media_type))


def test_jpeg() -> None:
    found = opened(rendered_file(grey_image(SMOOTH), (1,), RenderOptions(JPEG)))
    assert (found.format, found.mode) == ("JPEG", "L")
    assert np.abs(np.asarray(found).astype(int) - SMOOTH).max() <= 3
    colours = opened(rendered_file(colour_image(COLOURS), (1,), RenderOptions(JPEG)))
    assert colours.mode == "RGB"
    assert np.abs(np.asarray(colours).astype(int) - COLOURS).mean() < 3


def test_quality_costs_bytes() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (64, 64)).astype(np.uint8)
    for kind in (JPEG, MP4):
        sizes = [
            len(rendered_file(grey_image(noise), (1,), RenderOptions(kind, quality=quality)))
            for quality in (5, 50, 100)
        ]
        assert sizes == sorted(set(sizes))


def test_png_is_exact() -> None:
    np.testing.assert_array_equal(rendered(grey_image(SMOOTH)), SMOOTH)


def test_other_types_are_refused() -> None:
    with pytest.raises(Unsupported, match="image/webp"):
        rendered_file(grey_image(SMOOTH), (1,), RenderOptions("image/webp"))


def stored_jpeg(
    options: RenderOptions,
    syntax: str = samples.JPEG_BASELINE,
    *,
    is_jfif: bool = True,
    **changes: Any,
) -> tuple[bytes, bytes]:
    """A JPEG, and what is rendered of the object that holds it."""
    buffer = io.BytesIO()
    Image.fromarray(COLOURS).save(buffer, "JPEG", quality=70)
    frame = buffer.getvalue()
    if not is_jfif:
        frame = frame[:2] + frame[20:]
    frame += b"\0" * (len(frame) & 1)
    elements = samples.image(64, 96) | {
        "SamplesPerPixel": 3,
        "PhotometricInterpretation": "YBR_FULL_422",
        "PlanarConfiguration": 0,
    }
    data = samples.encapsulated([[frame]], transfer_syntax_uid=syntax, **(elements | changes))
    return frame, rendered_file(data, (1,), options)


@pytest.mark.parametrize("photometric", ["YBR_FULL_422", "YBR_FULL", "RGB"])
def test_a_jpeg_that_is_already_right_is_not_compressed_again(photometric: str) -> None:
    stored, found = stored_jpeg(RenderOptions(JPEG), PhotometricInterpretation=photometric)
    assert found == stored.rstrip(b"\0")
    assert np.abs(np.asarray(opened(found)).astype(int) - COLOURS).mean() < 6


@pytest.mark.parametrize(
    ("options", "changes"),
    [
        (RenderOptions(JPEG, quality=50), {}),
        (RenderOptions(JPEG, annotation=("patient",)), {}),
        (RenderOptions(JPEG, icc_profile="srgb"), {}),
        (RenderOptions(JPEG), {"PhotometricInterpretation": "RGB", "is_jfif": False}),
        (RenderOptions(JPEG), {"syntax": "1.2.840.10008.1.2.4.51"}),
    ],
)
def test_other_jpegs_are_rendered(options: RenderOptions, changes: dict[str, Any]) -> None:
    stored, found = stored_jpeg(options, **changes)
    assert found != stored.rstrip(b"\0")
    assert opened(found).size == (96, 64)


# --- films ----------------------------------------------------------------------------------------


def gif_frames(file: bytes) -> list[tuple[int, np.ndarray]]:
    image = Image.open(io.BytesIO(file))
    frames = []
    for number in range(getattr(image, "n_frames", 1)):
        image.seek(number)
        frames.append((int(image.info["duration"]), np.asarray(image.convert("L"))))
    return frames


def test_a_gif_has_each_frame_exactly() -> None:
    file = film(GIF, FrameTime="40")
    frames = gif_frames(file)
    assert len(frames) == len(FILM)
    for (duration, found), expected in zip(frames, FILM, strict=True):
        assert duration == 40
        np.testing.assert_array_equal(found, expected)
    assert b"NETSCAPE2.0" in file


def test_equal_frames_stay_frames() -> None:
    assert len(gif_frames(film(GIF, np.zeros((5, 8, 8), np.uint8)))) == 5


def test_a_gif_of_colours_has_a_palette_for_each_frame() -> None:
    values = np.stack([COLOURS, 255 - COLOURS]).reshape(2, 64, 96, 3)
    elements = {"NumberOfFrames": "2", "PixelData": samples.Typed("OB", values.tobytes())}
    file = rendered_file(colour_image(COLOURS, **elements), (1, 2), RenderOptions(GIF))
    image = Image.open(io.BytesIO(file))
    for number, expected in enumerate(values):
        image.seek(number)
        found = np.asarray(image.convert("RGB")).astype(int)
        assert np.abs(found - expected).mean() < 8


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({"FrameTimeVector": "0\\30\\50\\70" + "\\20" * 6}, [30, 50, 70] + [20] * 7),
        ({"FrameTime": "33.3"}, [30] * 10),
        ({"CineRate": "25"}, [40] * 10),
        ({"RecommendedDisplayFrameRate": "10"}, [100] * 10),
        ({"FrameTime": "0"}, [100] * 10),
        ({}, [100] * 10),
    ],
)
def test_frames_are_shown_as_long_as_they_took(
    elements: dict[str, samples.Value], expected: list[int]
) -> None:
    assert [duration for duration, _ in gif_frames(film(GIF, **elements))] == expected


def test_a_still_shows_the_first_of_the_frames_asked_for() -> None:
    data = grey_image(FILM)
    assert int(pixels_of(rendered_file(data, (4, 2), RenderOptions(PNG)))[0, 0]) == 60


@pytest.mark.parametrize("count", [1, 2, 48, 49, 100])
def test_an_mp4_has_all_frames_and_begins_anew_with_each_group(count: int) -> None:
    values = np.stack([np.roll(SMOOTH, number, axis=1) for number in range(count)])
    file = film(MP4, values, FrameTime="40")
    assert file[4:12] == b"ftypisom"
    track = read_track(file)
    assert len(track.samples) == count
    assert {1, *range(49, count + 1, 48)} <= track.sync
    media = find(file, b"moov", b"trak", b"mdia")
    timescale, duration = struct.unpack_from(">II", find(media, b"mdhd"), 12)
    assert duration / timescale == pytest.approx(count * 0.04)
    assert find(media, b"hdlr")[8:12] == b"vide"
    entry = find(media, b"minf", b"stbl", b"stsd")
    assert entry[12:16] == b"av01"
    assert struct.unpack_from(">HH", entry, 40) == (96, 64)


def test_times_of_an_mp4_are_those_of_the_frames() -> None:
    file = film(MP4, FrameTimeVector="0\\30\\30\\50" + "\\20" * 6)
    table = find(file, b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stts")
    runs = list(struct.iter_unpack(">II", table[8:]))
    assert runs == [(2, 30), (1, 50), (7, 20)]


def test_boxes_that_are_cut_end() -> None:
    assert find(b"\0\0\0\4moov", b"moov") == b""
    assert find(full_box(b"moov", 0)[:10], b"moov") == b"\0\0"


# --- colour profiles ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ICC_PROFILES[2:])
def test_standard_profiles_can_be_used(name: str) -> None:
    profile = ImageCms.ImageCmsProfile(io.BytesIO(standard_profile(name)))
    assert profile.profile.xcolor_space.strip() == "RGB"
    assert ImageCms.getProfileDescription(profile).strip()


def test_srgb_is_that_of_the_library() -> None:
    ours = ImageCms.ImageCmsProfile(io.BytesIO(standard_profile("srgb")))
    image = Image.fromarray(COLOURS)
    converted = ImageCms.profileToProfile(image, ours, ImageCms.createProfile("sRGB"))
    assert converted is not None
    assert np.abs(np.asarray(converted).astype(int) - COLOURS).max() <= 1


@pytest.mark.parametrize("media_type", [JPEG, PNG])
def test_profiles_are_embedded(media_type: str) -> None:
    own = standard_profile("displayp3")
    for source, wanted, expected in (
        (b"", "no", None),
        (own, "no", None),
        (own, "yes", own),
        (b"", "yes", standard_profile("srgb")),
        (b"damaged!" * 40, "yes", standard_profile("srgb")),
        (own, "adobergb", standard_profile("adobergb")),
    ):
        elements = {"ICCProfile": samples.Typed("OB", source)} if source else {}
        options = RenderOptions(media_type, icc_profile=wanted)
        found = opened(rendered_file(colour_image(COLOURS, **elements), (1,), options))
        assert found.info.get("icc_profile") == expected


def test_colours_are_converted_to_the_profile() -> None:
    red = np.full((4, 4, 3), (255, 0, 0), np.uint8)
    options = RenderOptions(PNG, icc_profile="displayp3")
    found = rendered(colour_image(red), options=options)[0, 0].tolist()
    assert np.abs(np.array(found) - (234, 51, 35)).max() <= 2  # sRGB red in Display P3
    own = {"ICCProfile": samples.Typed("OB", standard_profile("displayp3"))}
    assert rendered(colour_image(red, **own), options=options)[0, 0].tolist() == [255, 0, 0]


def test_the_profile_of_an_optical_path() -> None:
    own = standard_profile("rommrgb")
    path: dict[str, samples.Value] = {
        "OpticalPathIdentifier": "1",
        "ICCProfile": samples.Typed("OB", own),
    }
    options = RenderOptions(PNG, icc_profile="yes")
    data = colour_image(COLOURS, OpticalPathSequence=[path])
    assert opened(rendered_file(data, (1,), options)).info["icc_profile"] == own


def test_a_grey_image_with_a_profile_is_rgb() -> None:
    found = opened(rendered_file(grey_image(SMOOTH), (1,), RenderOptions(PNG, icc_profile="srgb")))
    assert found.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(found)[..., 1], SMOOTH)


# --- annotation -----------------------------------------------------------------------------------


def test_annotation_is_burnt_in() -> None:
    blank = np.zeros((256, 256), np.uint8)
    elements = {"PatientName": "Doe^Jane", "PatientID": "4711", "Modality": "CT", "KVP": "120"}
    images = {
        names: rendered(grey_image(blank, **elements), options=RenderOptions(PNG, annotation=names))
        for names in ((), ("patient",), ("technique",), ANNOTATIONS)
    }
    assert not images[()].any()
    left, right = images["patient",], images["technique",]
    assert left[:, :128].any()
    assert not left[:, 160:].any()
    assert right[:, 128:].any()
    assert not right[:, :96].any()
    np.testing.assert_array_equal(images[ANNOTATIONS], np.maximum(left, right))


@pytest.mark.parametrize("size", [1, 8, 2000])
def test_annotation_of_any_size_and_text(size: int) -> None:
    elements = {
        "SpecificCharacterSet": "ISO_IR 192",
        "PatientName": "山田^太郎=\0\n".encode(),
        "StudyDescription": "x" * 64,
    }
    blank = np.zeros((size, size), np.uint8)
    image = rendered(
        grey_image(blank, **elements), options=RenderOptions(PNG, annotation=ANNOTATIONS)
    )
    assert image.shape == (size, size)
