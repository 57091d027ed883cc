"""Instances with a correction: stored as they came, found and delivered corrected."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydicom.encaps import generate_frames

from storage_backends.encryption import EncryptedBackend
from storage_backends.filesystem import FilesystemBackend
from tests import samples
from tests.backends.test_encrypted_contract import keyring
from tests.corrections import correction, file_of, originals
from tests.services.conftest import ORIGIN, Bench, make_bench
from vna.dicom.part10 import file_meta
from vna.dicom.rendering.options import PNG, RenderOptions
from vna.errors import Corrupt, InvalidInstance, Unavailable
from vna.index.corrections import id_of
from vna.index.database import Database
from vna.model.corrections import Correction
from vna.model.identifiers import InstanceUids, Level, Selection
from vna.model.instances import Outcome, StoredInstance
from vna.model.query import Filter, Query, SingleValue
from vna.model.verification import Finding
from vna.services import header_bytes, retrieve
from vna.services.bulk_values import bulk_paths
from vna.services.decoders import InProcess
from vna.services.delivery import DeliveryService
from vna.services.frames import FrameService
from vna.services.header_bytes import chunks
from vna.services.header_json import header_json
from vna.services.piecewise import PiecewiseConversion
from vna.services.rendering import RenderService, RenderSettings
from vna.services.spans import FileSpan
from vna.services.store import StoreOutcome
from vna.services.verification import HowToVerify

BLOB = bytes(range(256)) * 8
SYNTAXES = (samples.EXPLICIT, samples.IMPLICIT, samples.BIG_ENDIAN, samples.DEFLATED)
_PATIENT_ID, _ISSUER = 0x00100020, 0x00100021


def keep(bench: Bench, data: bytes, change: Correction | None = None) -> StoreOutcome:
    with bench.store.spool.open() as writer:
        writer.write(data)
        with writer.finish() as spooled:
            return bench.store.store(spooled, ORIGIN, correction=change or correction())


def kept(bench: Bench, data: bytes, change: Correction | None = None) -> StoredInstance:
    return found(bench, keep(bench, data, change).uids)


def found(bench: Bench, uids: InstanceUids) -> StoredInstance:
    (instance,) = bench.retrieve.select(Selection(sop_instance_uids=(uids.sop_instance_uid,)))
    return instance


def file(bench: Bench, instance: StoredInstance) -> bytes:
    """The delivered file, by every way the same."""
    reader, length = bench.retrieve.open_part10(instance)
    with reader:
        data = b"".join(chunks(reader))
    assert len(data) == length
    pieces, length = bench.retrieve.part10_pieces(instance)
    parts = [piece for piece in pieces if not isinstance(piece, FileSpan)]
    assert (b"".join(parts), length) == (data, len(data))
    reader, length = bench.retrieve.open_dataset(instance)
    with reader:
        dataset = reader.read()
    assert len(dataset) == length
    assert data.endswith(dataset)
    assert bytes(bench.retrieve.load_dataset(instance)) == dataset
    return data


def patients(bench: Bench, tag: int, value: str) -> int:
    """How many studies are found by that."""
    query = Query(Level.STUDY, (Filter(tag, SingleValue(value)),))
    return len(list(bench.query.find(query, ORIGIN)))


# --- whole --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at_once", [0, 2**20], ids=["streamed", "at once"])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_it_leaves_corrected_and_lies_as_it_came(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, syntax: str, at_once: int
) -> None:
    monkeypatch.setattr(retrieve, "_AT_ONCE", at_once)
    data = samples.multiframe(bits=16, transfer_syntax_uid=syntax, AccessionNumber="7")
    instance = kept(bench, data)
    new, old = file_of(file(bench, instance)), file_of(data)
    assert new.file_meta == old.file_meta
    assert (new.PatientID, new.IssuerOfPatientID, new.AccessionNumber) == (
        "SOUTH-1",
        "South",
        "S-7",
    )
    (was,) = originals(new)
    assert (was.PatientID, was.IssuerOfPatientID, was.AccessionNumber) == ("PID-1", "", "7")
    assert new.PixelData == old.PixelData
    assert bytes(bench.retrieve.load_whole(instance)) == data
    bench.retrieve.verify(instance)
    assert instance.object_tag != instance.object_digest.value[:32]


def test_fragments_pass_and_a_new_beginning_stands_before_a_bare_dataset(bench: Bench) -> None:
    whole = samples.encapsulated([[b"one!"], [b"two!", b"more"]])
    new = file_of(file(bench, kept(bench, whole)))
    assert list(generate_frames(new.PixelData, number_of_frames=2)) == [b"one!", b"two!more"]
    plain = samples.dataset(samples.identity(SOPInstanceUID="1.2.3"))
    head = file_meta(samples.SECONDARY_CAPTURE, "1.2.3", samples.EXPLICIT)
    delivered = file(bench, kept(bench, plain))
    assert delivered.startswith(head)
    assert file_of(delivered).PatientID == "SOUTH-1"


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("target", [samples.EXPLICIT, samples.IMPLICIT, samples.RLE])
def test_what_is_converted_is_corrected_before(bench: Bench, target: str, frames: int) -> None:
    syntax = samples.IMPLICIT if target != samples.IMPLICIT else samples.EXPLICIT
    instance = kept(bench, samples.multiframe(frames, bits=16, transfer_syntax_uid=syntax))
    piecewise = PiecewiseConversion(bench.retrieve, InProcess(), 2**20)
    opened = DeliveryService(bench.retrieve, bench.pixels, piecewise).open(instance, target)
    new = file_of(b"".join(opened.chunks))
    assert (new.file_meta.TransferSyntaxUID, new.PatientID) == (target, "SOUTH-1")
    assert originals(new)[0].PatientID == "PID-1"
    assert [int(frame.flat[0]) for frame in new.pixel_array.reshape(frames, -1)] == [
        257 * number for number in range(1, frames + 1)
    ]


@pytest.mark.parametrize("syntax", [samples.EXPLICIT, samples.DEFLATED])
@pytest.mark.parametrize("at_once", [0, 2**20])
def test_nothing_is_made_of_a_damaged_object(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, at_once: int, syntax: str
) -> None:
    monkeypatch.setattr(retrieve, "_AT_ONCE", at_once)
    instance = kept(bench, samples.multiframe(transfer_syntax_uid=syntax))
    path = bench.store_directory / instance.location.key
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(Corrupt):
        reader, _ = bench.retrieve.open_part10(instance)
        reader.read()


@pytest.mark.parametrize("at_once", [0, 2**20], ids=["streamed", "at once"])
def test_damage_that_was_read_once_is_not_remembered(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """Metadata are made of bytes that nobody has compared with their digest; what leaves later is whole again."""
    monkeypatch.setattr(retrieve, "_AT_ONCE", at_once)
    data = samples.multiframe()
    instance = kept(bench, data)
    path = bench.store_directory / instance.location.key
    path.chmod(0o600)
    path.write_bytes(data.replace(b"PID-1", b"PID-9"))
    header_json(bench.retrieve, instance, lambda path: path)
    path.write_bytes(data)
    (was,) = originals(file_of(file(bench, instance)))
    assert was.PatientID == "PID-1"


# --- parts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("in_memory", [0, 2**20], ids=["mapped", "in memory"])
def test_metadata_are_corrected_and_every_bulk_value_is_found(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, syntax: str, in_memory: int
) -> None:
    """Values before the change, in what it puts in, behind it, and behind the pixel data."""
    monkeypatch.setattr(header_bytes, "IN_MEMORY", in_memory)
    blob = samples.Typed("OB", BLOB)
    elements = samples.identity() | samples.image(2, 2)
    elements |= {0x00090010: "ACME", 0x00091010: blob, "ICCProfile": blob, 0x00420011: blob}
    elements |= {
        0x54000110: blob,
        "PixelData": samples.Typed("OB", b"\1\2\3\4"),
        0x7FE10010: "ACME",
    }
    elements |= {0x7FE11010: blob}
    change = correction({"00420011": {"vr": "OB"}, "00100020": {"vr": "LO", "Value": ["S"]}})
    instance = kept(bench, samples.part10(elements, syntax), change)
    found = header_json(bench.retrieve, instance, lambda path: path)
    paths = bulk_paths(bench.retrieve, instance)
    assert found["00100020"] == {"vr": "LO", "Value": ["S"]}
    old = "04000561/0/04000550/0/00420011"
    assert paths == ["00091010", "00282000", old, "54000110", "7FE00010", "7FE11010"]
    for path in paths:
        value = bench.pixels.bulk(instance, path)
        expected = b"\1\2\3\4" if path == "7FE00010" else BLOB
        assert value.read(0, value.length) == expected, path
        assert value.read(1, 2) == expected[1:3]


def test_the_document_of_a_series_and_frames(bench: Bench) -> None:
    instance = kept(bench, samples.multiframe())
    (described,) = bench.metadata.objects([instance], "http://a/studies")
    assert orjson.loads(described)["00100020"] == {"vr": "LO", "Value": ["SOUTH-1"]}
    places = bench.retrieve.find_frames(instance.uids, (2,))
    assert places is not None
    assert places.instance == instance
    start, length = places.spans[0]
    assert bench.retrieve.read(instance, start, length) == bytes([2]) * 16


def test_what_is_drawn_into_a_picture_is_corrected(bench: Bench) -> None:
    frames = FrameService(bench.retrieve, bench.pixels, InProcess(), 2**20)
    shows = RenderService(bench.retrieve, frames, InProcess(), RenderSettings())
    options = RenderOptions(PNG, annotation=("patient",))
    old, new = (samples.multiframe(1, rows=128, columns=256, PatientID=name) for name in ("1", "2"))
    change = correction({"00100020": {"vr": "LO", "Value": ["2"]}})
    corrected = shows.render(kept(bench, old, change), (1,), options)
    assert corrected.body == shows.render(found(bench, bench.keep(new).uids), (1,), options).body
    again = samples.multiframe(1, rows=128, columns=256, PatientID="1")
    assert corrected.body != shows.render(found(bench, bench.keep(again).uids), (1,), options).body


# --- the index ----------------------------------------------------------------------------------------


def test_it_is_found_by_what_it_is_now(bench: Bench) -> None:
    keep(bench, samples.small())
    assert [patients(bench, _PATIENT_ID, value) for value in ("SOUTH-1", "PID-1")] == [1, 0]
    assert patients(bench, _ISSUER, "South") == 1
    (event,) = bench.index.selections.select(Selection(patient_ids=("SOUTH-1",)))
    assert event.correction is not None


def test_the_same_patient_id_of_two_domains_are_two_patients(bench: Bench) -> None:
    for issuer in ("South", "North"):
        change = correction({"00100021": {"vr": "LO", "Value": [issuer]}})
        keep(bench, samples.small(PatientName=issuer), change)
    counted = bench.index.counts()
    assert (counted.patients, counted.studies, counted.open_conflicts) == (2, 2, 0)


def test_texts_are_read_by_the_declared_character_set(bench: Bench) -> None:
    name = "Łódź^Ż".encode("iso8859-2")
    data = samples.small(SpecificCharacterSet="ISO_IR 100", PatientName=name)
    instance = kept(bench, data, correction({}, character_set=("ISO_IR 101",)))
    assert patients(bench, 0x00100010, "Łódź^Ż") == 1
    new = file_of(file(bench, instance))
    assert (new.PatientName, new.SpecificCharacterSet) == ("Łódź^Ż", "ISO_IR 101")
    query = Query(Level.IMAGE, (), frozenset({0x00080005}))
    (record,) = bench.query.find(query, ORIGIN)
    assert record.attributes["00080005"] == {"vr": "CS", "Value": ["ISO_IR 101"]}


def test_the_same_again_tells_whether_it_is_corrected_so(bench: Bench) -> None:
    data = samples.small()
    assert not bench.keep(data).is_corrected
    again = keep(bench, data)
    assert (again.outcome, again.is_corrected) == (Outcome.DUPLICATE, False)
    other = samples.small()
    outcomes = [keep(bench, other), keep(bench, other), keep(bench, other, correction({}))]
    assert [one.is_corrected for one in outcomes] == [True, True, False]


def test_equal_corrections_are_kept_once(bench: Bench, another: Bench) -> None:
    for place in (bench, bench, another):
        keep(place, samples.small())
    rows = bench.index.corrections
    numbers = {one.correction for one in bench.index.select(Selection(patient_ids=("SOUTH-1",)))}
    (number,) = numbers
    assert number is not None
    assert another.index.corrections.find(number) == rows.find(number) == correction()


def test_what_may_not_be_corrected_is_refused_and_nothing_kept(bench: Bench) -> None:
    with pytest.raises(InvalidInstance, match="00280010"):
        keep(bench, samples.small(), correction({"00280010": {"vr": "US", "Value": [1]}}))
    damaged = samples.part10(samples.identity(), samples.DEFLATED)[:-10]
    with pytest.raises(InvalidInstance, match="breaks off"):
        keep(bench, damaged)
    assert bench.index.counts().instances == 0
    assert list(bench.objects.scan(bench.objects.default)) == []


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_what_is_read_of_one_without_pixels_is_what_leaves(bench: Bench, syntax: str) -> None:
    """Original Attributes stand at its very end, and once."""
    instance = kept(bench, samples.small(transfer_syntax_uid=syntax))
    (was,) = originals(file_of(file(bench, instance)))
    with header_bytes.header_bytes(bench.retrieve, instance) as header:
        read = bytes(header.data[instance.layout.dataset_offset :])
        assert header.tail == len(header.data)
    if syntax != samples.DEFLATED:
        assert read == bytes(bench.retrieve.load_dataset(instance))
    assert read.count(str(was.PatientID).encode()) == 1
    sent = bench.pixels.extracts.without_bulk_data(instance, samples.EXPLICIT)
    assert len(originals(file_of(file_meta("1.2", "1.3", samples.EXPLICIT) + sent))) == 1
    assert sent.count(b"SOUTH-1") == 1


def test_what_a_crash_left_unnamed_is_taken_in_corrected(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would be another's, and stay so: the migration that comes again finds a duplicate."""

    def dies(_new: object, _origin: object, run: Callable[[], object]) -> None:
        run()
        raise Unavailable("killed")

    data = samples.small(SOPInstanceUID="1.2.7")
    with monkeypatch.context() as patch:
        patch.setattr(bench.index, "register", dies)
        with pytest.raises(Unavailable, match="killed"):
            keep(bench, data)
    listed: list[Finding] = []
    bench.verification.everything(HowToVerify(ORIGIN, young=0, repairs=True), listed.append)
    assert [item.repaired[:7] for item in listed] == ["adopted"]
    again = keep(bench, data)
    assert (again.outcome, again.is_corrected) == (Outcome.DUPLICATE, True)
    assert file_of(file(bench, found(bench, again.uids))).PatientID == "SOUTH-1"
    assert patients(bench, _PATIENT_ID, "SOUTH-1") == 1


