"""What users of other archives complain about, as requests of viewers; how much is read is asked of the metrics."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.request import urlopen

import pytest

from tests import samples
from tests.dicomweb.viewer_site import ViewerSite, viewer_site

pytestmark = pytest.mark.slow

SERIES, INSTANCES, SIDE = "1.2.5", 900, 64
FILM, FRAMES, FRAME = "1.2.6", 300, 100_000
JSON = "application/dicom+json"
ANY_FRAME = "multipart/related; type=application/octet-stream; transfer-syntax=*"
_READ = re.compile(
    r'^vna_storage_bytes_total\{.*operation="(?:open|read)".*\} (\S+)$', re.MULTILINE
)


@pytest.fixture(scope="module")
def site(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ViewerSite]:
    with viewer_site(database_url, tmp_path_factory.mktemp("complaints")) as running:
        for start in range(0, INSTANCES, 100):
            running.keep(*(slice_of(number) for number in range(start + 1, start + 101)))
        running.keep(
            samples.encapsulated(
                [[frame(number)] for number in range(1, FRAMES + 1)],
                StudyInstanceUID=FILM,
                SeriesInstanceUID=f"{FILM}.1",
                SOPInstanceUID=f"{FILM}.1.1",
                NumberOfFrames=str(FRAMES),
            )
        )
        yield running


def slice_of(number: int) -> bytes:
    return samples.ct(
        study_instance_uid=SERIES,
        series_instance_uid=f"{SERIES}.1",
        sop_instance_uid=f"{SERIES}.1.{number}",
        rows=SIDE,
        columns=SIDE,
        InstanceNumber=str(number),
    )


def frame(number: int) -> bytes:
    return b"\xff\xd8" + number.to_bytes(2, "big") * (FRAME // 2) + b"\xff\xd9"


def bytes_read(site: ViewerSite) -> float:
    """What the storage has given since the gateway runs."""
    with urlopen(site.server.url.replace("/dicom-web", "/metrics"), timeout=60) as answer:
        return sum(map(float, _READ.findall(answer.read().decode())))


def test_metadata_of_many_instances(site: ViewerSite) -> None:
    """No object is read whole, and nothing at all the second time."""
    path = f"/studies/{SERIES}/series/{SERIES}.1/metadata"
    before = bytes_read(site)
    answer = site.ask(path, Accept=JSON)
    found = {dataset["00080018"]["Value"][0] for dataset in answer.json()}
    assert found == {f"{SERIES}.1.{number}" for number in range(1, INSTANCES + 1)}
    once = bytes_read(site)
    header = len(slice_of(INSTANCES)) - SIDE * SIDE * 2 + 16
    assert 0 < once - before <= INSTANCES * header
    assert site.ask(path, Accept=JSON).body == answer.body
    assert site.ask(path, Accept=JSON, If_None_Match=answer.headers["etag"]).status == 304
    assert bytes_read(site) == once


@pytest.mark.parametrize("number", [1, FRAMES // 2, FRAMES])
def test_a_frame_of_many(site: ViewerSite, number: int) -> None:
    """The last costs what the first costs: its own bytes."""
    before = bytes_read(site)
    path = f"/studies/{FILM}/series/{FILM}.1/instances/{FILM}.1.1/frames/{number}"
    (part,) = site.ask(path, Accept=ANY_FRAME).parts()
    assert part.data == frame(number)
    assert bytes_read(site) - before <= 2 * FRAME


def test_a_thumbnail_of_a_series_reads_one_instance(site: ViewerSite) -> None:
    before = bytes_read(site)
    answer = site.ask(f"/studies/{SERIES}/series/{SERIES}.1/thumbnail", Accept="image/jpeg")
    assert answer.status == 200
    assert 0 < bytes_read(site) - before < 20 * SIDE * SIDE * 2


def test_a_broad_search_is_cut_and_says_so(site: ViewerSite) -> None:
    for path in ("/instances", "/instances?ModalitiesInStudy=CT&limit=5", "/series?Modality=C*"):
        answer = site.ask(path, Accept=JSON)
        assert len(answer.json()) <= 1000
        assert int(answer.headers["x-total-count"]) >= len(answer.json())
