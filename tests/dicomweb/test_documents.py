"""Documents, videos and reports through HTTP: in their own type, and harmless."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests import reports, samples
from tests.dicomweb.conftest import Keep
from tests.dicomweb.multiparts import ROOT, get_parts, problem

INSTANCE = "/studies/1.1/series/1.2/instances/1.3"
URL = f"{ROOT}{INSTANCE}/rendered"
UIDS: dict[str, Any] = {
    "StudyInstanceUID": "1.1",
    "SeriesInstanceUID": "1.2",
    "SOPInstanceUID": "1.3",
}
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
PDF = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\n%%EOF"
MP4 = b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 40


@pytest.mark.parametrize(
    ("sop_class", "declared", "data", "kind"),
    [
        (reports.PDF, "application/pdf", PDF, "application/pdf"),
        (reports.PDF, "text/html", PDF, "application/pdf"),
        (reports.CDA, "text/XML", b"<ClinicalDocument/>", "text/xml"),
        (reports.STL, "model/stl", b"solid a\nendsolid a\n\n", "model/stl"),
        (reports.OBJ, "model/obj", b"v 0 0 0\n", "model/obj"),
        ("1.2.826.0.1.99", "Application/X-Thing; a=b", b"thing", "application/x-thing"),
        ("1.2.826.0.1.99", "no type", b"thing", "application/octet-stream"),
        ("1.2.826.0.1.99", "text/html\r\nX-Evil: 1", b"thing", "application/octet-stream"),
    ],
)
@pytest.mark.parametrize("has_length", [True, False])
def test_a_document_in_its_own_type(
    client: FlaskClient,
    keep: Keep,
    sop_class: str,
    declared: str,
    data: bytes,
    kind: str,
    has_length: bool,
) -> None:
    length: dict[str, Any] = (
        {} if has_length else {"EncapsulatedDocumentLength": samples.Typed("UL", b"")}
    )
    keep(reports.document(data, sop_class, declared, **UIDS, **length))
    response = client.get(URL, headers={"Accept": BROWSER})
    assert (response.status_code, response.content_type) == (200, kind), response.text
    assert response.data.removesuffix(b"\0") == data
    if has_length or kind.startswith("text/"):
        assert response.data == data
    assert "sandbox" in response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Disposition"].startswith('inline; filename="1.3.')


@pytest.fixture
def pdf(keep: Keep) -> None:
    keep(reports.document(PDF, **UIDS))


@pytest.mark.usefixtures("pdf")
def test_a_pdf_on_every_level(client: FlaskClient) -> None:
    for path in ("/studies/1.1", "/studies/1.1/series/1.2", INSTANCE):
        response = client.get(f"{ROOT}{path}/rendered?accept=application/pdf")
        assert (response.mimetype, response.data) == ("application/pdf", PDF)
    accept = 'multipart/related; type="application/pdf"'
    (part,) = get_parts(client, f"{INSTANCE}/rendered", accept)
    assert part.data == PDF


@pytest.mark.usefixtures("pdf")
def test_a_browser_opens_a_true_pdf(client: FlaskClient, keep: Keep) -> None:
    opened = client.get(URL, headers={"Sec-Fetch-Dest": "document"})
    assert "sandbox" not in opened.headers["Content-Security-Policy"]
    assert "Sec-Fetch-Dest" in opened.headers["Vary"]
    keep(
        reports.document(
            b"<html><script>alert(1)</script>",
            **{**UIDS, "SeriesInstanceUID": "1.4", "SOPInstanceUID": "1.5"},
        )
    )
    other = f"{ROOT}/studies/1.1/series/1.4/instances/1.5/rendered"
    untrue = client.get(other, headers={"Sec-Fetch-Dest": "document"})
    assert "sandbox" in untrue.headers["Content-Security-Policy"]


@pytest.mark.usefixtures("pdf")
def test_a_document_is_no_image(client: FlaskClient) -> None:
    assert "application/pdf" in problem(client.get(f"{URL}?accept=image/jpeg"), 406)


@pytest.mark.usefixtures("pdf")
def test_a_document_is_asked_for_only_once(client: FlaskClient) -> None:
    etag = client.get(URL).headers["ETag"]
    assert client.get(URL, headers={"If-None-Match": etag}).status_code == 304


@pytest.fixture
def video(keep: Keep) -> None:
    halves = [MP4[:5000], MP4[5000:]]
    keep(
        samples.encapsulated(
            [halves],
            table=b"",
            transfer_syntax_uid=samples.MPEG4,
            SOPClassUID=reports.VIDEO,
            NumberOfFrames="250",
            **UIDS,
        )
    )


@pytest.mark.usefixtures("video")
@pytest.mark.parametrize("accept", ["*/*", "video/mp4", "video/*", BROWSER])
def test_a_video_as_it_is(client: FlaskClient, accept: str) -> None:
    response = client.get(URL, headers={"Accept": accept})
    assert (response.status_code, response.mimetype) == (200, "video/mp4"), response.text
    assert response.data == MP4
    assert response.headers["Accept-Ranges"] == "bytes"


@pytest.mark.usefixtures("video")
@pytest.mark.parametrize(
    ("wanted", "span"),
    [
        ("bytes=0-", slice(0, None)),
        ("bytes=100-199", slice(100, 200)),
        ("bytes=4990-5009", slice(4990, 5010)),
        ("bytes=-10", slice(-10, None)),
    ],
)
def test_a_part_of_a_video(client: FlaskClient, wanted: str, span: slice) -> None:
    response = client.get(URL, headers={"Range": wanted})
    assert response.status_code == 206
    assert response.data == MP4[span]
    start = span.start % len(MP4)
    last = start + len(MP4[span]) - 1
    assert response.headers["Content-Range"] == f"bytes {start}-{last}/{len(MP4)}"


@pytest.mark.usefixtures("video")
def test_a_range_behind_the_end(client: FlaskClient) -> None:
    response = client.get(URL, headers={"Range": "bytes=999999-"})
    problem(response, 416)
    assert response.headers["Content-Range"] == f"bytes */{len(MP4)}"


@pytest.mark.usefixtures("video")
def test_head_of_a_video(client: FlaskClient) -> None:
    response = client.head(URL)
    assert (response.status_code, response.content_length, response.data) == (200, len(MP4), b"")


@pytest.fixture
def report(keep: Keep) -> None:
    keep(
        reports.report(
            reports.item("TEXT", "Befund", TextValue="Größe 3 µm <b>"),
            **UIDS,
            SpecificCharacterSet="ISO_IR 100",
        )
    )


@pytest.mark.usefixtures("report")
def test_a_report_as_html(client: FlaskClient) -> None:
    response = client.get(URL, headers={"Accept": BROWSER})
    assert response.content_type == "text/html; charset=utf-8"
    assert "Größe 3 µm &lt;b&gt;" in response.text
    assert "sandbox" in response.headers["Content-Security-Policy"]
    assert client.get(URL).mimetype == "text/html"
    plain = client.get(f"{URL}?accept=text/plain")
    assert plain.content_type == "text/plain; charset=utf-8"
    assert "Befund: Größe 3 µm <b>" in plain.text
    assert "text/html" in problem(client.get(f"{URL}?accept=image/png"), 406)


@pytest.mark.usefixtures("report")
@pytest.mark.parametrize(
    ("charset", "expected"),
    [
        ("utf-8", "Größe 3 µm".encode()),
        ("*", "Größe 3 µm".encode()),
        ("iso-8859-1", "Größe 3 µm".encode("latin-1")),
        ("us-ascii", b"Gr&#246;&#223;e 3 &#181;m"),
        ("x-unknown, iso-8859-15;q=0.5", "Größe 3 µm".encode("iso-8859-15")),
    ],
)
def test_a_report_in_a_character_set(client: FlaskClient, charset: str, expected: bytes) -> None:
    assert expected in client.get(URL, query_string={"charset": charset}).data


@pytest.mark.usefixtures("report")
@pytest.mark.parametrize("charset", ["utf-7", "utf-16", "hex", "x" * 500, "a\0b", "../x"])
def test_no_such_character_set(client: FlaskClient, charset: str) -> None:
    assert "utf-8" in problem(client.get(URL, query_string={"charset": charset}), 406)


@pytest.mark.usefixtures("report")
def test_links_of_a_report_lead_to_images(client: FlaskClient, keep: Keep) -> None:
    image: dict[str, Any] = {
        "ReferencedSOPClassUID": samples.CT_IMAGE,
        "ReferencedSOPInstanceUID": "1.9",
    }
    series: dict[str, Any] = {"SeriesInstanceUID": "1.8", "ReferencedSOPSequence": [image]}
    evidence: Any = [{"StudyInstanceUID": "1.7", "ReferencedSeriesSequence": [series]}]
    keep(
        reports.report(
            reports.item("IMAGE", "Key", ReferencedSOPSequence=[image]),
            CurrentRequestedProcedureEvidenceSequence=evidence,
            **{**UIDS, "SOPInstanceUID": "1.4"},
        )
    )
    page = client.get(f"{ROOT}/studies/1.1/series/1.2/instances/1.4/rendered").text
    assert f'{ROOT}/studies/1.7/series/1.8/instances/1.9/rendered"' in page


@pytest.mark.usefixtures("video")
def test_frames_of_what_has_none(client: FlaskClient, keep: Keep) -> None:
    problem(client.get(f"{ROOT}{INSTANCE}/frames/1/rendered"), 404)
    problem(client.get(f"{ROOT}{INSTANCE}/frames/1/thumbnail"), 404)
    keep(reports.document(PDF, **{**UIDS, "SOPInstanceUID": "1.4"}))
    other = f"{ROOT}/studies/1.1/series/1.2/instances/1.4"
    assert "document" in problem(client.get(f"{other}/frames/1/rendered"), 404)
