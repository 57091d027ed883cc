"""What a correction makes of an object's bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset

from tests import samples
from tests.corrections import AT, NEW, correction, file_of, originals
from vna.dicom.correcting import Corrected, StoredHeader, check_correction, corrected_header
from vna.dicom.envelope import DEFLATED_UIDS
from vna.dicom.header import read_header
from vna.dicom.json import dataset_json
from vna.errors import InvalidInstance
from vna.model.corrections import Correction
from vna.model.query import JsonElement
from vna.services.correcting import corrected

_MOST = 100_000
PLAIN = (samples.EXPLICIT, samples.IMPLICIT, samples.BIG_ENDIAN)


def made(data: bytes, change: Correction) -> tuple[bytes, Corrected]:
    """The object as it leaves, and what was changed; of one that is not deflated."""
    header = read_header(data)
    layout = header.layout
    tail = layout.tail_offset if layout.pixel_offset >= 0 else -1
    uid = header.transfer_syntax_uid
    stored = StoredHeader(data, layout.dataset_offset, layout.header_length, tail, tail, uid)
    done = corrected_header(stored, change)
    return b"".join(done.splices.applied([data])), done


def leaving(data: bytes, change: Correction) -> Dataset:
    return file_of(made(data, change)[0])


@pytest.mark.parametrize("syntax", PLAIN)
def test_new_values_old_values_and_all_others_byte_for_byte(syntax: str) -> None:
    data = samples.multiframe(bits=16, transfer_syntax_uid=syntax, AccessionNumber="7")
    out, _ = made(data, correction())
    new, old = file_of(out), file_of(data)
    assert (new.PatientID, new.IssuerOfPatientID, new.AccessionNumber) == (
        "SOUTH-1",
        "South",
        "S-7",
    )
    (was,) = originals(new)
    assert (was.PatientID, was.IssuerOfPatientID, was.AccessionNumber) == ("PID-1", "", "7")
    item = new.OriginalAttributesSequence[0]
    assert item.AttributeModificationDateTime == AT.strftime("%Y%m%d%H%M%S.%f+0000")
    assert (item.ModifyingSystem, item.SourceOfPreviousValues) == ("VNA", "Old PACS")
    assert item.ReasonForTheAttributeModification == "COERCE"
    for keyword in (
        "PatientID",
        "IssuerOfPatientID",
        "AccessionNumber",
        "OriginalAttributesSequence",
    ):
        for dataset in (new, old):
            if keyword in dataset:
                delattr(dataset, keyword)
    assert new == old
    assert list(file_of(out).keys()) == sorted(file_of(out).keys())


def test_an_element_without_a_value_empties_what_was_there() -> None:
    new = leaving(samples.small(StationName="CT1"), correction({"00081010": {"vr": "SH"}}))
    assert new.StationName == ""
    assert originals(new)[0].StationName == "CT1"


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("syntax", PLAIN)
def test_earlier_original_attributes_stay_in_front(syntax: str, *, undefined: bool) -> None:
    told: dict[str, Any] = {
        "ModifiedAttributesSequence": [{"PatientID": "FIRST"}],
        "AttributeModificationDateTime": "2001",
        "ModifyingSystem": "before",
        "SourceOfPreviousValues": "",
        "ReasonForTheAttributeModification": "CORRECT",
    }
    elements = samples.identity(SOPInstanceUID="1.2.3", OriginalAttributesSequence=[told])
    body = samples.writer(syntax, undefined=undefined).dataset(elements)
    head = samples.part10({"SOPInstanceUID": "1.2.3"}, syntax)[
        : -len(samples.dataset({"SOPInstanceUID": "1.2.3"}))
    ]
    new = leaving(head + body, correction())
    assert [was.PatientID for was in originals(new)] == ["FIRST", "PID-1"]


def test_lengths_of_groups_that_are_no_longer_true_go() -> None:
    elements = samples.identity() | {
        0x00100000: samples.Typed("UL", 99),
        0x00180000: samples.Typed("UL", 0),
    }
    new = leaving(samples.part10(elements), correction())
    assert 0x00100000 not in new
    assert 0x00180000 in new


def test_an_element_behind_the_pixel_data_is_replaced_too() -> None:
    data = samples.multiframe(AccessionNumber="7") + samples.dataset({"AccessionNumber": "8"})
    out, done = made(data, correction())
    assert out.count(b"SH\x04\x00S-7 ") == 1
    assert done.splices.splices[-1].start > read_header(data).layout.pixel_offset
    assert [item.get("Value") for item in _accessions(out)] == [["S-7"]]


def _accessions(data: bytes) -> list[JsonElement]:
    header = read_header(data)
    return [header.attributes.study["00080050"]]


# --- character sets --------------------------------------------------------------------------------


def test_a_declared_character_set_relabels_texts_whose_bytes_stay() -> None:
    name = "Müller^Jörg".encode("cp1252")
    data = samples.small(SpecificCharacterSet="ISO_IR 192", PatientName=name)
    change = correction({}, character_set=("ISO_IR 100",))
    out, done = made(data, change)
    new = file_of(out)
    assert (new.SpecificCharacterSet, new.PatientName) == ("ISO_IR 100", "Müller^Jörg")
    assert originals(new)[0].SpecificCharacterSet == "ISO_IR 192"
    assert name in out
    assert done.character_set == ("ISO_IR 100",)


def test_the_default_repertoire_may_be_declared() -> None:
    change = correction({}, character_set=())
    new = leaving(samples.small(SpecificCharacterSet="ISO_IR 192"), change)
    assert not new.SpecificCharacterSet
    assert originals(new)[0].SpecificCharacterSet == "ISO_IR 192"


@pytest.mark.filterwarnings("ignore:Incorrect value for Specific Character Set")
@pytest.mark.parametrize(
    ("label", "name", "expected"),
    [
        ("", "Doe^Jane", "ISO_IR 192"),
        ("ISO_IR 100", "Doe^Jane", "ISO_IR 192"),
        ("ISO_IR 100", "Müller^Jörg", ["ISO 2022 IR 100", "ISO 2022 IR 101"]),
        ("ISO_IR 192", "Müller^Jörg", "ISO_IR 192"),
        ("GB18030", "Müller^Jörg", "GB18030"),
        ("ISO-IR 101", "Doe^Jane", "ISO_IR 101"),
    ],
)
def test_a_new_text_gets_a_character_set_in_which_the_old_ones_mean_the_same(
    label: str, name: str, expected: object
) -> None:
    codec = {"ISO_IR 192": "utf-8", "GB18030": "gb18030"}.get(label, "latin-1")
    said: dict[str, Any] = {"SpecificCharacterSet": label} if label else {}
    data = samples.small(PatientName=name.encode(codec), **said)
    new = leaving(data, correction({"00080080": {"vr": "LO", "Value": ["Klinik Łódź"]}}))
    assert new.SpecificCharacterSet == expected
    assert (new.InstitutionName, new.PatientName) == ("Klinik Łódź", name)
    assert originals(new)[0].InstitutionName == ""


def test_a_text_that_no_set_takes_beside_the_old_ones_is_refused() -> None:
    data = samples.small(SpecificCharacterSet="ISO_IR 100", PatientName="Jörg".encode("latin-1"))
    with pytest.raises(InvalidInstance, match=r"ISO_IR 100.*declare the true one"):
        made(data, correction({"00080080": {"vr": "LO", "Value": ["\U0001f3e5"]}}))


# --- what can't be --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    [
        *("00020010", "00080000", "00080005", "00080016", "00080018", "0020000D", "0020000E"),
        *("00280010", "04000561", "7FE00010", "FFFAFFFA"),
    ],
)
def test_what_finds_or_decodes_an_object_is_not_corrected(key: str) -> None:
    with pytest.raises(InvalidInstance, match=key):
        check_correction(correction({key: {"vr": "LO", "Value": ["1"]}}))


def test_nothing_is_put_behind_a_dataset_that_breaks_off() -> None:
    data = samples.small(PatientComments="as long as told")[:-6]
    with pytest.raises(InvalidInstance, match="04000561"):
        made(data, correction())


def test_a_value_that_its_vr_can_not_hold_is_refused() -> None:
    with pytest.raises(InvalidInstance, match="00101010"):
        made(samples.small(), correction({"00101010": {"vr": "US", "Value": ["old"]}}))


def test_a_previous_value_of_any_size_is_not_held() -> None:
    blob = samples.Typed("OB", bytes(4 * 2**20 + 2))
    data = samples.part10(samples.identity() | {0x00420011: blob})
    with pytest.raises(InvalidInstance, match="00420011 has 4194306 bytes"):
        made(data, correction({"00420011": {"vr": "OB"}}))
    assert leaving(data, correction()).PatientID == "SOUTH-1"


# --- real files -----------------------------------------------------------------------------------


def _tree(data: bytes, offset: int, syntax: str) -> dict[str, Any]:
    return dataset_json(data, dataset_offset=offset, transfer_syntax_uid=syntax)


def test_of_real_files_nothing_else_changes() -> None:
    elements: dict[str, JsonElement] = {
        **NEW,
        "00081010": {"vr": "SH"},
        "00080080": {"vr": "LO", "Value": ["Höhe"]},
    }
    change = correction(elements)
    files = (*samples.pydicom_files(), *samples.corpus_files())
    seen = [_is_kept(path, change) for path in files if path.stat().st_size < _MOST]
    assert sum(seen) > 50


def _is_kept(path: Path, change: Correction) -> bool:
    data = path.read_bytes()
    try:
        header = read_header(data)
    except InvalidInstance:
        return False
    if header.transfer_syntax_uid in DEFLATED_UIDS:
        return False
    out, _ = made(data, change)
    old, new = (
        _tree(each, header.layout.dataset_offset, header.transfer_syntax_uid)
        for each in (data, out)
    )
    before = old.pop("04000561", {"Value": []})["Value"]
    after = new.pop("04000561")["Value"]
    assert after[:-1] == before, path
    was = after[-1]["04000550"]["Value"][0]
    for key, element in change.elements.items():
        assert new.pop(key, {}).get("Value") == element.get("Value"), path
        assert was.get(key, {}).get("Value") == old.pop(key, {}).get("Value"), path
    new.pop("00080005", None)
    old.pop("00080005", None)
    assert new == old, path
    levels, indexed = read_header(out).attributes, corrected(header, data, change).attributes
    assert levels == indexed, path
    return True
