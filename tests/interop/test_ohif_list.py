"""The study list of the OHIF viewer: what it searches for, and what it shows of the answers."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote

import pytest

from tests import samples
from tests.e2e.process import ArchiveProcess
from tests.e2e.web import stow
from tests.interop import viewer
from tests.interop.viewer import Viewer

pytestmark = [viewer.needed(viewer.OHIF), pytest.mark.slow, pytest.mark.timeout(400)]

ROOT = "1.2.826.0.1.3680043.10.511.6"
PER_PAGE, MANY = 25, 120


def study(name: str, number: int, **overrides: str) -> bytes:
    return samples.small(
        StudyInstanceUID=f"{ROOT}.{number}",
        SeriesInstanceUID=f"{ROOT}.{number}.1",
        SOPInstanceUID=f"{ROOT}.{number}.1.1",
        **{"PatientName": name, "PatientID": f"ID-{number}", **overrides},
    )


@pytest.fixture(scope="module")
def looking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ArchiveProcess, Viewer]]:
    with viewer.looking(tmp_path_factory.mktemp("viewer")) as (archive, page):
        files = [
            study("Elephant^Nelly", 901, Modality="MR", StudyDate="20240131", AccessionNumber="X7"),
            study("Miller^Max", 902, Modality="CT", StudyDate="20230615"),
            study("Nobody^Known", 903, Modality="", StudyDate=""),
            *(study(f"Many^Patient{n:03}", n, StudyDate="20200101") for n in range(MANY)),
        ]
        assert stow(archive, *files) == 200
        yield archive, page


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("?patientName=phan", "PatientName=*phan*"),
        ("?mrn=ID-901", "00100020=*ID-901*"),
        ("?accession=X7", "AccessionNumber=*X7*"),
        ("?modalities=MR", "ModalitiesInStudy=MR"),
        ("?modalities=MR,US", "ModalitiesInStudy=MR,US"),
        ("?startDate=20240101&endDate=20241231", "StudyDate=20240101-20241231"),
    ],
)
def test_a_filter(looking: tuple[ArchiveProcess, Viewer], query: str, asked: str) -> None:
    archive, page = looking
    page.asked(archive.root)
    page.open_list(query)
    page.await_text("ID-901")
    assert "ID-902" not in page.text()
    targets = [unquote(target) for target in page.asked(archive.root)]
    assert any(asked in target and target.startswith("/studies?") for target in targets), targets


def test_the_list_shows_a_study_without_modality(
    looking: tuple[ArchiveProcess, Viewer],
) -> None:
    """A viewer that finds an attribute without a value here shows no list at all."""
    _, page = looking
    page.open_list("?patientName=Nobody")
    page.await_text("ID-903")


def test_a_page_behind_the_first_hundred(looking: tuple[ArchiveProcess, Viewer]) -> None:
    archive, page = looking
    page.open_list(f"?patientName=Many&pageNumber=1&resultsPerPage={PER_PAGE}")
    page.await_text("ID-")
    first = ids(page)
    assert len(first) == PER_PAGE
    page.asked(archive.root)
    page.open_list(f"?patientName=Many&pageNumber=5&resultsPerPage={PER_PAGE}")
    page.await_text("ID-")
    assert len(ids(page)) == MANY - 100
    assert not ids(page) & first
    assert any("limit=101&offset=100" in target for target in page.asked(archive.root))


def ids(page: Viewer) -> set[str]:
    """The patients that the list shows."""
    return {word for word in page.text().split() if word.startswith("ID-")}
