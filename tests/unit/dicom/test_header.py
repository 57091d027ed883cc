"""The header of regular objects, and of every irregularity that has been seen in real archives."""

from __future__ import annotations

import struct
from typing import Any

import orjson
import pytest

from tests import samples
from tests.samples import (
    BIG_ENDIAN,
    CT_IMAGE,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    JPEG_BASELINE,
    SECONDARY_CAPTURE,
    Typed,
    corpus_files,
    pydicom_files,
)
from vna.dicom.header import DIRECTORY_STORAGE, Header, read_header
from vna.dicom.identity import derived_uid
from vna.dicom.part10 import PREAMBLE, file_meta
from vna.errors import InvalidInstance
from vna.model.identifiers import InstanceUids

SYNTAXES = (EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED)
UIDS = InstanceUids("1.2.3", "1.2.3.4", "1.2.3.4.5")


def elements(**overrides: Any) -> dict[Any, Any]:
    """The elements of a small object with known UIDs."""
    return samples.identity(
        StudyInstanceUID=UIDS.study_instance_uid,
        SeriesInstanceUID=UIDS.series_instance_uid,
        SOPInstanceUID=UIDS.sop_instance_uid,
        **overrides,
    )


def value(header: Header, key: str) -> object:
    levels = header.attributes
    for level in (levels.patient, levels.study, levels.series, levels.instance):
        if key in level:
            return level[key].get("Value")
    return None


@pytest.mark.parametrize("uid", SYNTAXES)
def test_a_realistic_ct(uid: str) -> None:
    data = samples.ct(
        transfer_syntax_uid=uid,
        study_instance_uid="1.2.3",
        series_instance_uid="1.2.3.4",
        sop_instance_uid="1.2.3.4.5",
        rows=64,
        columns=32,
    )
    header = read_header(memoryview(data))
    assert header.uids == UIDS
    assert header.sop_class_uid == CT_IMAGE
    assert header.transfer_syntax_uid == uid
    assert header.warnings == ()
    assert header.number_of_frames == 1
    layout = header.layout
    assert layout.dataset_offset == data.index(b"SCANNER") + 8
    assert layout.pixel_length == 64 * 32 * 2
    assert header.frames is not None
    assert header.frames.span(1) == (layout.pixel_offset, layout.pixel_length)
    if uid != DEFLATED:
        assert layout.tail_offset == len(data)
        assert data[layout.pixel_offset : layout.tail_offset] == bytes(range(256)) * 16


def test_the_levels_of_a_ct() -> None:
    attributes = read_header(samples.ct(patient_name="Müller^Jörg")).attributes
    assert attributes.patient["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Müller^Jörg"}]}
    assert attributes.study["00101030"] == {"vr": "DS", "Value": [71.5]}
    assert attributes.series["00200011"] == {"vr": "IS", "Value": [5]}
    assert attributes.instance["00280010"] == {"vr": "US", "Value": [512]}
    assert attributes.instance["00200032"]["Value"] == [-170.0, -310.5, -842.25]
    scheduled = attributes.series["00400275"]["Value"]
    assert scheduled == [
        {
            "00400007": {"vr": "LO", "Value": ["Abdomen routine"]},
            "00400008": {
                "vr": "SQ",
                "Value": [
                    {
                        "00080100": {"vr": "SH", "Value": ["CTABD"]},
                        "00080102": {"vr": "SH", "Value": ["SCT"]},
                        "00080104": {"vr": "LO", "Value": ["Abdomen protocol"]},
                    }
                ],
            },
            "00400009": {"vr": "SH", "Value": ["SPS-7"]},
            "00401001": {"vr": "SH", "Value": ["RP-7"]},
        }
    ]
    for level in (attributes.patient, attributes.study, attributes.series, attributes.instance):
        assert len(orjson.dumps(level)) < 2048
        assert level["00080005"]["Value"] == ["ISO_IR 100"]
        assert all("Value" in element for element in level.values())


def test_an_object_without_pixel_data_is_header_to_its_end() -> None:
    data = samples.small()
    header = read_header(data)
    layout = header.layout
    assert (layout.pixel_offset, layout.pixel_length) == (-1, 0)
    assert layout.header_length == layout.tail_offset == len(data)
    assert (header.frames, header.number_of_frames) == (None, 0)


