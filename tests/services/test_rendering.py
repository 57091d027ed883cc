"""Rendered images of stored instances: what is read, refused, and kept."""

from __future__ import annotations

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import ParamSpec, TypeVar

import numpy as np
import pytest
from PIL import Image

from tests import samples
from tests.services.conftest import Bench
from tests.services.test_retrieve import kept
from tests.unit.dicom.rendering.files import grey_image, rendered
from vna.config_decoding import DecodingConfig
from vna.dicom.rendering.options import (
    GIF,
    JPEG,
    MP4,
    PNG,
    RenderOptions,
    Viewport,
    VoiFunction,
    Window,
)
from vna.errors import DecoderFailed, InvalidQuery, NotFound, Unsupported
from vna.services.decoders import Decoders, Decoding, InProcess
from vna.services.frames import FrameService
from vna.services.rendering import RenderService, RenderSettings

P = ParamSpec("P")
T = TypeVar("T")

AS_PNG = RenderOptions(PNG)
VALUES = np.arange(512, dtype=np.uint16).reshape(16, 32)
FILM = np.stack([np.full((8, 8), 20 * number, np.uint8) for number in range(1, 6)])


class Counting:
    """Decodes here, and counts."""

    def __init__(self) -> None:
        self.calls = 0

    def call(self, function: Callable[P, T], *args: P.args, **keywords: P.kwargs) -> T:
        """What `function` returns."""
        self.calls += 1
        return InProcess().call(function, *args, **keywords)


def service(bench: Bench, decoders: Decoding, **settings: int) -> RenderService:
    frames = FrameService(bench.retrieve, bench.pixels, decoders, 2**24)
    return RenderService(bench.retrieve, frames, decoders, RenderSettings(**settings))


def pixels(body: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(body)))


@pytest.mark.parametrize(
    "syntax", [samples.EXPLICIT, samples.IMPLICIT, samples.BIG_ENDIAN, samples.DEFLATED]
)
def test_every_native_syntax_gives_the_same_image(bench: Bench, syntax: str) -> None:
    elements = samples.identity() | samples.image(16, 32, bits=16)
    order = ">u2" if syntax == samples.BIG_ENDIAN else "<u2"
    words = np.arange(512, dtype=np.uint16)
    item = {
        "LUTDescriptor": samples.Typed("US", [512, 0, 8]),
        "LUTData": samples.Typed("OW", ((words * 7) % 256).astype(order).tobytes()),
    }
    elements |= {
        "VOILUTSequence": [item],
        "PixelData": samples.Typed("OW", VALUES.astype(order).tobytes()),
    }
    instance = kept(bench, samples.part10(elements, syntax))
    found = service(bench, InProcess()).render(instance, (), AS_PNG)
    np.testing.assert_array_equal(pixels(found.body), (VALUES * 7) % 256)
    assert found.media_type == PNG


def test_what_was_rendered_is_kept_by_content(bench: Bench) -> None:
    decoders = Counting()
    rendering = service(bench, decoders)
    instance = kept(bench, grey_image(VALUES))
    first = rendering.render(instance, (1,), AS_PNG)
    assert rendering.render(instance, (1,), AS_PNG) == first
    assert rendering.render(instance, (), AS_PNG) == first
    assert first.etag == rendering.etag(instance, (), AS_PNG)
    assert decoders.calls == 1
    window = Window(100, 50, VoiFunction.LINEAR_EXACT)
    others = [
        rendering.render(instance, (), options)
        for options in (
            RenderOptions(JPEG),
            replace(AS_PNG, window=window),
            replace(AS_PNG, viewport=Viewport(8, 8)),
            replace(AS_PNG, presentation=b'{"20500020":{"vr":"CS","Value":["INVERSE"]}}'),
            replace(AS_PNG, rotation=90),
        )
    ]
    assert decoders.calls == 6
    assert len({first.etag, *(other.etag for other in others)}) == 6
    assert len({first.body, *(other.body for other in others)}) == 6
    np.testing.assert_array_equal(pixels(others[3].body), 255 - pixels(first.body))
    np.testing.assert_array_equal(pixels(others[4].body), np.rot90(pixels(first.body), -1))


def test_nothing_is_kept_beyond_the_bound(bench: Bench) -> None:
    decoders = Counting()
    rendering = service(bench, decoders, cache_bytes=0)
    instance = kept(bench, grey_image(VALUES))
    assert rendering.render(instance, (), AS_PNG) == rendering.render(instance, (), AS_PNG)
    assert decoders.calls == 2


def test_who_asks_at_the_same_time_waits_for_the_first(bench: Bench) -> None:
    decoders = Counting()
    rendering = service(bench, decoders)
    instance = kept(bench, grey_image(VALUES))
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: rendering.render(instance, (), AS_PNG), range(8)))
    assert len(set(found)) == 1
    assert decoders.calls == 1


