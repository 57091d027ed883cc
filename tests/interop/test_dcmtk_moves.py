"""C-MOVE to DCMTK's storescp and dcmrecv: several at once, those that refuse or abort, and cancelled ones."""

from __future__ import annotations

import io
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import repeat
from pathlib import Path

import pydicom
import pytest

from tests import samples
from tests.e2e import client
from tests.e2e.process import free_port
from tests.interop.programs import (
    attempt,
    dataset_of,
    dcmtk,
    destination,
    found,
    keep,
    needs,
    run,
    sample,
    study_keys,
)
from tests.peers.peer import LOOPBACK
from tests.scp.commitment_peer import keep_file
from tests.scp.site import Site
from vna.config import DestinationConfig
from vna.dimse.command import Command
from vna.model.identifiers import Origin
from vna.model.query import Query, Record

pytestmark = [
    pytest.mark.usefixtures("network"),
    needs("dcmtk", *map(dcmtk, ("storescp", "dcmrecv", "movescu", "findscu", "getscu"))),
]
NAME = "STORESCP"
STUDY = "1.2.826.0.1.3680043.8.498.77"
CANCELLED, REFUSED, INCOMPLETE = 0xFE00, 0xA702, 0xB000


def keep_study(site: Site, count: int) -> dict[str, bytes]:
    """Store a study of CT images; the dataset bytes by SOP Instance UID."""
    uids = [samples.new_uid() for _ in range(count)]
    for uid in uids:
        keep_file(
            site,
            samples.ct(study_instance_uid=STUDY, sop_instance_uid=uid, rows=32, columns=32),
        )
    return {uid: site.dataset(uid) for uid in uids}


@contextmanager
def storescp(site: Site, folder: Path, *options: object, associations: int = 1) -> Iterator[Path]:
    """storescp as the destination NAME; the folder of what it keeps, in the bytes that it was sent."""
    kept = folder / "kept"
    kept.mkdir(parents=True)

    def command(port: int) -> tuple[object, ...]:
        return (dcmtk("storescp"), "-v", "+B", "+xa", *options, "-od", kept, port)

    with destination(site, NAME, folder, command):
        known = site.destinations[NAME]
        site.destinations[NAME] = replace(known, associations=associations)
        yield kept


def received(folder: Path) -> dict[str, bytes]:
    return {uid: dataset_of(path) for uid, path in found(folder).items()}


def decoded(data: bytes) -> bytes:
    return bytes(pydicom.dcmread(io.BytesIO(data)).pixel_array.tobytes())


def counts(final: Command) -> tuple[int | None, ...]:
    """Completed, failed, warning and remaining sub-operations."""
    return (
        final.number_of_completed_suboperations,
        final.number_of_failed_suboperations,
        final.number_of_warning_suboperations,
        final.number_of_remaining_suboperations,
    )


@pytest.mark.parametrize(
    ("options", "associations"),
    [(("--fork",), 4), ((), 3), (("--fork", "-pdu", "4096"), 2)],
    ids=["one process each", "one after the other", "short PDUs"],
)
def test_several_associations_deliver_every_byte(
    site: Site, tmp_path: Path, options: tuple[str, ...], associations: int
) -> None:
    sent = keep_study(site, 40)
    with storescp(site, tmp_path, *options, associations=associations) as folder:
        final = client.move(site.address[1], {"StudyInstanceUID": STUDY}, NAME)
        assert (final.status, *counts(final)) == (0, 40, 0, 0, None)
        assert received(folder) == sent


def test_a_deflated_dataset_of_odd_length_gets_its_padding_byte(site: Site, tmp_path: Path) -> None:
    """storescp ends the association at an odd fragment, unless it writes what it is sent at once."""
    data = sample("image_dfl.dcm").read_bytes()
    uid = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True).StudyInstanceUID
    keep_file(site, data)
    kept = tmp_path / "kept"
    kept.mkdir()

    def command(port: int) -> tuple[object, ...]:
        return (dcmtk("storescp"), "-v", "+xa", "-od", kept, port)

    with destination(site, NAME, tmp_path, command):
        final = client.move(site.address[1], {"StudyInstanceUID": str(uid)}, NAME)
        assert (final.status, *counts(final)) == (0, 1, 0, 0, None)
        (path,) = kept.iterdir()
        assert pydicom.dcmread(path).pixel_array.tobytes() == decoded(data)


@pytest.mark.parametrize("associations", [1, 3])
@pytest.mark.parametrize("options", [("--refuse",), ("--abort-after",), ("--abort-during",)])
def test_a_destination_that_takes_nothing(
    site: Site, tmp_path: Path, options: tuple[str, ...], associations: int
) -> None:
    keep_study(site, 4)
    with storescp(site, tmp_path, *options, associations=associations):
        final = client.move(site.address[1], {"StudyInstanceUID": STUDY}, NAME)
        assert (final.status, *counts(final)) == (REFUSED, 0, 4, 0, None)
        keys = study_keys(STUDY)
        ended = attempt(dcmtk("movescu"), "-v", "-S", "-aem", NAME, *site.address, *keys)
        assert "Refused: OutOfResourcesSubOperations" in ended.output
    run(dcmtk("echoscu"), *site.address)