@pytest.mark.parametrize("uid", SYNTAXES)
def test_no_meta_group_and_no_preamble(uid: str) -> None:
    header = read_header(samples.dataset(elements(), uid))
    assert header.uids == UIDS
    assert header.transfer_syntax_uid == uid
    assert header.layout.dataset_offset == 0
    assert header.warnings == (
        "no preamble",
        "no file meta information",
        f"Transfer Syntax UID guessed: {uid}",
    )


@pytest.mark.parametrize(
    "before",
    [b"", b"DICM", bytes(128), bytes(128) + b"DICM", b"II*\0" + bytes(124) + b"DICM"],
)
def test_every_kind_of_preamble(before: bytes) -> None:
    meta = file_meta(SECONDARY_CAPTURE, "1.2.3.4.5", EXPLICIT)[len(PREAMBLE) :]
    data = before + meta + samples.dataset(elements())
    header = read_header(data)
    assert header.uids == UIDS
    assert data[header.layout.dataset_offset :] == samples.dataset(elements())


def test_a_displaced_preamble() -> None:
    meta = file_meta(SECONDARY_CAPTURE, "1.2.3.4.5", EXPLICIT)
    header = read_header(b"DICM" + meta + samples.dataset(elements()))
    assert header.uids == UIDS
    assert "the preamble has not 128 bytes" in header.warnings


def test_dicm_inside_a_dataset_is_no_prefix() -> None:
    encoder = samples.writer()
    data = encoder.dataset({"SpecificCharacterSet": "ISO_IR 100", **elements()})
    head = encoder.element(0x00080005, "ISO_IR 100")
    filler = encoder.element(0x00080008, "A" * (128 - len(head) - 8) + "DICMABCDEFGH")
    header = read_header(head + filler + data[len(head) :])
    assert header.uids == UIDS
    assert header.layout.dataset_offset == 0


@pytest.mark.parametrize("length", [0, 10, 4000, None])
def test_a_missing_or_wrong_meta_group_length(length: int | None) -> None:
    meta = file_meta(SECONDARY_CAPTURE, "1.2.3.4.5", IMPLICIT)
    start = len(PREAMBLE)
    group = struct.pack("<HH2sHI", 2, 0, b"UL", 4, length) if length is not None else b""
    data = meta[:start] + group + meta[start + 12 :] + samples.dataset(elements(), IMPLICIT)
    header = read_header(data)
    assert header.uids == UIDS
    assert header.transfer_syntax_uid == IMPLICIT
    assert header.warnings == ("file meta group length is missing or wrong",)


@pytest.mark.parametrize("labelled", ["", *SYNTAXES])
@pytest.mark.parametrize("written", SYNTAXES)
def test_a_dataset_in_another_syntax_than_its_label(labelled: str, written: str) -> None:
    meta = file_meta(SECONDARY_CAPTURE, "1.2.3.4.5", labelled)
    header = read_header(meta + samples.dataset(elements(), written))
    assert header.uids == UIDS
    assert header.transfer_syntax_uid == written
    if labelled == written:
        assert header.warnings == ()
    elif labelled:
        assert header.warnings == (f"labelled {labelled}, but written in {written}",)


def test_an_implicit_dataset_keeps_the_label_of_its_compressed_pixels() -> None:
    meta = file_meta(SECONDARY_CAPTURE, "1.2.3.4.5", JPEG_BASELINE)
    header = read_header(meta + samples.dataset(elements(), IMPLICIT))
    assert header.transfer_syntax_uid == JPEG_BASELINE
    assert header.warnings == (f"dataset of {JPEG_BASELINE} is implicit VR little endian",)


def test_a_private_transfer_syntax_is_explicit_little_endian() -> None:
    meta = file_meta(SECONDARY_CAPTURE, "1.2.3.4.5", "1.2.999.1")
    header = read_header(meta + samples.dataset(elements()))
    assert header.transfer_syntax_uid == "1.2.999.1"
    assert header.warnings == ()


GE_PRIVATE = "1.2.840.113619.5.2"