def test_frames(bench: Bench) -> None:
    rendering = service(bench, InProcess())
    instance = kept(bench, grey_image(FILM))
    for number in (1, 5):
        body = rendering.render(instance, (number,), AS_PNG).body
        assert (pixels(body) == 20 * number).all()
    film = Image.open(io.BytesIO(rendering.render(instance, (), RenderOptions(GIF)).body))
    assert getattr(film, "n_frames", 1) == 5
    film = Image.open(io.BytesIO(rendering.render(instance, (4, 2), RenderOptions(GIF)).body))
    assert getattr(film, "n_frames", 1) == 2
    for number in (0, 6):
        with pytest.raises(NotFound):
            rendering.render(instance, (number,), AS_PNG)


def test_an_instance_without_pixels_has_no_image(bench: Bench) -> None:
    instance = kept(bench, samples.small())
    with pytest.raises(NotFound):
        service(bench, InProcess()).render(instance, (), AS_PNG)


def test_too_large_a_viewport_is_refused_before_anything_is_read(bench: Bench) -> None:
    decoders = Counting()
    instance = kept(bench, grey_image(VALUES))
    for viewport in (Viewport(100_000, 100_000), Viewport(65_000, 65_000)):
        with pytest.raises(InvalidQuery):
            service(bench, decoders).render(instance, (), replace(AS_PNG, viewport=viewport))
    assert decoders.calls == 0


def test_too_large_an_image_needs_a_viewport(bench: Bench) -> None:
    rendering = service(bench, InProcess(), max_pixels=100)
    instance = kept(bench, grey_image(VALUES))
    with pytest.raises(InvalidQuery, match="smaller viewport"):
        rendering.render(instance, (), AS_PNG)
    small = rendering.render(instance, (), replace(AS_PNG, viewport=Viewport(10, 10)))
    assert pixels(small.body).shape == (5, 10)


def test_declared_sizes_are_checked_before_a_frame_is_decoded(bench: Bench) -> None:
    decoders = Counting()
    tiny = samples.encapsulated(
        [[b"\0" * 64]], transfer_syntax_uid=samples.RLE, Rows=60_000, Columns=60_000
    )
    with pytest.raises(Unsupported, match="more than is rendered"):
        service(bench, decoders).render(kept(bench, tiny), (), AS_PNG)
    assert decoders.calls == 0


@pytest.mark.parametrize("media_type", [GIF, MP4])
def test_films_are_bounded(bench: Bench, media_type: str) -> None:
    decoders = Counting()
    instance = kept(bench, grey_image(FILM))
    with pytest.raises(Unsupported, match="fewer frames"):
        service(bench, decoders, max_pixels=64).render(instance, (), RenderOptions(media_type))
    with pytest.raises(Unsupported, match="fewer frames"):
        service(bench, decoders, max_bytes=200).render(instance, (), RenderOptions(media_type))
    assert decoders.calls == 0


def test_the_groups_of_the_frame_asked_for_count(bench: Bench) -> None:
    groups = [
        {
            "FrameVOILUTSequence": [
                {"WindowCenter": str(center), "WindowWidth": "20", "VOILUTFunction": "LINEAR_EXACT"}
            ]
        }
        for center in (20, 0, 60, 100, 200)
    ]
    instance = kept(bench, grey_image(FILM, PerFrameFunctionalGroupsSequence=groups))
    rendering = service(bench, InProcess())
    found = [int(pixels(rendering.render(instance, (n,), AS_PNG).body)[0, 0]) for n in range(1, 6)]
    assert found == [128, 255, 128, 0, 0]
    film = Image.open(io.BytesIO(rendering.render(instance, (3, 5), RenderOptions(GIF)).body))
    film.seek(1)
    assert not np.asarray(film.convert("L")).any()


@pytest.mark.slow
def test_real_decoder_processes(bench: Bench) -> None:
    decoders = Decoders(DecodingConfig(processes=1))
    try:
        rendering = service(bench, decoders)
        for path in samples.pydicom_files()[:40]:
            data = path.read_bytes()
            try:
                expected = rendered(data)
            except (AssertionError, KeyError, NotFound, Unsupported):
                continue
            found = rendering.render(kept(bench, data), (1,), AS_PNG)
            np.testing.assert_array_equal(pixels(found.body), expected)
    finally:
        decoders.close()


def test_a_decoder_that_runs_out_of_time_is_an_error_of_this_request_only(bench: Bench) -> None:
    decoders = Decoders(DecodingConfig(processes=1, seconds=1.5))
    try:
        rendering = service(bench, decoders)
        noise = np.random.default_rng(2).integers(0, 255, (60, 700, 700)).astype(np.uint8)
        slow, quick = kept(bench, grey_image(noise)), kept(bench, grey_image(VALUES))
        with pytest.raises(DecoderFailed):
            rendering.render(slow, (), RenderOptions(MP4))
        assert rendering.render(quick, (), AS_PNG).body
    finally:
        decoders.close()