def test_a_destination_that_is_not_there(site: Site) -> None:
    keep_study(site, 2)
    site.destinations[NAME] = DestinationConfig(LOOPBACK, free_port())
    final = client.move(site.address[1], {"StudyInstanceUID": STUDY}, NAME)
    assert (final.status, *counts(final)) == (REFUSED, 0, 2, 0, None)


def test_a_destination_that_takes_only_some_syntaxes(site: Site, tmp_path: Path) -> None:
    plain, video = sample("CT_small.dcm"), tmp_path / "video.dcm"
    study = samples.new_uid()
    video.write_bytes(
        samples.encapsulated(
            [[b"\0\0\0\x1cftypmp42"]],
            transfer_syntax_uid=samples.MPEG4,
            StudyInstanceUID=study,
        )
    )
    keep(site, [plain, video])
    keep_file(site, samples.ct(study_instance_uid=study, rows=32))
    with storescp(site, tmp_path / "scp", "+xi") as folder:
        final = client.move(site.address[1], {"StudyInstanceUID": study}, NAME)
        assert (final.status, *counts(final)) == (INCOMPLETE, 1, 1, 0, None)
        assert len(found(folder)) == 1


@pytest.mark.parametrize("option", ["--sleep-after", "--sleep-during"])
def test_movescu_cancels_while_the_destination_is_slow(
    site: Site, tmp_path: Path, option: str
) -> None:
    keep_study(site, 150)
    with storescp(site, tmp_path, option, 1) as folder:
        command = (dcmtk("movescu"), "-v", "-S", "--cancel", 1, "-aem", NAME, *site.address)
        ended = attempt(*command, *study_keys(STUDY))
        assert "Received Final Move Response (Cancel" in ended.output
        assert len(list(folder.iterdir())) < 150


def test_findscu_cancels_an_endless_answer(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_study(site, 1)
    find = site.door.query.find

    def endless(query: Query, origin: Origin) -> Generator[Record, None, None]:
        (record,) = find(query, origin)
        yield from repeat(record)

    monkeypatch.setattr(site.door.query, "find", endless)
    command = (dcmtk("findscu"), "-v", "-S", "--cancel", 3, *site.address)
    ended = attempt(*command, "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID")
    assert "Received Final Find Response (Cancel" in ended.output, ended.output[-2000:]


def test_movescu_is_its_own_destination(site: Site, tmp_path: Path) -> None:
    sent, port = keep_study(site, 5), free_port()
    site.destinations["MOVESCU"] = DestinationConfig(LOOPBACK, port)
    folder = tmp_path / "moved"
    folder.mkdir()
    options = ("-S", "-aet", "MOVESCU", "-aem", "MOVESCU", "+P", port, "+xa", "+B")
    run(dcmtk("movescu"), *options, *site.address, *study_keys(STUDY), folder=folder)
    assert received(folder) == sent


PROFILE = f"""
[[TransferSyntaxes]]
[Plain]
TransferSyntax1 = {samples.EXPLICIT}
[[PresentationContexts]]
[Storage]
PresentationContext1 = {samples.CT_IMAGE}\\Plain
[[Profiles]]
[Images]
PresentationContexts = Storage
"""


def test_dcmrecv_keeps_every_byte(site: Site, tmp_path: Path) -> None:
    sent, folder = keep_study(site, 10), tmp_path / "kept"
    folder.mkdir()
    profile = tmp_path / "profile.cfg"
    profile.write_text(PROFILE)

    def command(port: int) -> tuple[object, ...]:
        return (dcmtk("dcmrecv"), "-v", "-xf", profile, "Images", "+B", "-od", folder, port)

    with destination(site, "DCMRECV", tmp_path / "scp", command):
        final = client.move(site.address[1], {"StudyInstanceUID": STUDY}, "DCMRECV")
        assert (final.status, *counts(final)) == (0, 10, 0, 0, None)
    assert received(folder) == sent


def test_getscu_again_and_again_over_one_association(site: Site, tmp_path: Path) -> None:
    sent, folder = keep_study(site, 5), tmp_path / "got"
    folder.mkdir()
    options = ("-v", "-S", "+B", "--repeat", 3, "-od", folder)
    output = run(dcmtk("getscu"), *options, *site.address, *study_keys(STUDY))
    assert len(re.findall(r"Completed Suboperations *: 5\n", output)) == 3, output
    assert received(folder) == sent
