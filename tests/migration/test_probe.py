"""What a probe tells of sources that are well, that cap, and that mint UIDs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.migration.pacs import LOOPBACK, Manners, Pacs, keep, study_of
from vna.migration.probe import ProbeReport, probe
from vna.migration.probe_text import forecast_hours, probe_document, probe_lines
from vna.migration.source_options import DicomOptions, FolderOptions
from vna.migration.sources.base import SourceUnavailable
from vna.migration.sources.dicom import DicomSource
from vna.migration.sources.folder import FolderSource
from vna.model.migration import Scope
from vna.spool import Spool

Probed = Callable[..., ProbeReport]
NO_COMPRESSED = (
    "no compressed syntax is accepted by C-GET: compressed objects would come decompressed; "
    "try retrieve=move"
)
"""The archive of these tests takes only the syntaxes that it has."""


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """Where objects wait."""
    spool = Spool(tmp_path / "spool", 65_536)
    yield spool
    spool.close()


@pytest.fixture
def probed(spool: Spool) -> Iterator[Probed]:
    """Probes an archive of these files."""
    with ExitStack() as stack:

        def look(objects: list[bytes], manners: Manners | None = None) -> ProbeReport:
            pacs = stack.enter_context(Pacs(keep(objects), manners or Manners()).listening())
            options = DicomOptions(LOOPBACK, pacs.address[1], "PACS", "MIGRATOR", "get")
            return probe(DicomSource(options, spool), Scope())

        yield look


def test_what_is_well_is_told(probed: Probed) -> None:
    report = probed([*study_of(images=3), *study_of(series=2, images=2)])
    assert report.services["C-FIND"]
    assert report.is_relational
    assert (report.studies, report.instances, report.counts_instances) == (2, 7, True)
    assert (report.cap, report.fetched, report.proposals) == (0, 7, {})
    assert report.notes == [NO_COMPRESSED]
    assert (report.has_stable_uids, report.has_stable_bytes) == (True, True)
    assert report.instances_per_second
    assert any("instances/s" in line for line in probe_lines(report, 4))
    assert probe_document(report, 4)["forecast_hours"] == forecast_hours(report, 4)


def test_a_cap_is_noticed(probed: Probed) -> None:
    objects = [data for n in range(40) for data in study_of(images=1, day=f"{2000 + n % 20}0101")]
    report = probed(objects, Manners(cap=15))
    assert report.cap == 15
    assert report.proposals == {"max_results": "15"}


def test_minted_uids_are_noticed(probed: Probed) -> None:
    report = probed(study_of(), Manners(mints=True))
    assert (report.has_stable_uids, report.has_stable_bytes) == (False, False)


def test_what_does_not_come_is_noted(probed: Probed) -> None:
    objects = study_of(images=1)
    (kept,) = keep(objects)
    report = probed(objects, Manners(withholds=frozenset({kept.uids.sop_instance_uid})))
    assert report.has_stable_uids is None
    assert report.notes == [
        NO_COMPRESSED,
        f"instance {kept.uids.sop_instance_uid} did not come",
    ]
    assert forecast_hours(report, 1) is None


def test_a_folder_is_probed_too(spool: Spool, tmp_path: Path) -> None:
    for number, data in enumerate(study_of(images=3)):
        (tmp_path / f"{number}.dcm").write_bytes(data)
    report = probe(FolderSource(FolderOptions(str(tmp_path)), spool), Scope())
    assert (report.kind, report.studies, report.instances, report.fetched) == ("folder", 1, 3, 3)
    assert report.has_stable_bytes


def test_who_is_not_there_can_not_be_probed(spool: Spool) -> None:
    with pytest.raises(SourceUnavailable):
        probe(DicomSource(DicomOptions(LOOPBACK, 1, "PACS", retrieve="get"), spool), Scope())
