"""A codec that crashes, hangs or swells is a 500 for the request that fed it, and for no other."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests import samples
from tests.dicomweb.conftest import Archive, Keep
from tests.dicomweb.multiparts import ROOT, problem
from tests.services import decoder_tasks as tasks
from tests.services.sabotage import Sabotaged
from tests.unit.dicom.rle_frames import rle_frame
from vna.config_decoding import DecodingConfig
from vna.services.decoders import Decoders
from vna.services.delivery import DeliveryService
from vna.services.frames import FrameService
from vna.services.piecewise import PiecewiseConversion
from vna.services.pixels import PixelService
from vna.services.rendering import RenderService, RenderSettings

INSTANCE = f"{ROOT}/studies/1.2/series/1.2.3/instances/1.2.3.4"
UIDS = {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.3", "SOPInstanceUID": "1.2.3.4"}
NATIVE = f"application/dicom; transfer-syntax={samples.EXPLICIT}"
PIXELS = struct.pack("<16I", *range(1000, 1016))


@pytest.fixture(scope="module")
def real_decoders() -> Iterator[Decoders]:
    real = Decoders(DecodingConfig(processes=1, seconds=1.0, memory_bytes=256 * 2**20))
    yield real
    real.close()


@pytest.fixture
def decoders(real_decoders: Decoders) -> Sabotaged:
    return Sabotaged(real_decoders)


@pytest.fixture
def client(archive: Archive, decoders: Sabotaged) -> FlaskClient:
    retrieve, most = archive.retrieve, 2**20
    pixels = PixelService(retrieve, most, decoders)
    frames = FrameService(retrieve, pixels, decoders, most)
    services = dataclasses.replace(
        archive,
        pixels=pixels,
        frames=frames,
        delivery=DeliveryService(retrieve, pixels, PiecewiseConversion(retrieve, decoders, most)),
        rendering=RenderService(retrieve, frames, decoders, RenderSettings(cache_bytes=0)),
    )
    return services.app().test_client()


@pytest.fixture
def kept(keep: Keep) -> None:
    """An image of 32 bits in RLE: its frames, too, have to be decoded."""
    image: dict[str, Any] = {**UIDS, **samples.image(bits=32)}
    frame = rle_frame(PIXELS, 4, 4, 32)
    keep(samples.encapsulated([[frame]], transfer_syntax_uid=samples.RLE, **image))


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize(
    "task",
    [tasks.segfault, tasks.abort, tasks.loop_in_native_code, tasks.swell_and_hide_it, tasks.fault],
)
@pytest.mark.parametrize("path", ["", "/frames/1", "/rendered"])
def test_it_is_a_500_once(
    client: FlaskClient, decoders: Sabotaged, task: Callable[[], object], path: str
) -> None:
    accept = {"Accept": "*/*" if path else NATIVE}
    is_drawn = path == "/rendered"
    decoders.tasks.append(task)
    assert "decod" in problem(client.get(INSTANCE + path, headers=accept), 500)
    response = client.get(INSTANCE + path, headers=accept)
    assert response.status_code == 200
    assert is_drawn or PIXELS in response.data


@pytest.mark.usefixtures("kept")
def test_what_needs_no_codec_goes_on_meanwhile(
    client: FlaskClient, decoders: Sabotaged, archive: Archive
) -> None:
    decoders.tasks.append(tasks.loop_in_native_code)
    with ThreadPoolExecutor(1) as pool:
        failing = pool.submit(client.get, INSTANCE, headers={"Accept": NATIVE})
        for _ in range(3):
            assert archive.app().test_client().get(f"{INSTANCE}/metadata").status_code == 200
            stored = (
                archive.app().test_client().get(INSTANCE, headers={"Accept": "application/dicom"})
            )
            assert stored.status_code == 200
        assert failing.result().status_code == 500


def test_frames_that_are_declared_larger_than_allowed_are_refused_before_any_decoder(
    client: FlaskClient, decoders: Sabotaged, keep: Keep
) -> None:
    decoders.tasks.append(tasks.segfault)
    image: dict[str, Any] = {**UIDS, **samples.image(60_000, 60_000, bits=32)}
    frame = rle_frame(PIXELS, 4, 4, 32)
    keep(samples.encapsulated([[frame]], transfer_syntax_uid=samples.RLE, **image))
    assert "14400000000 bytes" in problem(client.get(f"{INSTANCE}/frames/1"), 406)
    assert decoders.tasks, "no decoder was asked"
