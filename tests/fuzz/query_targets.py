"""What must hold for the datasets of requests: identifiers of queries, references of commitments."""

from __future__ import annotations

from contextlib import suppress

from tests import samples
from tests.samples import EXPLICIT, IMPLICIT, dataset
from vna.dicom.commitment import (
    InvalidArgument,
    MissingArgument,
    read_report,
    read_request,
    report_dataset,
    request_dataset,
)
from vna.errors import InvalidQuery
from vna.index.statement import build_statement
from vna.model.query import Query, Record
from vna.scp.answers import AnswerWriter
from vna.scp.extended import QueryOptions
from vna.scp.hierarchy import require_hierarchy
from vna.scp.identifier import read_identifier, to_find_request, to_selection
from vna.scp.policy import Model
from vna.scp.status import UndecodableIdentifier

_SYNTAXES = (EXPLICIT, IMPLICIT)
_ALL = QueryOptions(relational=True, combined_datetime=True, fuzzy=True, timezone=True)


def identifier(data: bytes) -> None:
    """An identifier is a query that can be asked and answered, or it is refused for a reason."""
    for uid in _SYNTAXES:
        for model in (Model.PATIENT_ROOT, Model.COMPOSITE_ROOT):
            try:
                found = read_identifier(data, uid, model)
            except (InvalidQuery, UndecodableIdentifier):
                continue
            with suppress(InvalidQuery):
                require_hierarchy(found, model)
            with suppress(InvalidQuery):
                selection = to_selection(found)
                assert (
                    selection.patient_ids
                    or selection.study_instance_uids
                    or selection.series_instance_uids
                    or selection.sop_instance_uids
                ), "nothing was named, so everything would be sent"
            for options in (QueryOptions(), _ALL):
                with suppress(InvalidQuery):
                    request = to_find_request(found, options)
                    _statement(request.query)
                    record = Record(request.query.level, found.keys)
                    answer = AnswerWriter(request, "VNA", uid).written(record)
                    assert len(answer) % 2 == 0


def commitment(data: bytes) -> None:
    """A commitment request or report is read, or refused for a reason; as read it can be written."""
    for uid in _SYNTAXES:
        with suppress(MissingArgument, InvalidArgument):
            transaction, references = read_request(data, uid)
            assert read_request(request_dataset(transaction, references, uid), uid) == (
                transaction,
                references,
            )
        with suppress(MissingArgument, InvalidArgument):
            report = read_report(data, uid)
            findings = [(reference, 0) for reference in report.committed]
            report_dataset(report.transaction_uid, findings, "VNA", uid)


def identifier_seeds() -> list[bytes]:
    """C-FIND, C-MOVE and C-GET identifiers."""
    keys: list[dict[str, samples.Value]] = [
        {"QueryRetrieveLevel": "STUDY", "PatientName": "DOE*", "StudyDate": "20240101-20240131",
         "StudyTime": "10-12", "StudyInstanceUID": "", "ModalitiesInStudy": "CT\\MR",
         "TimezoneOffsetFromUTC": "+0100"},
        {"QueryRetrieveLevel": "SERIES", "StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.3\\1.2.4",
         "RequestAttributesSequence": [{"ScheduledProcedureStepID": "X", "RequestedProcedureID": ""}]},
        {"QueryRetrieveLevel": "PATIENT", "PatientID": "P?1", "PatientBirthDate": "19700229-",
         "NumberOfPatientRelatedStudies": ""},
        {"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": "1.2.3", "InstanceNumber": "7", "StudyInstanceUID": "1",
         "SeriesInstanceUID": "1.2", "ContentDate": "2024", "AccessionNumber": "a*"},
        {"QueryRetrieveLevel": "STUDY", "SpecificCharacterSet": ["", "ISO 2022 IR 87"],
         "PatientName": "Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B"},
    ]  # fmt: skip
    return [dataset(each, uid) for each in keys for uid in _SYNTAXES]


def commitment_seeds() -> list[bytes]:
    """Action and event information."""
    items: list[samples.Elements] = [
        {"ReferencedSOPClassUID": "1.2.3", "ReferencedSOPInstanceUID": f"1.2.3.{n}"} for n in (1, 2)
    ]
    failed: list[samples.Elements] = [{**items[0], "FailureReason": 0x0112}]
    keys: list[dict[str, samples.Value]] = [
        {"TransactionUID": "1.2.9", "ReferencedSOPSequence": items},
        {
            "TransactionUID": "1.2.9",
            "ReferencedSOPSequence": items[1:],
            "FailedSOPSequence": failed,
        },
    ]
    return [dataset(each, uid) for each in keys for uid in _SYNTAXES]


def _statement(query: Query) -> None:
    """Each value is bound to a name, and nothing that Postgres can't hold is among them."""
    built = build_statement(query)
    assert not [
        value for value in built.values.values() if isinstance(value, str) and "\0" in value
    ]
