"""Of a damaged object nothing is converted: its frames would decode into other pictures."""

from __future__ import annotations

import numpy as np
import pytest

from tests import samples
from tests.services.conftest import Bench
from tests.services.test_spans import damage, kept
from vna.dicom.frame_keys import SIMPLE_FRAME_LIST, FrameKeys
from vna.dicom.rendering.options import RenderOptions
from vna.errors import Corrupt
from vna.services.decoders import InProcess
from vna.services.frames import FrameService
from vna.services.piecewise import PiecewiseConversion
from vna.services.rendering import RenderService, RenderSettings


@pytest.mark.parametrize("target", [samples.RLE, samples.IMPLICIT])
@pytest.mark.parametrize("megabytes", [1, 5])
def test_nothing_of_a_damaged_object_is_converted(
    bench: Bench, target: str, megabytes: int
) -> None:
    pixels = bytes(megabytes * 2**20)
    data = samples.multiframe(
        4, rows=512, columns=megabytes * 512, bits=8, PixelData=samples.Typed("OB", pixels)
    )
    instance = kept(bench, data)
    conversion = PiecewiseConversion(bench.retrieve, InProcess(), 2**26)
    assert conversion.can_convert(instance, target)
    assert b"".join(conversion.dataset(instance, target))
    damage(bench, instance.location.length // 2)
    with pytest.raises(Corrupt, match="damaged"):
        next(conversion.dataset(instance, target))


@pytest.mark.parametrize("rows", [64, 6000])
@pytest.mark.parametrize("syntax", [samples.EXPLICIT, samples.IMPLICIT, samples.BIG_ENDIAN])
def test_no_picture_and_no_frame_is_made_of_a_damaged_object(
    bench: Bench, syntax: str, rows: int
) -> None:
    pixels = np.arange(rows * 512, dtype=np.uint16).reshape(rows, 512)
    elements = {**samples.identity(), **samples.image(rows, 512, bits=16)}
    elements["PixelData"] = samples.Typed("OW", pixels.tobytes())
    instance = kept(bench, samples.part10(elements, syntax))
    frames = FrameService(bench.retrieve, bench.pixels, InProcess(), 2**26)
    rendering = RenderService(bench.retrieve, frames, InProcess(), RenderSettings(cache_bytes=0))
    found = frames.find(instance.uids, [1])
    stored = list(frames.read(found, samples.EXPLICIT))
    assert list(frames.read_verified(found)) == stored
    assert rendering.render(instance, [1], RenderOptions()).body
    assert next(frames.read(found, samples.RLE)).data
    damage(bench, instance.location.length // 2)
    assert len(list(frames.read(found, samples.EXPLICIT))) == 1  # a range of what is stored
    with pytest.raises(Corrupt, match="damaged"):
        rendering.render(instance, [1], RenderOptions())
    with pytest.raises(Corrupt, match="damaged"):
        next(frames.read(found, samples.RLE))


def test_nothing_is_taken_out_of_a_damaged_object(bench: Bench) -> None:
    instance = kept(bench, samples.multiframe(4, rows=64, columns=64))
    extracts = bench.pixels.extracts
    keys = FrameKeys(SIMPLE_FRAME_LIST, (2.0,))
    assert extracts.frames(instance, keys).dataset
    damage(bench, instance.location.length // 2)
    with pytest.raises(Corrupt, match="damaged"):
        extracts.frames(instance, keys)


def test_nothing_is_inflated_of_a_damaged_object(bench: Bench) -> None:
    """Damage of a stored block is none that a decompressor notices."""
    instance = kept(bench, samples.ct(rows=64, columns=64, transfer_syntax_uid=samples.DEFLATED))
    assert bench.pixels.bulk(instance, "7FE00010").read(0, 10)
    damage(bench, instance.location.length - 20)
    with pytest.raises(Corrupt):
        bench.pixels.bulk(instance, "7FE00010").read(0, 10)