def test_large_objects_that_wait_sealed_are_corrected(database: Database, tmp_path: Path) -> None:
    """Of what lies on the disk nothing can be read, and what leaves is another's."""
    backend = EncryptedBackend(FilesystemBackend(tmp_path / "store"), keyring("a"))
    bench = make_bench(database, backend, tmp_path / "spool")
    data = samples.multiframe(2, bits=16, rows=256, columns=256)
    instance = kept(bench, data)
    new, old = file_of(file(bench, instance)), file_of(data)
    assert (new.PatientID, originals(new)[0].PatientID) == ("SOUTH-1", "PID-1")
    assert new.PixelData == old.PixelData
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(b"PID-1" in path.read_bytes() for path in files)
    backend.close()


def test_the_trash_and_what_is_restored_keep_it(bench: Bench) -> None:
    instance = kept(bench, samples.small())
    study = InstanceUids(instance.uids.study_instance_uid, "", "")
    bench.trash.delete(study, ORIGIN)
    (entry,) = bench.trash.entries()
    bench.trash.restore(entry.trash_id, ORIGIN)
    back = found(bench, instance.uids)
    assert back.correction == instance.correction
    assert file_of(file(bench, back)).PatientID == "SOUTH-1"


def test_a_version_in_conflict_keeps_it_through_the_trash(bench: Bench) -> None:
    """Deleted with the visible version, and restored over a third one it is listed with its correction."""
    uids: dict[str, Any] = {"SOPInstanceUID": "1.2.1", "StudyInstanceUID": "1.2"}
    keep(bench, samples.small(**uids))
    keep(bench, samples.small(**uids, PatientComments="other"), correction({}))
    bench.trash.delete(InstanceUids("1.2", "", ""), ORIGIN)
    bench.keep(samples.small(**uids, PatientComments="third"))
    (entry,) = bench.trash.entries()
    bench.trash.restore(entry.trash_id, ORIGIN)
    listed = {one.correction for one in bench.index.conflicts()}
    assert listed == {id_of(correction()), id_of(correction({}))}