@pytest.mark.parametrize("label", [GE_PRIVATE, "1.2.999.1", "1.3.46.670589.33.1.4.1"])
@pytest.mark.parametrize("written", SYNTAXES)
@pytest.mark.parametrize("with_pixels", [True, False])
def test_a_private_transfer_syntax_is_never_relabelled(
    label: str, written: str, with_pixels: bool
) -> None:
    """Only the vendor knows what else it means: for GE's, that pixel data are big endian."""
    meta = file_meta(SECONDARY_CAPTURE, "1.2.3.4.5", label)
    pixels = samples.image() | {"PixelData": Typed("OW", bytes(16))} if with_pixels else {}
    header = read_header(meta + samples.dataset(elements(**pixels), written))
    assert header.transfer_syntax_uid == label
    assert header.uids == UIDS
    assert value(header, "00100010") == [{"Alphabetic": "Doe^Jane"}]
    as_expected = IMPLICIT if label == GE_PRIVATE else EXPLICIT
    is_odd = any("dataset of" in warning for warning in header.warnings)
    assert is_odd == (written != as_expected)
    if written == DEFLATED:
        assert f"dataset of {label} is deflated" in header.warnings
        assert header.layout.pixel_offset == -1


@pytest.mark.parametrize(
    ("label", "written", "kept"),
    [
        ("1.2.840.10008.1.2.4.94", IMPLICIT, "1.2.840.10008.1.2.4.94"),
        ("1.2.840.10008.1.2.4.94", DEFLATED, "1.2.840.10008.1.2.4.95"),
        ("1.2.840.10008.1.2.4.95", EXPLICIT, "1.2.840.10008.1.2.4.94"),
        ("1.2.840.10008.1.2.4.205", EXPLICIT, "1.2.840.10008.1.2.4.204"),
        (JPEG_BASELINE, DEFLATED, JPEG_BASELINE),
        (JPEG_BASELINE, BIG_ENDIAN, JPEG_BASELINE),
    ],
)
def test_a_label_that_tells_of_pixels_keeps_telling_of_them(
    label: str, written: str, kept: str
) -> None:
    meta = file_meta(SECONDARY_CAPTURE, "1.2.3.4.5", label)
    header = read_header(meta + samples.dataset(elements(), written))
    assert header.transfer_syntax_uid == kept
    assert header.uids == UIDS
    assert header.warnings


@pytest.mark.parametrize("label", [IMPLICIT, GE_PRIVATE])
@pytest.mark.parametrize("vr", [b"OB", b"SQ", b"UI"])
def test_a_length_that_looks_like_a_vr_is_a_length(label: str, vr: bytes) -> None:
    """The first element of an implicit dataset may be as long as "OB" reads."""
    length = int.from_bytes(vr, "little")
    first = b"\x08\0\x01\0" + length.to_bytes(4, "little") + bytes(length)
    meta = file_meta(SECONDARY_CAPTURE, "1.2.3.4.5", label)
    header = read_header(meta + first + samples.dataset(elements(), IMPLICIT))
    assert (header.transfer_syntax_uid, header.uids) == (label, UIDS)
    assert not any("written in" in warning for warning in header.warnings)


@pytest.mark.parametrize("uid", [EXPLICIT, IMPLICIT])
def test_meta_and_command_elements_in_front_of_the_dataset(uid: str) -> None:
    meta = file_meta(SECONDARY_CAPTURE, "1.2.3.4.5", uid)
    command = struct.pack("<HHIHHHIH", 0, 0x0100, 2, 1, 0, 0x0110, 2, 7)
    inside = meta[len(PREAMBLE) :] + command
    header = read_header(meta + inside + samples.dataset(elements(), uid))
    assert header.uids == UIDS
    assert header.transfer_syntax_uid == uid
    assert header.layout.dataset_offset == len(meta)


def test_elements_out_of_order() -> None:
    encoder = samples.writer()
    parts = [encoder.dataset({name: item}) for name, item in reversed(elements().items())]
    header = read_header(b"".join(parts))
    assert header.uids == UIDS
    assert "elements are out of order" in header.warnings


def test_elements_behind_the_pixel_data() -> None:
    head = {**elements(), **samples.image(), "PixelData": Typed("OB", bytes(16))}
    patient = head.pop("PatientID")
    tail = samples.dataset({"PatientID": patient, 0xFFFCFFFC: Typed("OB", bytes(64))})
    header = read_header(samples.part10(head) + tail)
    assert value(header, "00100020") == [patient]
    assert "elements stand behind the pixel data" in header.warnings
    garbage = read_header(samples.part10(head) + b"\xde\xad\xbe\xef" * 8)
    assert "bytes behind the pixel data are no elements" in garbage.warnings


