"""The same keys find the same matches through QIDO-RS and C-FIND, and say the same of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import samples
from tests.dicomweb.conftest import Archive, Keep
from tests.dicomweb.multiparts import ROOT
from vna.dicom.attributes import lookup
from vna.dicom.json import dataset_json
from vna.errors import InvalidQuery
from vna.model.identifiers import Level, Origin
from vna.scp.answers import AnswerWriter
from vna.scp.extended import QueryOptions
from vna.scp.identifier import read_identifier, to_find_request
from vna.scp.policy import Model

PATHS = {Level.STUDY: "studies", Level.SERIES: "series", Level.IMAGE: "instances"}
UIDS = {Level.STUDY: "0020000D", Level.SERIES: "0020000E", Level.IMAGE: "00080018"}
STEP, PROCEDURE = "RequestAttributesSequence.ScheduledProcedureStepID", "ProcedureCodeSequence"
NAMES = [
    "Doe^Jane",
    "DOE^John^^Dr",
    "Müller^Änne",
    "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "",
    "O'Neill%_",
]
CODES = ["CT", "MR", "XA"]


def files() -> list[bytes]:
    """Instances whose attributes have values of every kind, and none."""
    return [
        samples.small(
            SpecificCharacterSet="ISO_IR 192",
            StudyInstanceUID=f"1.2.{n // 3}",
            SeriesInstanceUID=f"1.2.{n // 3}.{n // 2}",
            SOPInstanceUID=f"1.2.{n // 3}.{n // 2}.{n}",
            PatientID=["P1", "P_2", "p%1"][n // 6],
            PatientName=NAMES[n // 3].encode(),
            PatientBirthDate=["19700101", "", "19010228"][n // 6],
            StudyDate=["20240131", "20240229", "", "20231231", "2024.02.29", "20240101"][n // 3],
            StudyTime=["101500", "1015", "", "235959.999999", "10", "000000"][n // 3],
            AccessionNumber=["A 1", "", "A*1"][n // 6],
            StudyDescription=["Chest, upright", "chest", "100%"][n // 6],
            Modality=CODES[n // 2 % 3],
            SeriesNumber=str(n // 2),
            InstanceNumber=str(n),
            Rows=512 if n % 2 else 64,
            SliceThickness=f"{n}.50",
            RequestAttributesSequence=[
                {"ScheduledProcedureStepID": f"S{n // 2}", "RequestedProcedureID": "R1"},
                {"ScheduledProcedureStepID": "S9", "RequestedProcedureID": f"R{n // 2}"},
            ],
            ProcedureCodeSequence=[{"CodeValue": f"C{n // 3}", "CodingSchemeDesignator": "L"}],
        )
        for n in range(18)
    ]


VALUES: dict[str, list[str]] = {
    "PatientID": ["P1", "P?2", "p*", "*1", "P1\\P_2", "p%1", " P1 ", "none"],
    "PatientName": [
        *(
            "doe*",
            "*OE^J*",
            "Doe^Jane",
            "Doe^Jane^^^",
            "müller*",
            "MÜLLER^ÄNNE",
            "*山田*",
            "=山田*",
        ),
        *("Yamada*=*", "*=*=*", "O'Neill%_", "?*", "Doe^*\\O'*"),
    ],
    "PatientBirthDate": ["19700101", "1900-", "19000101-19700101", "19700101-"],
    "StudyDate": ["20240229", "20240101-20240131", "-20231231", "20240201-", "2024.02.29", "x"],
    "StudyTime": ["1015", "10", "101500", "10-11", "-0900", "2359-", "101500.000000", "25"],
    "AccessionNumber": ["A 1", "A*1", "A?1", "a*"],
    "StudyDescription": ["Chest, upright", "*hest*", "100%", "chest\\100%"],
    "ModalitiesInStudy": ["CT", "CT\\MR", "X*", "NM"],
    "Modality": ["CT", "?T", "CT\\XA"],
    "StudyInstanceUID": ["1.2.0", "1.2.0\\1.2.4", "1.2.*"],
    "SeriesInstanceUID": ["1.2.0.1", "1.2.0.1\\1.2.3.4"],
    "SOPInstanceUID": ["1.2.0.0.0", "1.2.0.0.0\\1.2.5.8.17"],
    "SeriesNumber": ["1", "01", "1\\2", "x"],
    "Rows": ["512", "64\\512", "0"],
    "NumberOfStudyRelatedInstances": ["3", "2"],
    "NumberOfSeriesRelatedInstances": ["1", "2"],
    STEP: ["S1", "S*", "S9"],
    "RequestAttributesSequence.RequestedProcedureID": ["R1", "R?"],
    f"{PROCEDURE}.CodeValue": ["C1", "C*", "c1"],
    "ContrastBolusAgent": ["x"],
    "RequestAttributesSequence.ScheduledStationAETitle": ["x"],
}
keys = st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=3, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: st.sampled_from(VALUES[name]) for name in names})
)


@pytest.fixture
def filled(keep: Keep) -> None:
    keep(*files())


@pytest.mark.usefixtures("filled")
@settings(
    deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(level=st.sampled_from(list(PATHS)), asked=keys, fuzzy=st.booleans(), combined=st.booleans())
def test_both_doors_find_and_say_the_same(
    client: FlaskClient,
    archive: Archive,
    level: Level,
    asked: dict[str, str],
    fuzzy: bool,
    combined: bool,
) -> None:
    pairs = [
        *((name, value) for name, value in asked.items()),
        ("fuzzymatching", str(fuzzy).lower()),
        ("combineddatetimematching", str(combined).lower()),
    ]
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in pairs)
    response = client.get(f"{ROOT}/{PATHS[level]}?{query}")
    options = QueryOptions(fuzzy=fuzzy, combined_datetime=combined)
    try:
        found = c_find(archive, level, asked, options)
    except InvalidQuery:
        assert response.status_code == 400
        return
    assert response.status_code == 200, response.text
    told = {item[UIDS[level]]["Value"][0]: item for item in response.get_json()}
    assert told.keys() == found.keys()
    for uid, record in found.items():
        for name in asked:
            key = f"{(lookup(name.split('.')[0]) or (0,))[0]:08X}"
            if key in told[uid] and record[key].get("Value"):
                assert_alike(told[uid][key], record[key])


def assert_alike(told: dict[str, Any], found: dict[str, Any]) -> None:
    """What C-FIND says is what QIDO-RS says, which may say more of the items of a sequence."""
    if found["vr"] != "SQ":
        assert told == found
        return
    for one, other in zip(told["Value"], found["Value"], strict=True):
        said = {key: member for key, member in other.items() if member.get("Value")}
        assert said == {key: one[key] for key in said}


def c_find(
    archive: Archive, level: Level, asked: Mapping[str, str], options: QueryOptions
) -> dict[object, dict[str, Any]]:
    """The identifiers of the pending responses, decoded, by their UID."""
    keywords = {Level.STUDY: "Study", Level.SERIES: "Series", Level.IMAGE: "SOP"}
    elements: dict[str, Any] = {
        "SpecificCharacterSet": "ISO_IR 192",
        "QueryRetrieveLevel": level.value,
        f"{keywords[level]}InstanceUID": "",
    }
    for name, value in asked.items():
        sequence, dot, member = name.rpartition(".")
        if dot:
            elements.setdefault(sequence, [{}])[0][member] = value.encode()
        else:
            elements[name] = (
                value.encode() if name not in NUMBERS else [*map(int, value.split("\\"))]
            )
    data = samples.dataset(elements, samples.EXPLICIT)
    request = to_find_request(read_identifier(data, samples.EXPLICIT, Model.STUDY_ROOT), options)
    writer = AnswerWriter(request, "VNA", samples.EXPLICIT)
    found = {}
    for record in archive.query.find(request.query, Origin("dimse", "A", "", "")):
        answer: dict[str, Any] = dataset_json(
            writer.written(record), dataset_offset=0, transfer_syntax_uid=samples.EXPLICIT
        )
        found[answer[UIDS[level]]["Value"][0]] = answer
    return found


NUMBERS = frozenset({"Rows"})
