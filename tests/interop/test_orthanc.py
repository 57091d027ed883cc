"""Debian's Orthanc on the other side: as sender, as SCU of queries and moves, as destination, and as SCP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests import samples
from tests.e2e import client
from tests.interop import orthanc_rest
from tests.interop.orthanc_rest import NAME, VNA, Orthanc
from tests.interop.programs import (
    SAMPLES,
    differences,
    found,
    keep,
    read,
    sample,
)
from tests.scp.commitment_peer import keep_file
from tests.scp.site import Site
from vna.dicom.part10 import file_meta
from vna.dimse import scu
from vna.services.retrieve import read_fully

pytestmark = orthanc_rest.NEEDED
FILES = tuple(map(sample, SAMPLES))
PLAIN = tuple(map(sample, ("CT_small.dcm", "MR_small.dcm", "rtplan.dcm", "test-SR.dcm")))
"""What its C-GET SCP sends: images in their compressed syntaxes it does not."""
STUDY_FIND = "1.2.840.10008.5.1.4.1.2.2.1"


@pytest.fixture(scope="module")
def running(network: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with orthanc_rest.running(tmp_path_factory.mktemp("orthanc")) as peer:
        yield peer


@pytest.fixture
def peer(running: Orthanc, site: Site) -> Orthanc:
    """An empty Orthanc; it and the archive know each other."""
    running.meet(site)
    return running


def study_of(path: Path) -> str:
    return str(read(path).StudyInstanceUID)


STUDIES = {study_of(path) for path in FILES}


def study_keys(*paths: Path) -> dict[str, str]:
    return {"StudyInstanceUID": "\\".join({study_of(path) for path in paths})}


def stored_files(site: Site, uids: Mapping[str, object], folder: Path) -> dict[str, Path]:
    """What the archive has under these SOP Instance UIDs, as files in a new folder."""
    folder.mkdir()
    for uid in uids:
        (stored,) = site.stored(uid)
        reader, _ = site.door.retrieve.open_part10(stored)
        with reader:
            (folder / uid).write_bytes(read_fully(reader))
    return found(folder)


def assert_same(got: Mapping[str, Path], expected: Mapping[str, Path]) -> None:
    """The same instances, in the same transfer syntaxes, with the same elements."""
    assert got.keys() == expected.keys()
    assert [uid for uid, path in expected.items() if differences(got[uid], path)] == []
    assert {uid: read(path).file_meta.TransferSyntaxUID for uid, path in got.items()} == {
        uid: read(path).file_meta.TransferSyntaxUID for uid, path in expected.items()
    }


def test_it_echoes(peer: Orthanc) -> None:
    peer.request("POST", f"/modalities/{VNA}/echo", {})


def test_it_stores_each_file_at_us(peer: Orthanc, site: Site, tmp_path: Path) -> None:
    names = peer.upload([path.read_bytes() for path in FILES])
    job = peer.post(f"/modalities/{VNA}/store", {"Resources": names, "Synchronous": True})
    assert (job["InstancesCount"], job["FailedInstancesCount"]) == (len(FILES), 0)
    sent = found(peer.download(tmp_path / "sent"))
    assert_same(stored_files(site, sent, tmp_path / "stored"), sent)


def test_it_stores_a_study_of_many_at_us(peer: Orthanc, site: Site) -> None:
    study, uids = samples.new_uid(), [samples.new_uid() for _ in range(40)]
    peer.upload(
        [samples.ct(study_instance_uid=study, sop_instance_uid=uid, rows=32) for uid in uids]
    )
    (name,) = peer.get("/studies")
    job = peer.post(f"/modalities/{VNA}/store", {"Resources": [name], "Synchronous": True})
    assert (job["InstancesCount"], job["FailedInstancesCount"]) == (len(uids), 0)
    assert all(site.stored(uid) for uid in uids)


@pytest.mark.parametrize(
    ("level", "keys", "name", "values"),
    [
        ("Patient", {"PatientID": "", "PatientName": "Comp*"}, "PatientID", {"1CT1", "4MR1"}),
        ("Study", {"PatientID": "1CT1", "StudyDate": "20040101-20041231"}, "PatientID", {"1CT1"}),
        ("Study", {"PatientID": "", "ModalitiesInStudy": "MR\\CT"}, "PatientID", {"1CT1", "4MR1"}),
        ("Series", {"PatientID": "", "Modality": "MR"}, "Modality", {"MR"}),
        ("Instance", {"PatientID": "4MR1", "SOPInstanceUID": ""}, "PatientID", {"4MR1"}),
        ("Study", {"PatientID": "nobody"}, "PatientID", set[str]()),
    ],
)
def test_it_queries_us(
    peer: Orthanc, site: Site, level: str, keys: dict[str, str], name: str, values: set[str]
) -> None:
    keep(site, FILES[:2])
    _, answers = peer.query(level, keys)
    assert {answer[name] for answer in answers} == values
    assert len(answers) == len(values)


def test_it_moves_what_it_found_to_itself(peer: Orthanc, site: Site, tmp_path: Path) -> None:
    kept = keep(site, FILES)
    name, answers = peer.query("Study", {"StudyInstanceUID": ""})
    assert {answer["StudyInstanceUID"] for answer in answers} == STUDIES
    body = {"TargetAet": NAME, "Synchronous": True}
    for number in range(len(answers)):
        peer.post(f"/queries/{name}/answers/{number}/retrieve", body)
    assert_same(found(peer.download(tmp_path / "moved")), kept)


def test_all_answers_are_retrieved_at_once(peer: Orthanc, site: Site) -> None:
    keep(site, FILES)
    name, _ = peer.query("Study", {"StudyInstanceUID": ""})
    peer.post(f"/queries/{name}/retrieve", {"TargetAet": NAME, "Synchronous": True})
    assert len(peer.get("/instances")) == len(FILES)


@pytest.mark.parametrize("associations", [1, 3])
def test_we_move_to_it(peer: Orthanc, site: Site, tmp_path: Path, associations: int) -> None:
    peer.reached_by(site, associations)
    deflated = tmp_path / "deflated.dcm"
    deflated.write_bytes(samples.ct(rows=64, transfer_syntax_uid=samples.DEFLATED))
    paths = (*FILES, deflated)
    kept = keep(site, paths)
    final = client.move(site.address[1], study_keys(*paths), NAME)
    assert (final.status, final.number_of_completed_suboperations) == (0, len(paths))
    assert_same(found(peer.download(tmp_path / "moved")), kept)


def test_we_move_many_to_it_by_several_associations(peer: Orthanc, site: Site) -> None:
    peer.reached_by(site, 4)
    study = samples.new_uid()
    for _ in range(60):
        keep_file(site, samples.ct(study_instance_uid=study, rows=32))
    final = client.move(site.address[1], {"StudyInstanceUID": study}, NAME)
    assert (final.status, final.number_of_completed_suboperations) == (0, 60)
    assert len(peer.get("/instances")) == 60


@pytest.mark.parametrize("path", PLAIN, ids=lambda path: path.name)
def test_we_get_from_it(peer: Orthanc, tmp_path: Path, path: Path) -> None:
    peer.upload([path.read_bytes()])
    header = read(path)
    kind = (str(header.SOPClassUID), str(header.file_meta.TransferSyntaxUID))
    ((uid, dataset),) = client.get(peer.peer.dicom_port, study_keys(path), {kind}).items()
    assert uid == header.SOPInstanceUID
    got = tmp_path / "got.dcm"
    got.write_bytes(file_meta(kind[0], uid, kind[1]) + dataset)
    assert differences(got, path) == []


def test_we_query_it(peer: Orthanc) -> None:
    peer.upload([path.read_bytes() for path in FILES[:2]])
    keys = {"QueryRetrieveLevel": "STUDY", "PatientID": "", "StudyInstanceUID": ""}
    with client.associate(peer.peer.dicom_port, [(STUDY_FIND, (samples.EXPLICIT,))]) as association:
        answers = list(scu.find(association, STUDY_FIND, samples.dataset(keys)))
    assert [answer.is_pending for answer in answers] == [True, True, False]
    assert {uid for uid in map(study_of, FILES[:2]) for a in answers if uid.encode() in a.data} == {
        study_of(path) for path in FILES[:2]
    }


def test_it_moves_to_us_when_we_ask_it_to(peer: Orthanc, site: Site, tmp_path: Path) -> None:
    peer.upload([path.read_bytes() for path in FILES])
    final = client.move(peer.peer.dicom_port, study_keys(*FILES), VNA)
    assert (final.status, final.number_of_completed_suboperations) == (0, len(FILES))
    sent = found(peer.download(tmp_path / "sent"))
    assert_same(stored_files(site, sent, tmp_path / "stored"), sent)
