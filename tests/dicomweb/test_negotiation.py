"""Accept headers as real clients send them, and what they get."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb.errors import NotAcceptable
from dicomweb.media import (
    DICOM,
    DICOM_JSON,
    JSON,
    OCTET_STREAM,
    MediaType,
    accepted,
    frame_type,
    parse_accept,
    parse_media_type,
)
from dicomweb.negotiate import bulk_offers, choose, choose_json, frame_offers, instance_offers

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
JPEG, JLS, J2K = (f"1.2.840.10008.1.2.4.{n}" for n in (50, 80, 90))
RLE = "1.2.840.10008.1.2.5"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
ANY_FRAME = "multipart/related; type=application/octet-stream; transfer-syntax=*"
DICOM_PARTS = 'multipart/related; type="application/dicom"'
JAVA = "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"


@pytest.mark.parametrize(
    ("text", "kind", "parameters"),
    [
        ("application/dicom", DICOM, {}),
        ("Application/DICOM ; Transfer-Syntax=*", DICOM, {"transfer-syntax": "*"}),
        ('multipart/related; type="application/dicom"', "multipart/related", {"type": DICOM}),
        ("multipart/related;type=application/dicom", "multipart/related", {"type": DICOM}),
        ('a/b; x="semi;colon, \\"quoted\\""; y=1', "a/b", {"x": 'semi;colon, "quoted"', "y": "1"}),
        ("multipart/related; boundary=a=b", "multipart/related", {"boundary": "a=b"}),
        (
            'multipart/related; boundary="a b"; type=x/y',
            "multipart/related",
            {"boundary": "a b", "type": "x/y"},
        ),
        ("*", "*/*", {}),
    ],
)
def test_media_types(text: str, kind: str, parameters: dict[str, str]) -> None:
    assert parse_media_type(text) == MediaType(kind, parameters)


@pytest.mark.parametrize("text", ["", "dicom", "/", "a/", "/b", "a b/c", "a/b/c", "é/b"])
def test_what_is_no_media_type(text: str) -> None:
    assert parse_media_type(text) is None


@pytest.mark.parametrize(
    ("text", "qualities"),
    [
        ("a/b;q=.2", [0.2]),
        ("a/b;q=0", [0.0]),
        ("a/b;q=7, c/d;q=-1", [1.0, 0.0]),
        ("a/b;q=nan, c/d;q=x", [1.0, 1.0]),
        ('a/b; x="1,2", garbage, c/d', [1.0, 1.0]),
    ],
)
def test_qualities(text: str, qualities: list[float]) -> None:
    assert [media_range.quality for media_range in parse_accept(text)] == qualities


@given(st.text(st.sampled_from('a/b;q=." ,*\\x0=1\t'), max_size=60) | st.text(max_size=60))
def test_any_text_is_parsed_without_an_exception(text: str) -> None:
    for media_range in accepted(text, text):
        assert 0 <= media_range.quality <= 1


@given(st.integers(1, 200_000))
def test_parsing_time_does_not_explode(length: int) -> None:
    assert parse_accept('"' + "\\" * length) == ()
    assert len(parse_accept("a/b" + ";" * length)) == 1


@pytest.mark.parametrize(
    ("header", "query", "kind"),
    [
        ("", "", DICOM_JSON),
        ("*/*", "", DICOM_JSON),
        (DICOM_JSON, "", DICOM_JSON),
        (JSON, "", JSON),
        ("application/dicom+json, application/json", "", DICOM_JSON),
        ("application/json, application/dicom+json;q=0.5", "", JSON),
        (f"application/dicom+json, {ANY_FRAME}", "", DICOM_JSON),
        (BROWSER, "", DICOM_JSON),
        (JAVA, "", DICOM_JSON),
        ("text/html", "application/json", JSON),
        ("text/html", "application/dicom json", DICOM_JSON),
        ("application/*", "", DICOM_JSON),
        ("application/dicom+json;q=0, */*", "", JSON),
    ],
)
def test_json(header: str, query: str, kind: str) -> None:
    assert choose_json(accepted(header, query)) == kind


@pytest.mark.parametrize(
    "header",
    [
        "text/html",
        'multipart/related; type="application/dicom+xml"',
        "application/json;q=0",
        "nonsense",
    ],
)
def test_json_that_is_not_wanted(header: str) -> None:
    with pytest.raises(NotAcceptable, match="available: application/dicom\\+json"):
        choose_json(accepted(header, ""))


@pytest.mark.parametrize(
    ("header", "stored", "expected"),
    [
        ("", JPEG, (True, JPEG)),
        ("*/*", JPEG, (True, JPEG)),
        (BROWSER, JPEG, (True, JPEG)),
        ('multipart/related; type="application/dicom"', JPEG, (True, JPEG)),
        ("multipart/related; type=application/dicom; transfer-syntax=*", JPEG, (True, JPEG)),
        ("multipart/related", JPEG, (True, JPEG)),
        ("multipart/*", JPEG, (True, JPEG)),
        ("application/dicom; transfer-syntax=*", JPEG, (False, JPEG)),
        ("application/dicom", IMPLICIT, (False, IMPLICIT)),
        (f"application/dicom; transfer-syntax={EXPLICIT}", JPEG, (False, EXPLICIT)),
        (f'{DICOM_PARTS}; transfer-syntax="{EXPLICIT}"', JPEG, (True, EXPLICIT)),
        (
            f"{DICOM_PARTS}; transfer-syntax={J2K}, {DICOM_PARTS}; transfer-syntax={IMPLICIT}",
            JPEG,
            (True, IMPLICIT),
        ),
        (
            f"{DICOM_PARTS}; transfer-syntax={EXPLICIT};q=.5, {DICOM_PARTS}; transfer-syntax={JPEG}",
            JPEG,
            (True, JPEG),
        ),
        ('multipart/related; type="*/*"', JPEG, (True, JPEG)),
        ("application/dicom;q=0.9, multipart/related;q=0.1", JPEG, (False, JPEG)),
    ],
)
def test_instances(header: str, stored: str, expected: tuple[bool, str]) -> None:
    offers = instance_offers(stored, single_part=True, transcodable=True)
    offer = choose(accepted(header, ""), offers)
    assert (offer.is_multipart, offer.transfer_syntax_uid) == expected


@pytest.mark.parametrize(
    "header",
    [
        f"application/dicom; transfer-syntax={J2K}",
        'multipart/related; type="application/octet-stream"',
        "image/jpeg",
        "application/dicom;q=0",
    ],
)
def test_instances_that_are_not_available(header: str) -> None:
    with pytest.raises(NotAcceptable, match=f"transfer-syntax={JPEG}"):
        choose(accepted(header, ""), instance_offers(JPEG, single_part=True, transcodable=True))


SLIDE = (
    "image/jls, image/jp2; transfer-syntax=1.2.840.10008.1.2.4.90, image/jpx, "
    "application/octet-stream; transfer-syntax=*, image/jpeg"
)
SLIDE_PARTS = ", ".join(f'multipart/related; type="{k}"' for k in ("image/jls", "image/jp2"))


@pytest.mark.parametrize(
    ("header", "stored", "expected"),
    [
        (ANY_FRAME, JPEG, (True, "image/jpeg")),
        (ANY_FRAME, EXPLICIT, (True, OCTET_STREAM)),
        ("multipart/related; type=application/octet-stream", J2K, (True, "image/jp2")),
        ('multipart/related; type="*/*"', RLE, (True, "image/dicom-rle")),
        ('multipart/related; type="image/*"', JLS, (True, "image/jls")),
        ('multipart/related; type="image/x-jls"', JLS, (True, "image/jls")),
        ("", JPEG, (True, "image/jpeg")),
        (BROWSER, JPEG, (True, "image/jpeg")),
        (SLIDE, JPEG, (False, "image/jpeg")),
        (SLIDE, J2K, (False, "image/jp2")),
        (SLIDE, RLE, (False, "image/dicom-rle")),
        (SLIDE_PARTS, J2K, (True, "image/jp2")),
        ("application/octet-stream", EXPLICIT, (False, OCTET_STREAM)),
    ],
)
def test_frames(header: str, stored: str, expected: tuple[bool, str]) -> None:
    offer = choose(accepted(header, ""), frame_offers([stored], single_part=True))
    assert (offer.is_multipart, offer.kind) == expected


@pytest.mark.parametrize(
    ("header", "stored"),
    [
        ('multipart/related; type="image/jls"', JPEG),
        (f'multipart/related; type="image/jpeg"; transfer-syntax={JLS}', JPEG),
        ("application/dicom", JPEG),
    ],
)
def test_frames_that_are_not_available(header: str, stored: str) -> None:
    with pytest.raises(NotAcceptable, match=f"{frame_type(stored)}"):
        choose(accepted(header, ""), frame_offers([stored], single_part=True))


@pytest.mark.parametrize(
    ("header", "is_multipart"),
    [
        ("", False),
        ("*/*", False),
        (OCTET_STREAM, False),
        ("multipart/related; type=application/octet-stream", True),
        ('multipart/related; type="*/*"', True),
        ('multipart/related; type="application/octet-stream"; transfer-syntax=*', True),
        ("image/*, application/octet-stream;q=0.1", False),
    ],
)
def test_bulk_data(header: str, is_multipart: bool) -> None:
    assert choose(accepted(header, ""), bulk_offers()).is_multipart is is_multipart
