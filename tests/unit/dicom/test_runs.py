"""A reader that has read other headers before reads what a fresh one reads."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import samples
from tests.samples import Typed
from vna.dicom import runs
from vna.dicom.elements import Scanner
from vna.dicom.envelope import find_syntax, read_envelope
from vna.dicom.header import Header, HeaderReader, read_header
from vna.dicom.header_elements import Recent
from vna.dicom.level_cache import MAX_ENTRIES, LevelCache, LevelKey
from vna.errors import InvalidInstance

SERIES = {"study_instance_uid": "1.2.3", "series_instance_uid": "1.2.3.4"}


@pytest.fixture(params=[1, 2, runs.STEADY], autouse=True, scope="module")
def _steady(request: pytest.FixtureRequest) -> Iterator[None]:
    """Runs become one late, as they do, and at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "STEADY", request.param)
        yield


def result(reader: HeaderReader, data: bytes) -> Header | str:
    try:
        return reader.read(data)
    except InvalidInstance as exc:
        return str(exc)


def check(objects: Iterable[bytes]) -> None:
    reader = HeaderReader()
    for data in objects:
        assert result(reader, data) == result(HeaderReader(), data)


def a_slice(number: int, transfer_syntax_uid: str = samples.EXPLICIT) -> bytes:
    return samples.ct(
        rows=4,
        columns=4,
        transfer_syntax_uid=transfer_syntax_uid,
        sop_instance_uid=f"1.2.3.4.{number}",
        InstanceNumber=str(number),
        SliceLocation=str(number * 1.25),
        ContentTime=f"1012{number:02}",
        **SERIES,
    )


@pytest.mark.parametrize(
    "transfer_syntax_uid",
    [samples.EXPLICIT, samples.IMPLICIT, samples.BIG_ENDIAN, samples.DEFLATED],
)
def test_a_series_of_growing_numbers(transfer_syntax_uid: str) -> None:
    check(a_slice(number, transfer_syntax_uid) for number in (1, 2, 3, 9, 10, 11, 99, 1))


def test_real_files_one_after_the_other() -> None:
    files = [Path(path).read_bytes() for path in samples.pydicom_files()]
    check(data for data in files if len(data) < 2**20)


def test_series_take_turns_and_syntaxes_change() -> None:
    syntaxes = (samples.EXPLICIT, samples.IMPLICIT, samples.BIG_ENDIAN)
    check(a_slice(number, syntaxes[number % 3]) for number in range(1, 9))
    check(
        data
        for number in range(1, 6)
        for data in (a_slice(number), samples.small(), samples.encapsulated([[b"12"]]))
    )


@pytest.mark.parametrize(
    "change",
    [
        {"PatientName": "Other^Name"},
        {"PatientName": ""},
        {"SpecificCharacterSet": "ISO_IR 192"},
        {"SpecificCharacterSet": "NONSENSE"},
        {"StudyDescription": "much longer than what stood there before"},
        {"PatientComments": "x" * 5000},
        {"Rows": 2},
        {"NumberOfFrames": "none"},
        {0x00091001: Typed("UN", b"1234"), 0x00090010: Typed("LO", "NEW")},
        {0x00100099: Typed("UN", bytes(200_000))},
        {0x50000010: Typed("US", 1)},
    ],
    ids=[
        "name",
        "no name",
        "character set",
        "unknown character set",
        "longer",
        "too long",
        "fewer rows",
        "bad number",
        "private",
        "huge",
        "group 5000",
    ],
)
def test_one_instance_that_differs_among_others(change: dict[str, samples.Value]) -> None:
    uids = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.4"}
    plain = samples.part10(samples.identity(**uids, PatientComments="as ever"))
    elements = {**samples.identity(**uids, PatientComments="as ever"), **change}
    changed = samples.part10(elements)
    check([plain, changed, plain, changed, changed, plain, a_slice(1), changed, a_slice(2)])


@given(st.integers(0, 2**30), st.integers(0, 255), st.integers(0, 2**30))
def test_a_changed_byte_or_a_cut_changes_what_it_changes_for_a_fresh_reader(
    place: int, byte: int, cut: int
) -> None:
    first = a_slice(1)
    changed = bytearray(first)
    changed[132 + place % (len(first) - 132)] = byte
    check([first, bytes(changed), first[: cut % len(first)], bytes(changed), first])


def test_values_are_whole_where_the_object_ends_inside_a_later_header() -> None:
    elements: dict[int, samples.Value] = dict.fromkeys(range(593921, 593927), "ab")
    data = samples.part10(samples.identity(PatientComments="all of this"))
    data += samples.writer().dataset({**elements, 0x00400275: [{"RequestedProcedureID": "1"}]})
    for end in range(len(data) - 60, len(data)):
        attributes = read_header(data[:end]).attributes
        assert attributes.patient["00104000"]["Value"] == ["all of this"]


def test_elements_out_of_order_and_behind_the_pixel_data_are_not_followed() -> None:
    head = samples.part10(samples.identity(PatientComments="one"))
    late = samples.writer().dataset({"PatientID": "LATE"})
    tail = samples.multiframe(2) + samples.writer().dataset({"PatientComments": "behind"})
    check([head, head + late, head, tail, samples.multiframe(2), tail])


def test_attributes_that_repeat_are_the_same_objects() -> None:
    reader = HeaderReader()
    first, second = (reader.read(a_slice(number)).attributes for number in (1, 2))
    assert first.patient is second.patient
    assert first.study is second.study
    assert first.series is second.series
    assert first.instance != second.instance


def test_attributes_that_repeat_are_the_same_objects_in_all_threads() -> None:
    reader = HeaderReader()
    found = []
    threads = [
        threading.Thread(target=lambda n=n: found.append(reader.read(a_slice(n)).attributes))
        for n in range(1, 9)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(attributes.study) for attributes in found}) == 1
    assert len({str(attributes.instance) for attributes in found}) == 8


def test_the_issuer_is_part_of_what_is_remembered() -> None:
    reader = HeaderReader()
    data = a_slice(1)
    issuers = [
        reader.read(data, issuer_of_patient_id=issuer).attributes.patient.get("00100021")
        for issuer in ("A", "", "B")
    ]
    assert issuers == [
        {"vr": "LO", "Value": ["A"]},
        read_header(data).attributes.patient.get("00100021"),
        {"vr": "LO", "Value": ["B"]},
    ]


def test_the_level_cache_is_bounded() -> None:
    cache = LevelCache()
    keys = [LevelKey(0, 0, b"", str(number), b"") for number in range(MAX_ENTRIES + 1)]
    for key in keys:
        cache.keep(key, {})
    assert cache.get(keys[0]) is None
    assert cache.get(keys[-1]) is not None
    large = LevelKey(0, 0, b"", "", bytes(10**5))
    cache.keep(large, {})
    assert cache.get(large) is None


def test_what_repeats_for_long_becomes_one_run() -> None:
    recent, counts = Recent(), []
    for number in range(100, 140):
        data = a_slice(number)
        offset = read_envelope(data).dataset_offset
        syntax = find_syntax(data, offset, samples.EXPLICIT)
        elements = recent.read(Scanner(data), offset, syntax).elements
        counts.append(len(elements.runs))
    assert counts[-1] < counts[0] / 2
