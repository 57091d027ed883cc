"""The datasets of storage commitment, as pydicom sees them and as peers may get them wrong."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.filereader import read_dataset

from tests import samples
from vna.dicom.commitment import (
    FAILURES_EXIST,
    SUCCESSFUL,
    InvalidArgument,
    MissingArgument,
    read_report,
    read_request,
    report_dataset,
    request_dataset,
)
from vna.model.commitment import FailureReason, Reference

SYNTAXES = (samples.IMPLICIT, samples.EXPLICIT)
CT = samples.CT_IMAGE
uids = st.from_regex(r"[12](\.(0|[1-9][0-9]{0,8})){1,6}", fullmatch=True)
references = st.builds(Reference, uids, uids)
requested = st.lists(references, min_size=1, max_size=8, unique=True)
reasons = st.sampled_from([int(reason) for reason in FailureReason])


@given(uids, requested, st.sampled_from(SYNTAXES))
def test_a_request_comes_back(uid: str, asked: list[Reference], syntax: str) -> None:
    assert read_request(request_dataset(uid, asked, syntax), syntax) == (uid, tuple(asked))


@given(
    uids,
    st.lists(st.tuples(references, reasons), min_size=1, unique_by=lambda item: item[0]),
    st.sampled_from(SYNTAXES),
)
def test_a_report_comes_back(uid: str, findings: list[tuple[Reference, int]], syntax: str) -> None:
    event_type_id, data = report_dataset(uid, findings, "VNA", syntax)
    report = read_report(data, syntax)
    assert report.committed == tuple(item for item, reason in findings if not reason)
    assert report.failed == tuple(finding for finding in findings if finding[1])
    assert event_type_id == (FAILURES_EXIST if report.failed else SUCCESSFUL)


@given(st.binary(max_size=200), st.sampled_from(SYNTAXES))
def test_garbage_is_an_error_and_nothing_worse(data: bytes, syntax: str) -> None:
    for read in (read_request, read_report):
        try:
            read(data, syntax)
        except (MissingArgument, InvalidArgument):
            continue


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_pydicom_reads_what_is_reported(syntax: str) -> None:
    findings = [(Reference(CT, "1.2.3"), 0), (Reference(CT, "1.2.4"), 0x0112)]
    _, data = report_dataset("1.2.9", findings, "VNA", syntax)
    dataset = read_dataset(
        io.BytesIO(data), is_implicit_VR=syntax == samples.IMPLICIT, is_little_endian=True
    )
    assert dataset.TransactionUID == "1.2.9"
    assert dataset.RetrieveAETitle == "VNA"
    assert [item.ReferencedSOPInstanceUID for item in dataset.ReferencedSOPSequence] == ["1.2.3"]
    (failed,) = dataset.FailedSOPSequence
    assert (failed.ReferencedSOPClassUID, failed.FailureReason) == (CT, 0x0112)


def test_a_report_of_failures_alone_has_no_committed_sequence() -> None:
    _, data = report_dataset("1.2.9", [(Reference(CT, "1.2.3"), 0x0110)], "VNA", samples.EXPLICIT)
    dataset = read_dataset(io.BytesIO(data), is_implicit_VR=False, is_little_endian=True)
    assert "ReferencedSOPSequence" not in dataset
    assert "RetrieveAETitle" not in dataset


def item(**elements: samples.Value) -> dict[str, samples.Value]:
    return {"ReferencedSOPClassUID": CT, "ReferencedSOPInstanceUID": "1.2.3", **elements}


def test_odd_reports_are_understood() -> None:
    both: dict[str, samples.Value] = {
        "TransactionUID": "1.2.9",
        "ReferencedSOPSequence": [item()],
        "FailedSOPSequence": [item(FailureReason=0x0110)],
    }
    report = read_report(samples.dataset(both), samples.EXPLICIT)
    assert (report.committed, report.failed) == ((), ((Reference(CT, "1.2.3"), 0x0110),))
    without_reason: dict[str, samples.Value] = {
        "TransactionUID": "1.2.9",
        "FailedSOPSequence": [item()],
    }
    report = read_report(samples.dataset(without_reason), samples.EXPLICIT)
    assert report.failed == ((Reference(CT, "1.2.3"), FailureReason.PROCESSING_FAILURE),)


@pytest.mark.parametrize(
    ("elements", "error"),
    [
        ({}, MissingArgument),
        ({"TransactionUID": "1.2.9"}, MissingArgument),
        ({"ReferencedSOPSequence": [item()]}, MissingArgument),
        ({"TransactionUID": "1.2.9", "ReferencedSOPSequence": []}, MissingArgument),
        ({"TransactionUID": "a/b", "ReferencedSOPSequence": [item()]}, InvalidArgument),
        ({"TransactionUID": "1.2.9", "ReferencedSOPSequence": [{}]}, InvalidArgument),
        (
            {"TransactionUID": "1.2.9", "ReferencedSOPSequence": samples.Typed("LO", "x")},
            InvalidArgument,
        ),
    ],
)
def test_what_is_missing_or_wrong_is_told_apart(
    elements: samples.Elements, error: type[Exception]
) -> None:
    with pytest.raises(error):
        read_request(samples.dataset(elements), samples.EXPLICIT)
