"""Whatever is asked of the viewer's doors: an answer or a refusal, never a fault."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import samples
from tests.dicomweb.conftest import Keep
from tests.dicomweb.multiparts import ROOT

NAMES = st.sampled_from(
    [
        *("accept", "viewport", "window", "quality", "annotation", "iccprofile", "charset"),
        *(
            "contentType",
            "transferSyntax",
            "anonymize",
            "rows",
            "columns",
            "region",
            "imageQuality",
        ),
        *("windowCenter", "windowWidth", "frameNumber", "presentationUID", "presentationSeriesUID"),
    ]
)
NUMBERS = st.one_of(
    st.integers(-2, 70).map(str),
    st.sampled_from(
        ["1e308", "-0", "nan", "inf", "0.0001", "99999999999999999999", "١٢", "", "1_0"]
    ),
)
VALUES = st.one_of(
    NUMBERS,
    st.lists(NUMBERS, max_size=6).map(",".join),
    st.sampled_from(
        ["yes", "*", "*/*", "image/png", "application/dicom", "1.2.3", "utf-8", "patient"]
    ),
    st.text(max_size=12),
)
QUERIES = st.dictionaries(NAMES, VALUES, max_size=5)
OBJECT = {"requestType": "WADO", "studyUID": "1.1", "seriesUID": "1.2", "objectUID": "1.3"}
INSTANCE = f"{ROOT}/studies/1.1/series/1.2/instances/1.3"


@pytest.fixture
def image(keep: Keep) -> None:
    keep(samples.ct_at("1.1", "1.2", "1.3", rows=24, columns=32))


@pytest.mark.usefixtures("image")
@settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(query=QUERIES, accept=VALUES, door=st.sampled_from(["wado", "rendered", "thumbnail"]))
def test_any_query(client: FlaskClient, query: dict[str, str], accept: str, door: str) -> None:
    header = {"Accept": accept} if accept.isascii() and accept.isprintable() else {}
    path = f"{ROOT}/wado" if door == "wado" else f"{INSTANCE}/{door}"
    asked = {**OBJECT, **query} if door == "wado" else query
    response = client.get(f"{path}?{urlencode(asked, errors='surrogatepass')}", headers=header)
    assert response.status_code in {200, 400, 404, 406}, response.text