def test_trailing_padding_is_no_fault() -> None:
    data = samples.multiframe(1) + samples.dataset({0xFFFCFFFC: Typed("OB", bytes(64))})
    header = read_header(data)
    assert header.warnings == ()
    assert header.layout.tail_offset == len(data) - 76


def test_group_lengths_are_passed_over() -> None:
    header = read_header(samples.part10({**elements(), 0x00080000: Typed("UL", 999)}))
    assert header.warnings == ()


def test_missing_study_and_series_uids_are_derived() -> None:
    bare = elements()
    del bare["StudyInstanceUID"], bare["SeriesInstanceUID"]
    header = read_header(samples.part10(bare))
    study = derived_uid("study", "1.2.3.4.5")
    series = derived_uid("series", study, SECONDARY_CAPTURE)
    assert header.uids == InstanceUids(study, series, "1.2.3.4.5")
    assert value(header, "0020000D") == [study]
    assert value(header, "0020000E") == [series]
    assert study.startswith("2.25.")
    assert len(header.warnings) == 2
    assert read_header(samples.part10(bare)).uids == header.uids


@pytest.mark.parametrize("place", ["meta", "argument"])
def test_announced_uids_stand_in(place: str) -> None:
    bare = elements()
    del bare["SOPInstanceUID"], bare["SOPClassUID"]
    data = samples.dataset(bare)
    if place == "meta":
        header = read_header(file_meta(SECONDARY_CAPTURE, "1.2.3.4.5", EXPLICIT) + data)
    else:
        uids = {"sop_instance_uid": "1.2.3.4.5", "sop_class_uid": SECONDARY_CAPTURE}
        header = read_header(data, **uids)
    assert header.uids == UIDS
    assert header.sop_class_uid == SECONDARY_CAPTURE
    assert any("no SOP Instance UID in the dataset" in text for text in header.warnings)


def test_the_dataset_wins_over_its_meta_group() -> None:
    header = read_header(file_meta(CT_IMAGE, "9.9", EXPLICIT) + samples.dataset(elements()))
    assert header.uids == UIDS
    assert header.sop_class_uid == SECONDARY_CAPTURE
    assert len(header.warnings) == 2


def test_no_sop_instance_uid_at_all() -> None:
    bare = elements()
    del bare["SOPInstanceUID"]
    with pytest.raises(InvalidInstance, match="no SOP Instance UID"):
        read_header(samples.dataset(bare))


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (b"1.2.3\0", "1.2.3"),
        (b"1.2.3 ", "1.2.3"),
        (b" 1.2.3\0\0", "1.2.3"),
        (b"1.2.3\0junk", "1.2.3"),
        (b"1.02.3", "1.02.3"),
        (b"1." + b"2" * 70, "1." + "2" * 70),
    ],
)
def test_uids_that_can_be_kept(written: bytes, kept: str) -> None:
    header = read_header(samples.part10(elements() | {0x0020000D: written}))
    assert header.uids.study_instance_uid == kept
    assert any("not valid" in text for text in header.warnings) == (kept != "1.2.3")


@pytest.mark.parametrize("written", [b"../../etc", b"1.2\\1.3", b"a*", b"x" * 200, b"1\x07.2"])
@pytest.mark.parametrize("tag", [0x00080018, 0x0020000D, 0x0020000E])
def test_uids_that_identify_nothing(tag: int, written: bytes) -> None:
    with pytest.raises(InvalidInstance, match="can't identify"):
        read_header(samples.dataset(elements() | {tag: written}))


@pytest.mark.parametrize("data", [b"", b"\0", b"hello, world, this is no DICOM at all" * 9])
def test_what_is_no_dicom(data: bytes) -> None:
    with pytest.raises(InvalidInstance):
        read_header(data)


def test_a_dicomdir_is_refused_by_name() -> None:
    by_meta = file_meta(DIRECTORY_STORAGE, "1.2.3", EXPLICIT)
    directory = samples.dataset({"FileSetID": "X", 0x00041220: []})
    for data in (by_meta + directory, directory):
        with pytest.raises(InvalidInstance, match="DICOMDIR"):
            read_header(data)


def test_a_cut_value_is_not_taken_for_the_value() -> None:
    data = samples.dataset(elements())
    cut = data[: data.index(b"1.2.3.4\0") + 4]
    header = read_header(cut)
    assert header.uids.series_instance_uid != "1.2."
    assert any("longer than what is left" in text for text in header.warnings)


