"""The programs of pynetdicom on the other side: as SCUs of every service, and as C-MOVE destinations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests import samples
from tests.e2e import client
from tests.e2e.process import free_port
from tests.interop.programs import (
    SAMPLES,
    attempt,
    destination,
    equal,
    found,
    keep,
    pynetdicom,
    read,
    run,
    sample,
    study_keys,
)
from tests.peers.peer import LOOPBACK
from tests.scp.commitment_peer import keep_file
from tests.scp.site import Site
from vna.config import DestinationConfig
from vna.services.retrieve import read_fully

pytestmark = pytest.mark.usefixtures("network")

FILES = tuple(sample(name) for name in SAMPLES if name != "JPEG-lossy.dcm")
PLAIN = tuple(map(sample, ("CT_small.dcm", "MR_small.dcm", "rtplan.dcm", "test-SR.dcm")))
SUCCESS = "Status: 0x0000 - Success"


def study_of(path: Path) -> str:
    return str(read(path).StudyInstanceUID)


@pytest.mark.parametrize("options", [("-xi", "--repeat", "5"), ("--abort", "-pdu", "0")])
def test_echoscu(site: Site, options: tuple[str, ...]) -> None:
    output = run(*pynetdicom("echoscu"), "-v", *options, *site.address)
    assert output.count(SUCCESS) == (5 if "--repeat" in options else 1), output


def test_storescu_in_the_syntax_of_each_file(site: Site, tmp_path: Path) -> None:
    output = run(*pynetdicom("storescu"), "-v", "-cx", *site.address, *FILES)
    assert output.count(SUCCESS) == len(FILES), output
    for path in FILES:
        original = read(path)
        (stored,) = site.stored(str(original.SOPInstanceUID))
        assert stored.transfer_syntax_uid == original.file_meta.TransferSyntaxUID
        reader, _ = site.door.retrieve.open_part10(stored)
        kept = tmp_path / path.name
        with reader:
            kept.write_bytes(read_fully(reader))
        assert equal(kept, path), path


def ask(site: Site, folder: Path, *options: str) -> Sequence[Path]:
    """The answers to a query by findscu, which writes them where it runs."""
    folder.mkdir()
    run(*pynetdicom("findscu"), "-w", *options, *site.address, folder=folder)
    return sorted(folder.iterdir())


@pytest.mark.parametrize(
    ("model", "keys", "count"),
    [
        ("-P", ["QueryRetrieveLevel=PATIENT", "PatientID=1CT1", "PatientName="], 1),
        ("-S", ["QueryRetrieveLevel=STUDY", "PatientID=1CT1", "StudyInstanceUID="], 1),
        ("-S", ["QueryRetrieveLevel=STUDY", "PatientID=nobody", "StudyInstanceUID="], 0),
        ("-S", ["QueryRetrieveLevel=SERIES", "Modality=MR", "SeriesInstanceUID="], 1),
    ],
)
def test_findscu(site: Site, tmp_path: Path, model: str, keys: list[str], count: int) -> None:
    keep(site, PLAIN)
    options = [word for key in keys for word in ("-k", key)]
    answers = ask(site, tmp_path / "answers", model, *options)
    assert len(answers) == count
    assert all(read(path).RetrieveAETitle == "VNA" for path in answers)


NAMED = ["-k", "QueryRetrieveLevel=STUDY", "-k", "PatientName=muller^jorg", "-k", "PatientID="]
RELATIONAL = ["-k", "QueryRetrieveLevel=IMAGE", "-k", "PatientName=M*", "-k", "SOPInstanceUID="]
RANGE = ["-k", "StudyDate=20240131-20240201", "-k", "StudyTime=200000-080000"]
NIGHT = ["-k", "QueryRetrieveLevel=STUDY", *RANGE, "-k", "StudyInstanceUID="]


@pytest.mark.parametrize(
    ("options", "keys", "count"),
    [
        (["--fuzzy-names"], NAMED, 1),
        (["--relational-query"], RELATIONAL, 1),
        (["--dt-matching"], NIGHT, 1),
        (["--relational-query", "--dt-matching", "--fuzzy-names", "--timezone-adj"], NIGHT, 1),
    ],
)
def test_findscu_negotiates_options(
    site: Site, tmp_path: Path, options: list[str], keys: list[str], count: int
) -> None:
    name = "Müller^Jörg".encode("latin-1")
    night: dict[str, samples.Value] = {"StudyDate": "20240131", "StudyTime": "233000"}
    night |= {"PatientName": name, "SpecificCharacterSet": "ISO_IR 100"}
    keep_file(site, samples.part10(samples.identity(**night)))
    assert len(ask(site, tmp_path / "answers", "-S", *options, *keys)) == count


def test_getscu_gets_what_it_asked_for(site: Site, tmp_path: Path) -> None:
    kept, folder = keep(site, PLAIN), tmp_path / "got"
    options = ("-S", "--relational-retrieval", "-od", folder)
    run(*pynetdicom("getscu"), *options, *site.address, *study_keys(*map(study_of, PLAIN)))
    got = found(folder)
    assert got.keys() == kept.keys()
    assert [uid for uid, path in kept.items() if not equal(got[uid], path)] == []


def test_getscu_gets_compressed_images_plain_since_it_takes_nothing_else(
    site: Site, tmp_path: Path
) -> None:
    original = sample("SC_rgb_rle_2frame.dcm")
    keep(site, [original])
    folder = tmp_path / "got"
    run(
        *pynetdicom("getscu"),
        *("-S", "-od", folder, *site.address),
        *study_keys(study_of(original)),
    )
    (path,) = folder.iterdir()
    assert read(path).file_meta.TransferSyntaxUID == samples.EXPLICIT
    assert read(path).pixel_array.tobytes() == read(original).pixel_array.tobytes()


def test_movescu_with_a_store_of_its_own(site: Site, tmp_path: Path) -> None:
    kept, port = keep(site, FILES), free_port()
    site.destinations["MINE"] = DestinationConfig("localhost", port)
    folder = tmp_path / "moved"
    store = ("--store", "--store-port", port, "--store-aet", "MINE", "-od", folder)
    keys = study_keys(*map(study_of, FILES))
    run(*pynetdicom("movescu"), "-S", "-aem", "MINE", *store, *site.address, *keys)
    got = found(folder)
    assert got.keys() == kept.keys()
    assert [uid for uid, path in kept.items() if not equal(got[uid], path)] == []


def test_movescu_is_told_that_nobody_knows_the_destination(site: Site) -> None:
    keys = study_keys(study_of(FILES[0]))
    ended = attempt(*pynetdicom("movescu"), "-v", "-S", "-aem", "NOWHERE", *site.address, *keys)
    assert "0xA801" in ended.output


def test_storescp_as_a_destination_of_several_associations(site: Site, tmp_path: Path) -> None:
    study = samples.new_uid()
    uids = [samples.new_uid() for _ in range(24)]
    for uid in uids:
        keep_file(site, samples.ct(study_instance_uid=study, sop_instance_uid=uid, rows=32))
    folder = tmp_path / "moved"

    def command(port: int) -> Sequence[object]:
        options = ("-v", "-aet", "STORESCP", "-ba", LOOPBACK, "-od", folder, port)
        return (*pynetdicom("storescp"), *options)

    with destination(site, "STORESCP", tmp_path / "scp", command) as log:
        address = site.destinations["STORESCP"]
        site.destinations["STORESCP"] = DestinationConfig(LOOPBACK, address.port, associations=3)
        final = client.move(site.address[1], {"StudyInstanceUID": study}, "STORESCP")
        assert final.status == 0
        assert final.number_of_completed_suboperations == len(uids)
    assert found(folder).keys() == set(uids)
    assert 1 <= log.read_text().count("Accepting Association") <= 3


def test_qrscp_as_a_destination_that_gives_back_what_it_got(site: Site, tmp_path: Path) -> None:
    kept, scp = keep(site, PLAIN), tmp_path / "scp"

    def command(port: int) -> Sequence[object]:
        where = ("--instance-location", scp / "instances", "--database-location", scp / "qr.sqlite")
        return (*pynetdicom("qrscp"), "-aet", "QRSCP", "--port", port, "-ba", LOOPBACK, *where)

    with destination(site, "QRSCP", scp, command):
        port = site.destinations["QRSCP"].port
        for uid, path in kept.items():
            keys = {"StudyInstanceUID": study_of(path)}
            assert client.move(site.address[1], keys, "QRSCP").status == 0
            kind = (str(read(path).SOPClassUID), site.stored(uid)[0].transfer_syntax_uid)
            assert client.get(port, keys, {kind}).keys() == {uid}
