"""A codec that crashes fails its own sub-operation, and no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests import samples
from tests.scp.site import Site, associate
from tests.scp.test_get import get
from tests.services import decoder_tasks as tasks
from tests.services.sabotage import Sabotaged
from tests.unit.dicom.rle_frames import rle_frame
from vna.config_decoding import DecodingConfig
from vna.dimse import scu
from vna.services.decoders import Decoders

CLASS = samples.MULTIFRAME_CAPTURE
PIXELS = bytes(range(16))
STUDY = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2"}


@pytest.fixture
def decoders(site: Site) -> Iterator[Sabotaged]:
    real = Decoders(DecodingConfig(processes=1, seconds=1.0))
    sabotaged = Sabotaged(real)
    site.door.pixels._decoders = sabotaged
    yield sabotaged
    real.close()


def keep_compressed(site: Site, *uids: str) -> None:
    """Images of study 1.2 in RLE."""
    image = samples.image() | {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.3"}
    frame = rle_frame(PIXELS, 4, 4, 8)
    with associate(site, (CLASS, (samples.RLE,))) as association:
        context = association.context_for(CLASS, samples.RLE)
        for uid in uids:
            elements = samples.identity(SOPClassUID=CLASS, SOPInstanceUID=uid, **image)
            pixels = samples.writer().header(0x7FE00010, "OB", samples.UNDEFINED)
            data = samples.dataset(elements) + pixels + samples.fragments([frame])
            response = scu.store(association, context, scu.Instance(CLASS, uid), data)
            assert response.status == 0, response


@pytest.mark.parametrize("task", [tasks.segfault, tasks.loop_in_native_code, tasks.fault])
def test_it_fails_alone(site: Site, decoders: Sabotaged, task: Callable[[], object]) -> None:
    keep_compressed(site, "1.2.3.1", "1.2.3.2", "1.2.3.3")
    decoders.tasks.append(task)
    taken = get(site, STUDY, [(CLASS, (samples.EXPLICIT,))])
    assert taken.final.status == 0xB000
    assert taken.counters == (None, 2, 1, 0)
    assert taken.failed_uids == ["1.2.3.1"]
    assert all(PIXELS in data for _, data in taken.instances.values())
    again = get(site, STUDY, [(CLASS, (samples.EXPLICIT,))])
    assert again.counters == (None, 3, 0, 0)
