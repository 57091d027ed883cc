"""Requests that a generator makes of the OpenAPI document: answered as the document says, and never by a fault."""

from __future__ import annotations

from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests import samples
from tests.dicomweb.conftest import Archive, Keep

pytestmark = pytest.mark.slow

STUDY, SERIES = "1.2.3", "1.2.3.4"
KNOWN = {
    "study": [STUDY],
    "series": [SERIES],
    "instance": [f"{SERIES}.{number}" for number in (1, 2, 3)],
    "numbers": ["1", "2,1", "3", "4"],
    "entry": ["1", "2"],
    "path": ["7FE00010", "00080018"],
}
QUERY = {
    "studyUID": [STUDY],
    "seriesUID": [SERIES],
    "objectUID": KNOWN["instance"],
    "viewport": ["64,64", "100000,100000", "8,8,0,0,-4,4"],
    "window": ["40,400,linear", "NaN,1,linear", "1,0,sigmoid"],
    "accept": [
        "image/png",
        "application/dicom; transfer-syntax=*",
        "*/*",
        "text/html",
        "application/zip",
    ],
    "contentType": ["image/png", "application/dicom", "image/jpeg,image/png"],
}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
METHODS = ["get", "head", "delete", "post", "put", "options"]
EXAMPLES = {GenerationMode.POSITIVE: 25, GenerationMode.NEGATIVE: 10}
FEWER = {GenerationMode.POSITIVE: 8, GenerationMode.NEGATIVE: 3}
"""The first of them, which the suite asks for."""


@schemathesis.serializer("application/dicom", "multipart/related")
def as_it_is(_: schemathesis.SerializationContext, value: Any) -> Any:
    """Bodies are bytes: of no form, or of the wrong one."""
    return value if isinstance(value, bytes) else str(value).encode()


def with_known_values(document: dict[str, Any]) -> dict[str, Any]:
    """The document with values that lead to what is there, beside those that a generator finds."""
    for verbs in document["paths"].values():
        for operation in verbs.values():
            for parameter in operation["parameters"]:
                known = (KNOWN if parameter["in"] == "path" else QUERY).get(parameter["name"])
                if known:
                    parameter["schema"] = {"anyOf": [{"enum": known}, parameter["schema"]]}
    return document


@pytest.fixture
def operations(archive: Archive, keep: Keep) -> list[schemathesis.APIOperation[Any, Any, Any, Any]]:
    """Everything that the document describes, for an archive that holds a CT, frames and an object without any."""
    uids = {"study_instance_uid": STUDY, "series_instance_uid": SERIES}
    one, two, three = KNOWN["instance"]
    keep(
        samples.ct(**uids, sop_instance_uid=one, rows=16, columns=16),
        samples.multiframe(3, SOPInstanceUID=two, StudyInstanceUID=STUDY, SeriesInstanceUID=SERIES),
        samples.small(SOPInstanceUID=three, StudyInstanceUID=STUDY, SeriesInstanceUID=SERIES),
    )
    app = archive.app()
    document = app.test_client().get("/dicom-web/openapi.json").get_json()
    schema = schemathesis.openapi.from_dict(with_known_values(document))
    schema.validate()
    schema.app = app
    results = list(schema.get_all_operations())
    described = [result.ok() for result in results if isinstance(result, Ok)]
    assert len(described) == len(results), "the document says something that can't be"
    return described


@pytest.mark.parametrize(
    "examples", [FEWER, pytest.param(EXAMPLES, marks=pytest.mark.crash)], ids=["few", "many"]
)
@pytest.mark.parametrize("mode", EXAMPLES)
@pytest.mark.parametrize("method", METHODS)
def test_requests_of_a_generator(
    operations: list[schemathesis.APIOperation[Any, Any, Any, Any]],
    method: str,
    mode: GenerationMode,
    examples: dict[GenerationMode, int],
) -> None:
    """As the document wants them, and as it does not: whoever asks without parameters can't be wrong."""
    chosen = [operation for operation in operations if operation.method == method]
    assert chosen
    for operation in chosen:
        if mode is GenerationMode.POSITIVE or operation.definition.raw["parameters"]:
            run(operation, mode, examples[mode])


def run(
    operation: schemathesis.APIOperation[Any, Any, Any, Any], mode: GenerationMode, examples: int
) -> None:
    """Many requests of one operation."""

    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: schemathesis.Case[Any]) -> None:
        # The generator reads no answer of an application that is compressed.
        case.call_and_validate(checks=CHECKS, headers={"Accept-Encoding": "identity"})

    ask()
