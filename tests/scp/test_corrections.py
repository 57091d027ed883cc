"""A corrected instance through the DICOM door, by DCMTK's own programs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pydicom
import pytest

from storage_backends.filesystem import FilesystemBackend
from tests import samples
from tests.corrections import correction, originals
from tests.interop.test_dcmtk import MISSING, dataset_of, run, storescp, study_keys
from tests.scp.site import Site, open_site
from vna.index.database import Database
from vna.model.identifiers import Origin

pytestmark = pytest.mark.skipif(bool(MISSING), reason="DCMTK is not installed; apt install dcmtk")

STUDY = "1.2"
SYNTAXES = (samples.EXPLICIT, samples.IMPLICIT, samples.DEFLATED, samples.BIG_ENDIAN)


@pytest.fixture
def site(database: Database, tmp_path: Path) -> Iterator[Site]:
    with (
        closing(FilesystemBackend(tmp_path / "store")) as backend,
        open_site(database, backend, tmp_path) as running,
    ):
        yield running


def keep(site: Site, syntax: str, number: int) -> bytes:
    data = samples.multiframe(
        2,
        bits=16,
        transfer_syntax_uid=syntax,
        StudyInstanceUID=STUDY,
        SOPInstanceUID=f"1.2.{number}",
    )
    with site.door.store.spool.open() as writer:
        writer.write(data)
        with writer.finish() as spooled:
            origin = Origin("import", "", "", "test")
            site.door.store.store(spooled, origin, correction=correction())
    return data


def check(folder: Path, sent: dict[str, bytes]) -> None:
    """Every file is corrected, has its old pixels, and is a valid one for DCMTK."""
    files = {str(pydicom.dcmread(path).SOPInstanceUID): path for path in folder.iterdir()}
    assert files.keys() == sent.keys()
    for uid, path in files.items():
        new = pydicom.dcmread(path)
        assert (new.PatientID, new.IssuerOfPatientID, new.AccessionNumber) == (
            "SOUTH-1",
            "South",
            "S-7",
        )
        assert originals(new)[0].PatientID == "PID-1"
        old = pydicom.dcmread(pydicom.filebase.DicomBytesIO(sent[uid]))
        assert (new.pixel_array == old.pixel_array).all()


def test_getscu_and_movescu_bring_it_corrected(site: Site, tmp_path: Path) -> None:
    sent = {f"1.2.{n}": keep(site, syntax, n) for n, syntax in enumerate(SYNTAXES)}
    got = tmp_path / "got"
    got.mkdir()
    run("getscu", "+B", "-od", got, *site.address, *study_keys(STUDY))
    check(got, sent)
    with storescp(site, tmp_path / "moved", "+xa") as folder:
        run("movescu", "-S", "-aem", "STORESCP", *site.address, *study_keys(STUDY))
        check(folder, sent)
        moved = {path: dataset_of(path) for path in folder.iterdir()}
    stored = [site.dataset(uid) for uid in sent]
    assert sorted(moved.values()) == sorted(stored)
    with storescp(site, tmp_path / "plain", "+xi", name="PLAIN") as folder:
        run("movescu", "-S", "-aem", "PLAIN", *site.address, *study_keys(STUDY))
        check(folder, sent)
    found = run(
        "findscu",
        "-S",
        *site.address,
        *study_keys(""),
        "-k",
        "PatientID=SOUTH-1",
        "-k",
        "0010,0021",
    )
    assert "[South ]" in found
