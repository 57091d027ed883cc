"""Of a damaged object nothing is converted: its frames would decode into other pictures."""

from __future__ import annotations

import pytest

from tests import samples
from tests.services.conftest import Bench
from tests.services.test_spans import damage, kept
from vna.errors import Corrupt
from vna.services.decoders import InProcess
from vna.services.piecewise import PiecewiseConversion


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