def test_the_configured_issuer_only_fills_a_gap() -> None:
    header = read_header(samples.part10(elements()), issuer_of_patient_id="HOSPITAL")
    assert value(header, "00100021") == ["HOSPITAL"]
    own = samples.part10(elements(IssuerOfPatientID="OWN"))
    assert value(read_header(own, issuer_of_patient_id="HOSPITAL"), "00100021") == ["OWN"]


@pytest.mark.parametrize(
    ("keyword", "typed", "expected"),
    [
        ("00280010", {0x00280010: Typed("IS", "12")}, [12]),
        ("00280010", {0x00280010: Typed("UN", b"\x0c\0")}, [12]),
        ("00280010", {0x00280010: Typed("UL", 12)}, [12]),
        ("00100020", {0x00100020: Typed("UN", b"PID ")}, ["PID"]),
        ("00100020", {0x00100020: Typed("US", 7)}, ["7"]),
        ("00100020", {0x00100020: Typed("LO", b"A\0B")}, ["AB"]),
        ("00100010", {0x00100010: Typed("LO", "Doe^Jane")}, [{"Alphabetic": "Doe^Jane"}]),
        ("00081032", {0x00081032: Typed("CS", "NO SEQUENCE")}, None),
        ("00200011", {0x00200011: Typed("IS", "A1")}, ["A1"]),
        ("00101030", {0x00101030: Typed("DS", "NaN")}, ["NaN"]),
    ],
)
def test_values_have_the_vr_of_the_standard(keyword: str, typed: Any, expected: object) -> None:
    without = {k: v for k, v in elements().items() if k not in {"PatientID", "PatientName"}}
    assert value(read_header(samples.part10(without | typed)), keyword) == expected


def test_items_use_their_own_character_set() -> None:
    outer = {"SpecificCharacterSet": "ISO_IR 100", "PatientName": "Müller".encode("latin-1")}
    items = [
        {"CodeMeaning": "Schädel".encode("latin-1")},
        {"SpecificCharacterSet": "ISO_IR 144", "CodeMeaning": "Голова".encode("iso8859-5")},
    ]
    header = read_header(samples.part10(elements(**outer, ProcedureCodeSequence=items)))
    assert value(header, "00100010") == [{"Alphabetic": "Müller"}]
    assert value(header, "00081032") == [
        {"00080104": {"vr": "LO", "Value": ["Schädel"]}},
        {"00080104": {"vr": "LO", "Value": ["Голова"]}},
    ]


def test_huge_values_are_not_indexed() -> None:
    header = read_header(samples.part10(elements(PatientComments="x" * 5000)))
    assert value(header, "00104000") is None
    assert header.warnings == ("PatientComments has 5000 bytes; it is not indexed",)


def test_a_deflated_bomb_is_kept_with_what_was_inflated() -> None:
    bomb = samples.dataset({**elements(), "EncapsulatedDocument": bytes(200 * 2**20)})
    data = file_meta(SECONDARY_CAPTURE, "1.2.3.4.5", DEFLATED) + samples.deflate(bomb)
    assert len(data) < 2**20
    header = read_header(data)
    assert header.uids == UIDS
    assert header.layout.header_length < 2**27


def test_a_damaged_deflated_dataset() -> None:
    data = samples.ct(transfer_syntax_uid=DEFLATED, rows=64, columns=64)
    header = read_header(data[: len(data) - 20])
    assert header.uids.sop_instance_uid
    assert header.transfer_syntax_uid == DEFLATED


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
@pytest.mark.parametrize("path", pydicom_files(), ids=lambda path: path.name)
def test_every_real_file_has_a_header(path: Any) -> None:
    from pydicom import dcmread

    header = read_header(path.read_bytes())
    own = dcmread(path, force=True, stop_before_pixels=True, specific_tags=["SOPInstanceUID"])
    assert header.uids.sop_instance_uid == own.SOPInstanceUID
    levels = header.attributes
    for level in (levels.patient, levels.study, levels.series, levels.instance):
        assert b"\\u0000" not in orjson.dumps(level)


def test_the_further_real_files() -> None:
    refused = []
    for path in corpus_files():
        try:
            read_header(path.read_bytes())
        except InvalidInstance as exc:
            refused.append((path.name, str(exc)))
    assert len(refused) <= len(corpus_files()) // 10, refused
