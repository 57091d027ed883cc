"""Extended negotiation at the door: what is answered, and what it changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from pynetdicom import AE
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation

from storage_backends.memory import MemoryBackend
from tests import samples
from tests.scp.site import PATIENCE, Site, open_site
from tests.scp.test_query import (
    CONTEXTS,
    DOE,
    PATIENT_ROOT,
    ROE,
    STUDY_ROOT,
    Keys,
    Record,
    ask,
    keep,
    records,
    values,
)
from vna.config import DimseConfig
from vna.dimse.association import Association
from vna.dimse.settings import RequestorSettings
from vna.index.database import Database
from vna.scp.extended import QueryOptions, answer_find, answer_retrieve, options_of
from vna.scp.policy import Model

STUDY_MOVE = f"{Model.STUDY_ROOT}.2"
ALL = b"\1\1\1\1\1"
COLUMNS = ("00080020", "00080030", "00080201")
COMBINED, FUZZY, TIMEZONE = b"\0\1", b"\0\0\1", b"\0\0\0\1"


# --- the bytes ---


@pytest.mark.parametrize(
    ("proposed", "answered"),
    [
        (b"\1", b"\1"),
        (b"\0", b"\0"),
        (ALL, b"\1\1\1\1\0"),
        (b"\1\1\1\1\1\1\1", b"\1\1\1\1\0\0\0"),
        (b"\0\1\0\1\0", b"\0\1\0\1\0"),
        (b"\2\xff\1", b"\0\0\1"),
        (b"\1" * 300, b"\1\1\1\1" + bytes(296)),
        (b"", None),
    ],
)
def test_a_find_class_is_answered_byte_by_byte(proposed: bytes, answered: bytes | None) -> None:
    assert answer_find(proposed) == answered


@pytest.mark.parametrize(
    ("proposed", "answered"),
    [(b"\1", b"\1"), (b"\1\1", b"\1\0"), (b"\0\1", b"\0\0"), (b"\1\1\1", b"\1\0\0"), (b"", None)],
)
def test_a_retrieve_class_is_answered_byte_by_byte(proposed: bytes, answered: bytes | None) -> None:
    assert answer_retrieve(proposed) == answered


def test_fuzzy_matching_can_be_switched_off() -> None:
    assert answer_find(ALL, "never") == b"\1\1\0\1\0"
    assert answer_find(ALL, "always") == b"\1\1\1\1\0"


@dataclass
class Agreed:
    """An association, as far as options are concerned."""

    extended: Mapping[str, bytes] = field(default_factory=dict)


@pytest.mark.parametrize(
    ("agreed", "config", "options"),
    [
        (b"", None, QueryOptions()),
        (b"\1", None, QueryOptions(relational=True)),
        (b"\0\1\1\1\0", None, QueryOptions(combined_datetime=True, fuzzy=True, timezone=True)),
        (b"\1\0\0\0\0\0\0", None, QueryOptions(relational=True)),
        (b"", DimseConfig(), QueryOptions(relational=True)),
        (b"", DimseConfig(relational_queries="negotiated"), QueryOptions()),
        (b"\1", DimseConfig(relational_queries="negotiated"), QueryOptions(relational=True)),
        (b"", DimseConfig(fuzzy_matching="always"), QueryOptions(relational=True, fuzzy=True)),
        (b"\0\0\1", DimseConfig(), QueryOptions(relational=True, fuzzy=True)),
        (b"\0\0\1", DimseConfig(fuzzy_matching="never"), QueryOptions(relational=True)),
    ],
)
def test_options_are_what_was_agreed_and_what_is_granted(
    agreed: bytes, config: DimseConfig | None, options: QueryOptions
) -> None:
    association = Agreed({STUDY_ROOT: agreed})
    assert options_of(association, STUDY_ROOT, config) == options
    assert options_of(Agreed(), STUDY_ROOT) == QueryOptions()


# --- at the door ---


@contextmanager
def negotiate(site: Site, information: bytes) -> Iterator[Association]:
    """An association that proposes `information` for both FIND classes."""
    extended = tuple((uid, information) for uid in (STUDY_ROOT, PATIENT_ROOT) if information)
    settings = RequestorSettings("TESTS", "VNA", CONTEXTS, timeouts=PATIENCE)
    with Association.request(site.address, replace(settings, extended=extended)) as association:
        yield association
        association.release()


@pytest.fixture
def strict(database: Database, tmp_path: Path) -> Iterator[Site]:
    """An archive that wants relational queries negotiated."""
    config = DimseConfig(relational_queries="negotiated")
    with open_site(database, MemoryBackend(), tmp_path, config) as site:
        yield site


def fill(association: Association) -> None:
    for study, uid in ((DOE, "1.2.1"), (ROE, "1.2.2")):
        keep(
            association, {**study, "SeriesInstanceUID": f"{uid}.1", "SOPInstanceUID": f"{uid}.1.1"}
        )


@pytest.mark.parametrize(
    ("level", "keys", "model"),
    [
        ("SERIES", {"SeriesInstanceUID": ""}, STUDY_ROOT),
        ("SERIES", {"StudyInstanceUID": "", "SeriesInstanceUID": ""}, STUDY_ROOT),
        ("SERIES", {"StudyInstanceUID": "*"}, STUDY_ROOT),
        ("SERIES", {"StudyInstanceUID": ["1.2.1", "1.2.2"]}, STUDY_ROOT),
        ("IMAGE", {"StudyInstanceUID": "1.2.1"}, STUDY_ROOT),
        ("IMAGE", {"SeriesInstanceUID": "1.2.1.1"}, STUDY_ROOT),
        ("STUDY", {"StudyInstanceUID": "1.2.1"}, PATIENT_ROOT),
        ("STUDY", {"PatientID": "P*"}, PATIENT_ROOT),
        ("SERIES", {"StudyInstanceUID": "1.2.1"}, PATIENT_ROOT),
    ],
)
def test_without_agreement_the_keys_above_the_level_are_wanted(
    strict: Site, level: str, keys: Keys, model: str
) -> None:
    with negotiate(strict, b"\0") as association:
        fill(association)
        pending, final = ask(association, level, keys, model)
        assert (pending, final.status) == ([], 0xA900)
        assert "relational" in final.error_comment
    with negotiate(strict, b"\1") as association:
        assert ask(association, level, keys, model)[1].status == 0x0000


def test_relational_queries_work_by_agreement_or_by_default(strict: Site, site: Site) -> None:
    keys = {"PatientID": "P1", "SeriesInstanceUID": ""}
    with negotiate(strict, b"\1") as association:
        fill(association)
        assert association.extended[STUDY_ROOT] == b"\1"
        assert values(records(association, "SERIES", keys), "0020000E") == ["1.2.1.1"]
    with negotiate(site, b"") as association:
        assert values(records(association, "SERIES", keys), "0020000E") == ["1.2.1.1"]


def test_hierarchical_queries_need_no_agreement(strict: Site) -> None:
    with negotiate(strict, b"") as association:
        fill(association)
        for level, keys in (
            ("PATIENT", {"PatientName": "*"}),
            ("STUDY", {"PatientID": "P1"}),
            ("SERIES", {"PatientID": "P1", "StudyInstanceUID": "1.2.1"}),
        ):
            assert len(records(association, level, keys, PATIENT_ROOT)) >= 1
        found = records(association, "STUDY", {"PatientName": "*", "StudyInstanceUID": ""})
        assert values(found, "0020000D") == ["1.2.1", "1.2.2"]


def test_agreement_is_per_sop_class(strict: Site) -> None:
    settings = RequestorSettings("TESTS", "VNA", CONTEXTS, timeouts=PATIENCE)
    one = replace(settings, extended=((STUDY_ROOT, b"\1"),))
    with Association.request(strict.address, one) as association:
        fill(association)
        assert records(association, "SERIES", {"PatientID": "P1"})
        assert ask(association, "SERIES", {"PatientID": "P1"}, PATIENT_ROOT)[1].status == 0xA900
        association.release()


# DOE: 31 January 2024, 10:15; ROE: 1 March 2024, 17:00.
@pytest.mark.parametrize(
    ("date", "time", "apart", "together"),
    [
        ("20240131-20240301", "1600-1100", [], []),
        ("20240131-20240301", "1200-1800", ["1.2.2"], ["1.2.2"]),
        ("20240131-20240301", "1000-1600", ["1.2.1"], ["1.2.1"]),
        ("20240130-20240301", "1630-1645", [], ["1.2.1"]),
        ("20240201-", "1800-", [], ["1.2.2"]),
        ("-20240201", "-0900", [], ["1.2.1"]),
        ("20240131", "1000-1100", ["1.2.1"], ["1.2.1"]),
    ],
)
def test_combined_ranges_are_one_range(
    site: Site, date: str, time: str, apart: list[str], together: list[str]
) -> None:
    keys = {"StudyDate": date, "StudyTime": time, "StudyInstanceUID": ""}
    for information, expected in ((b"\1", apart), (COMBINED, together)):
        with negotiate(site, information) as association:
            fill(association)
            assert values(records(association, "STUDY", keys), "0020000D") == expected


def test_fuzzy_matching_needs_agreement(site: Site) -> None:
    keys = {"PatientName": "Jane^Do*", "StudyInstanceUID": ""}
    for information, expected in ((b"\1", []), (FUZZY, ["1.2.1"])):
        with negotiate(site, information) as association:
            fill(association)
            assert values(records(association, "STUDY", keys), "0020000D") == expected


@pytest.mark.parametrize(("mode", "count"), [("always", 1), ("negotiated", 0), ("never", 0)])
def test_fuzzy_matching_as_configured(
    database: Database, tmp_path: Path, mode: str, count: int
) -> None:
    config = DimseConfig(fuzzy_matching=mode)
    with open_site(database, MemoryBackend(), tmp_path, config) as site:
        with negotiate(site, b"") as association:
            fill(association)
            assert len(records(association, "STUDY", {"PatientName": "Jane^Doe"})) == count
        with negotiate(site, FUZZY) as association:
            agreed = association.extended[STUDY_ROOT]
            assert agreed == (FUZZY if mode != "never" else b"\0\0\0")
            found = records(association, "STUDY", {"PatientName": "Jane^Doe"})
            assert len(found) == (0 if mode == "never" else 1)


def shown(found: list[Record]) -> list[list[object]]:
    """Study Date, Study Time and offset of each answer."""
    return [values([r], key) if key in r else [] for r in found for key in COLUMNS]


def test_the_zone_of_a_query_counts_when_agreed(site: Site) -> None:
    keys: Keys = {"StudyDate": "20240201", "StudyTime": "", "TimezoneOffsetFromUTC": "+1400"}
    noted = {**DOE, "StudyTime": "113000", "TimezoneOffsetFromUTC": "+0100"}
    with negotiate(site, TIMEZONE) as association:
        keep(association, noted)
        assert shown(records(association, "STUDY", keys)) == [["20240201"], ["003000"], ["+1400"]]
        only_time = {"StudyTime": "", "TimezoneOffsetFromUTC": "+1400"}
        assert shown(records(association, "STUDY", only_time)) == [[], ["003000"], ["+1400"]]
    with negotiate(site, b"\1") as association:
        assert records(association, "STUDY", keys) == []
        as_noted = {**keys, "StudyDate": "20240131"}
        assert shown(records(association, "STUDY", as_noted)) == [
            ["20240131"],
            ["113000"],
            ["+0100"],
        ]


def test_an_offset_that_nobody_knows_is_left_out(site: Site) -> None:
    with negotiate(site, TIMEZONE) as association:
        keep(association, DOE)
        keys = {"StudyDate": "", "TimezoneOffsetFromUTC": ""}
        (found,) = records(association, "STUDY", keys)
        assert "00080201" not in found


def test_a_wrong_offset_is_refused_when_it_counts(site: Site) -> None:
    keys = {"StudyDate": "20240131", "TimezoneOffsetFromUTC": "CET"}
    with negotiate(site, TIMEZONE) as association:
        pending, final = ask(association, "STUDY", keys)
        assert (pending, final.status) == ([], 0xA900)
        assert "HHMM" in final.error_comment


@pytest.mark.parametrize(
    ("level", "model"),
    [
        ("PATIENT", PATIENT_ROOT),
        ("STUDY", STUDY_ROOT),
        ("SERIES", STUDY_ROOT),
        ("IMAGE", STUDY_ROOT),
    ],
)
def test_every_answer_says_from_where_and_how_soon(site: Site, level: str, model: str) -> None:
    with negotiate(site, b"") as association:
        keep(association, DOE)
        (found,) = records(association, level, {"PatientID": "P1"}, model)
        assert found["00080054"]["Value"] == ["VNA"]
        assert found["00080056"]["Value"] == ["ONLINE"]


def test_pynetdicom_negotiates_and_understands_the_answer(site: Site) -> None:
    with negotiate(site, b"") as association:
        fill(association)
    items = []
    for uid in (STUDY_ROOT, STUDY_MOVE):
        item = SOPClassExtendedNegotiation()
        item.sop_class_uid = uid
        item.service_class_application_information = ALL if uid == STUDY_ROOT else b"\1\1"
        items.append(item)
    entity = AE("TESTS")
    for uid in (STUDY_ROOT, STUDY_MOVE):
        entity.add_requested_context(uid, samples.EXPLICIT)
    association = entity.associate(*site.address, ae_title="VNA", ext_neg=items)
    assert association.is_established
    assert association.acceptor.sop_class_extended == {
        STUDY_ROOT: b"\1\1\1\1\0",
        STUDY_MOVE: b"\1\0",
    }
    association.release()
