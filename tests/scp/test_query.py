"""C-FIND at the door: every kind of matching, what comes back, cancel and bad identifiers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from tests import samples
from tests.scp.site import Site, associate
from vna.dicom.json import dataset_json
from vna.dicom.matching import MAX_ALTERNATIVES
from vna.dimse import scu
from vna.dimse.association import Association
from vna.dimse.command import Command, CommandField
from vna.model.query import JsonElement
from vna.scp.policy import Model

PATIENT_ROOT, STUDY_ROOT = f"{Model.PATIENT_ROOT}.1", f"{Model.STUDY_ROOT}.1"
CONTEXTS = (
    (PATIENT_ROOT, (samples.IMPLICIT,)),
    (STUDY_ROOT, (samples.EXPLICIT,)),
    (samples.CT_IMAGE, (samples.EXPLICIT,)),
)
MANY = [f"{number}*" for number in range(MAX_ALTERNATIVES + 1)]
Keys = Mapping[str, samples.Value]
Record = dict[str, JsonElement]

DOE: dict[str, samples.Value] = {
    "PatientID": "P1",
    "PatientName": "Doe^Jane",
    "PatientBirthDate": "19700101",
    "StudyInstanceUID": "1.2.1",
    "StudyDate": "20240131",
    "StudyTime": "101500",
    "AccessionNumber": "A-1",
    "StudyDescription": "CHEST",
    "Modality": "CT",
    "ProcedureCodeSequence": [
        {"CodeValue": "P5-1", "CodingSchemeDesignator": "SRT", "CodeMeaning": "Chest"}
    ],
}
ROE: dict[str, samples.Value] = {
    "PatientID": "P2",
    "PatientName": "ROE^John",
    "StudyInstanceUID": "1.2.2",
    "StudyDate": "20240301",
    "StudyTime": "170000",
    "AccessionNumber": "A-2",
    "StudyDescription": "HEAD",
    "Modality": "MR",
}


def keep(association: Association, elements: Mapping[str, samples.Value]) -> None:
    identity = samples.identity(**{"SOPClassUID": samples.CT_IMAGE, **elements})
    instance = scu.Instance(samples.CT_IMAGE, str(identity["SOPInstanceUID"]))
    context = association.context_for(samples.CT_IMAGE)
    assert scu.store(association, context, instance, samples.dataset(identity)).status == 0


@pytest.fixture
def peer(site: Site) -> Iterator[Association]:
    """A peer of an archive with two studies: two series and three instances, one and one."""
    with associate(site, *CONTEXTS) as association:
        for series, number in (("1.2.1.1", "1"), ("1.2.1.1", "2"), ("1.2.1.2", "1")):
            uids = {"SeriesInstanceUID": series, "SOPInstanceUID": f"{series}.{number}"}
            keep(association, {**DOE, **uids, "InstanceNumber": number})
        keep(association, {**ROE, "SeriesInstanceUID": "1.2.2.1", "SOPInstanceUID": "1.2.2.1.1"})
        yield association


def ask(
    association: Association, level: str, keys: Keys, model: str = STUDY_ROOT
) -> tuple[list[scu.Answer], Command]:
    """The pending responses and the final one."""
    syntax = association.context_for(model).transfer_syntax
    identifier = samples.dataset({"QueryRetrieveLevel": level, **keys}, syntax)
    *pending, final = scu.find(association, model, identifier)
    return pending, final.command


def records(
    association: Association, level: str, keys: Keys, model: str = STUDY_ROOT
) -> list[Record]:
    pending, final = ask(association, level, keys, model)
    assert final.status == 0, final
    assert all(answer.command.status in {0xFF00, 0xFF01} for answer in pending)
    return [
        dataset_json(answer.data, dataset_offset=0, transfer_syntax_uid=answer.transfer_syntax)
        for answer in pending
    ]


def values(found: list[Record], key: str) -> list[object]:
    return sorted((element.get("Value", [None])[0] for element in (r[key] for r in found)), key=str)  # type: ignore[index]


@pytest.mark.parametrize(
    ("keys", "studies"),
    [
        ({"PatientID": "P1"}, ["1.2.1"]),
        ({"PatientID": "P9"}, []),
        ({"PatientID": "P*"}, ["1.2.1", "1.2.2"]),
        ({"PatientID": "?1"}, ["1.2.1"]),
        ({"PatientID": ""}, ["1.2.1", "1.2.2"]),
        ({"PatientName": "doe^jane"}, ["1.2.1"]),
        ({"PatientName": "*OE*"}, ["1.2.1", "1.2.2"]),
        ({"PatientName": "roe*"}, ["1.2.2"]),
        ({"StudyInstanceUID": ["1.2.1", "1.2.2", "1.2.3"]}, ["1.2.1", "1.2.2"]),
        ({"StudyInstanceUID": "1.2.2"}, ["1.2.2"]),
        ({"StudyDate": "20240131"}, ["1.2.1"]),
        ({"StudyDate": "20240201-"}, ["1.2.2"]),
        ({"StudyDate": "-20240201"}, ["1.2.1"]),
        ({"StudyDate": "20240101-20241231"}, ["1.2.1", "1.2.2"]),
        ({"StudyTime": "1000-1100"}, ["1.2.1"]),
        ({"StudyDate": "20240101-20241231", "StudyTime": "1600-1800"}, ["1.2.2"]),
        ({"AccessionNumber": "A-2"}, ["1.2.2"]),
        ({"StudyDescription": "CH*"}, ["1.2.1"]),
        ({"ModalitiesInStudy": "MR"}, ["1.2.2"]),
        ({"ProcedureCodeSequence": [{"CodeValue": "P5-1"}]}, ["1.2.1"]),
        ({"ProcedureCodeSequence": [{"CodeValue": "P9"}]}, []),
        ({"ProcedureCodeSequence": [{"CodeValue": ""}]}, ["1.2.1", "1.2.2"]),
        ({"Modality": "MR"}, ["1.2.2"]),
        ({"StudyStatusID": "VERIFIED"}, ["1.2.1", "1.2.2"]),
        ({"PatientID": "%"}, []),
        ({"PatientID": "P_"}, []),
    ],
)
def test_studies_match(peer: Association, keys: Keys, studies: list[str]) -> None:
    found = records(peer, "STUDY", {"StudyInstanceUID": "", **keys})
    assert values(found, "0020000D") == studies


@pytest.mark.parametrize(
    ("level", "keys", "key", "expected"),
    [
        ("PATIENT", {"PatientID": "", "PatientName": "D*"}, "00100020", ["P1"]),
        ("STUDY", {"PatientID": "P1", "StudyInstanceUID": ""}, "0020000D", ["1.2.1"]),
        (
            "SERIES",
            {"PatientID": "P1", "StudyInstanceUID": "1.2.1", "SeriesInstanceUID": ""},
            "0020000E",
            ["1.2.1.1", "1.2.1.2"],
        ),
        (
            "IMAGE",
            {"StudyInstanceUID": "1.2.1", "SeriesInstanceUID": "1.2.1.1", "SOPInstanceUID": ""},
            "00080018",
            ["1.2.1.1.1", "1.2.1.1.2"],
        ),
    ],
)
def test_every_level_of_patient_root_answers(
    peer: Association, level: str, keys: Keys, key: str, expected: list[str]
) -> None:
    found = records(peer, level, keys, PATIENT_ROOT)
    assert values(found, key) == expected
    assert values(found, "00080052") == [level] * len(expected)


def test_counts_and_modalities_are_computed(peer: Association) -> None:
    keys = {
        "StudyInstanceUID": "1.2.1",
        "ModalitiesInStudy": "",
        "NumberOfStudyRelatedSeries": "",
        "NumberOfStudyRelatedInstances": "",
        "SOPClassesInStudy": "",
    }
    (found,) = records(peer, "STUDY", keys)
    assert found["00080061"]["Value"] == ["CT"]
    assert found["00080062"]["Value"] == [samples.CT_IMAGE]
    assert found["00201206"]["Value"] == [2]
    assert found["00201208"]["Value"] == [3]


def test_every_key_comes_back_with_level_and_retrieve_ae(peer: Association) -> None:
    keys: Keys = {"StudyInstanceUID": "1.2.2", "PatientBirthDate": "", "StudyStatusID": ""}
    pending, _ = ask(peer, "STUDY", keys)
    assert [answer.command.status for answer in pending] == [0xFF01]
    (found,) = records(peer, "STUDY", keys)
    assert found["00080054"] == {"vr": "AE", "Value": ["VNA"]}
    assert found["00080052"] == {"vr": "CS", "Value": ["STUDY"]}
    assert found["00100030"] == {"vr": "DA"}
    assert found["0032000A"] == {"vr": "CS"}


def test_supported_keys_only_are_plainly_pending(peer: Association) -> None:
    pending, _ = ask(peer, "STUDY", {"StudyInstanceUID": "", "PatientName": ""})
    assert [answer.command.status for answer in pending] == [0xFF00, 0xFF00]


def test_sequences_come_back_as_asked_for(peer: Association) -> None:
    wanted: Keys = {"ProcedureCodeSequence": [{"CodeValue": "P5-1", "CodeMeaning": ""}]}
    (found,) = records(peer, "STUDY", {"StudyInstanceUID": "", **wanted})
    assert found["00081032"]["Value"] == [
        {
            "00080100": {"vr": "SH", "Value": ["P5-1"]},
            "00080104": {"vr": "LO", "Value": ["Chest"]},
        }
    ]
    unmatched: Keys = {"StudyInstanceUID": "1.2.1", "ProcedureCodeSequence": []}
    (whole,) = records(peer, "STUDY", unmatched)
    assert len(whole["00081032"]["Value"][0]) == 3  # type: ignore[index]


@pytest.mark.parametrize(
    ("charset", "name", "expected"),
    [
        ("ISO_IR 100", "Müller^Jörg".encode("latin-1"), "Müller^Jörg"),
        ("ISO_IR 192", "Янжуль^Ива́н".encode(), "Янжуль^Ива́н"),
        ("ISO_IR 144", "Люкceмбypг".encode("iso8859_5"), "Люкceмбypг"),
    ],
)
def test_names_come_back_in_a_character_set_that_carries_them(
    site: Site, charset: str, name: bytes, expected: str
) -> None:
    with associate(site, *CONTEXTS) as association:
        keep(association, {"SpecificCharacterSet": charset, "PatientName": name})
        (found,) = records(association, "STUDY", {"PatientName": "", "StudyInstanceUID": ""})
    assert found["00100010"]["Value"] == [{"Alphabetic": expected}]
    assert found["00080005"]["Value"] == [charset]


def test_a_name_is_found_in_the_character_set_of_the_question(site: Site) -> None:
    with associate(site, *CONTEXTS) as association:
        keep(
            association,
            {"SpecificCharacterSet": "ISO_IR 192", "PatientName": "Müller^Jörg".encode()},
        )
        keys: Keys = {
            "SpecificCharacterSet": "ISO_IR 100",
            "PatientName": "müller*".encode("latin-1"),
        }
        assert len(records(association, "STUDY", keys)) == 1


@pytest.mark.parametrize(
    ("level", "keys", "model", "status"),
    [
        pytest.param("PATIENT", {"PatientID": ""}, STUDY_ROOT, 0xA900, id="level not of the model"),
        pytest.param("", {"PatientID": ""}, STUDY_ROOT, 0xA900, id="empty level"),
        pytest.param("FRAME", {"PatientID": ""}, PATIENT_ROOT, 0xA900, id="unknown level"),
        pytest.param("STUDY", {"StudyDate": "yesterday"}, STUDY_ROOT, 0xA900, id="no date"),
        pytest.param("STUDY", {"StudyDate": "2024*"}, STUDY_ROOT, 0xA900, id="wildcard in a date"),
        pytest.param("STUDY", {"PatientID": MANY}, STUDY_ROOT, 0xA900, id="too many wildcards"),
    ],
)
def test_a_bad_identifier_is_refused_with_a_comment_and_the_next_query_answered(
    peer: Association, level: str, keys: Keys, model: str, status: int
) -> None:
    pending, final = ask(peer, level, keys, model)
    assert (pending, final.status) == ([], status)
    assert final.error_comment
    assert len(records(peer, "STUDY", {"PatientID": "P1"})) == 1


@pytest.mark.parametrize("data", [b"", b"\x08\x00\x52\x00", b"\xff" * 64])
def test_bytes_that_are_no_identifier_are_refused(peer: Association, data: bytes) -> None:
    *pending, final = scu.find(peer, STUDY_ROOT, data)
    assert pending == []
    assert final.command.status in {0xA900, 0xC000}
    assert final.command.error_comment


def test_an_identifier_without_a_level_is_refused(peer: Association) -> None:
    *_, final = scu.find(peer, STUDY_ROOT, samples.dataset({"PatientID": "P1"}))
    assert final.command.status == 0xA900
    assert "Level" in final.command.error_comment


def test_an_endless_identifier_is_refused(peer: Association) -> None:
    *_, final = scu.find(peer, STUDY_ROOT, bytes(2 * 2**20))
    assert final.command.status in {0xA900, 0xC000}
    assert len(records(peer, "STUDY", {"PatientID": "P1"})) == 1


def test_a_deeply_nested_identifier_does_no_harm(peer: Association) -> None:
    nested = b"\x08\x00\x32\x10SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 500
    *_, final = scu.find(peer, STUDY_ROOT, nested)
    assert final.command.status in {0xA900, 0xC000}
    assert len(records(peer, "STUDY", {"PatientID": "P1"})) == 1


def test_a_cancelled_query_ends_with_its_status(site: Site) -> None:
    with associate(site, *CONTEXTS) as association:
        for number in range(20):
            keep(association, {"PatientID": f"C{number}"})
        context = association.context_for(STUDY_ROOT)
        identifier = samples.dataset({"QueryRetrieveLevel": "STUDY", "PatientID": "C*"})
        request = Command(
            CommandField.C_FIND_RQ,
            message_id=association.next_message_id(),
            priority=0,
            affected_sop_class_uid=STUDY_ROOT,
        )
        message_id = request.message_id or 0
        cancel = Command(CommandField.C_CANCEL_RQ, message_id_being_responded_to=message_id)
        association.send(context.id, request, identifier)
        association.send(context.id, cancel)
        statuses: list[int | None] = []
        while not statuses or statuses[-1] == 0xFF00:
            statuses.append(association.wait_response(message_id).command.status)
        assert statuses[-1] == 0xFE00 or len(statuses) == 21
        assert len(records(association, "STUDY", {"PatientID": "C7"})) == 1


def test_the_same_operation_on_another_context_is_unrecognized(peer: Association) -> None:
    context = peer.context_for(STUDY_ROOT)
    command = Command(
        CommandField.C_MOVE_RQ,
        message_id=peer.next_message_id(),
        priority=0,
        affected_sop_class_uid=STUDY_ROOT,
        move_destination="X",
    )
    peer.send(context.id, command, samples.dataset({"QueryRetrieveLevel": "STUDY"}))
    response = peer.wait_response(command.message_id or 0).command
    assert response.status == 0x0211
    assert response.command_field == CommandField.C_MOVE_RSP
    assert len(records(peer, "STUDY", {"PatientID": "P1"})) == 1
