"""Accept headers as real clients send them, and what they get."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb.errors import NotAcceptable
from dicomweb.media import (
    DICOM,
    DICOM_JSON,
    DICOM_XML,
    JSON,
    OCTET_STREAM,
    MediaType,
    accepted,
    frame_type,
    parse_accept,
    parse_media_type,
)
from dicomweb.negotiate import (
    Offer,
    bulk_offers,
    choose,
    choose_alike,
    choose_document,
    choose_json,
    frame_offers,
    instance_offers,
)
from vna.dicom.syntaxes import FRAME_TARGETS, object_syntaxes

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
JPEG, JLS, J2K = (f"1.2.840.10008.1.2.4.{n}" for n in (50, 80, 90))
RLE, MP4 = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.102"
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
    offers = instance_offers(object_syntaxes(stored), single_part=True)
    offer = choose(accepted(header, ""), offers)
    assert (offer.is_multipart, offer.transfer_syntax_uid) == expected


@pytest.mark.parametrize(
    "header",
    [
        f"application/dicom; transfer-syntax={MP4}",
        'multipart/related; type="application/octet-stream"',
        "image/jpeg",
        "application/dicom;q=0",
    ],
)
def test_instances_that_are_not_available(header: str) -> None:
    with pytest.raises(NotAcceptable, match=f"transfer-syntax={JPEG}"):
        choose(accepted(header, ""), instance_offers(object_syntaxes(JPEG), single_part=True))


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


@pytest.mark.parametrize(
    ("header", "stored", "expected"),
    [
        (ANY_FRAME, J2K, (True, J2K)),
        ("image/jp2", J2K, (False, J2K)),
        ("multipart/related; type=application/octet-stream", J2K, (True, EXPLICIT)),
        ("application/octet-stream", J2K, (False, EXPLICIT)),
        (f"application/octet-stream; transfer-syntax={EXPLICIT}", J2K, (False, EXPLICIT)),
        (f"application/octet-stream; transfer-syntax={JLS}", J2K, (False, JLS)),
        ("image/jls", J2K, (False, JLS)),
        ("image/dicom-rle", EXPLICIT, (False, RLE)),
        ("image/*", EXPLICIT, (False, J2K)),
        ("image/jls;q=0.5, image/jp2;q=0.9", JPEG, (False, J2K)),
        (SLIDE, JPEG, (False, JPEG)),
    ],
)
def test_frames_that_can_be_converted(header: str, stored: str, expected: tuple[bool, str]) -> None:
    syntaxes = list(dict.fromkeys((stored, *FRAME_TARGETS)))
    offer = choose(accepted(header, ""), frame_offers(syntaxes, single_part=True))
    assert (offer.is_multipart, offer.transfer_syntax_uid) == expected


def groups(*stored: str, single_part: bool = False) -> list[list[Offer]]:
    return [instance_offers(object_syntaxes(uid), single_part=single_part) for uid in stored]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", ["multipart", JPEG, MP4]),
        (DICOM_PARTS, ["multipart", JPEG, MP4]),
        ("application/zip", ["zip", JPEG, MP4]),
        ("application/zip, */*;q=0.5", ["zip", JPEG, MP4]),
        (f"{DICOM_PARTS}; transfer-syntax={MP4}, {DICOM_PARTS}", ["multipart", JPEG, MP4]),
        (f"{DICOM_PARTS}; transfer-syntax={J2K}, {DICOM_PARTS};q=.1", ["multipart", J2K, MP4]),
        (f"{DICOM_PARTS}; transfer-syntax={J2K}, application/zip", ["zip", JPEG, MP4]),
    ],
)
def test_instances_of_several_syntaxes_come_in_one_form(header: str, expected: list[str]) -> None:
    offers = choose_alike(accepted(header, ""), groups(JPEG, MP4))
    form = "multipart" if offers[0].is_multipart else offers[0].kind.partition("/")[2]
    assert [form, *(offer.transfer_syntax_uid for offer in offers)] == expected


def test_a_syntax_that_one_of_them_does_not_have_is_refused() -> None:
    ranges = accepted(f"{DICOM_PARTS}; transfer-syntax={J2K}", "")
    with pytest.raises(NotAcceptable, match=f"(?s){JPEG}.*{J2K}.*application/zip.*{MP4}"):
        choose_alike(ranges, groups(JPEG, MP4))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", (DICOM_JSON, False)),
        ('multipart/related; type="application/dicom+xml"', (DICOM_XML, True)),
        (
            'multipart/related; type="application/dicom+xml", application/dicom+json',
            (DICOM_JSON, False),
        ),
        ("multipart/related; type=application/dicom+xml, */*;q=.1", (DICOM_XML, True)),
        ("application/json", (JSON, False)),
        ("multipart/related", (DICOM_XML, True)),
    ],
)
def test_documents(header: str, expected: tuple[str, bool]) -> None:
    offer = choose_document(accepted(header, ""))
    assert (offer.kind, offer.is_multipart) == expected


MEDIA_TYPES = st.sampled_from(
    ["*/*", "application/*", "image/*", DICOM, OCTET_STREAM, "application/zip", "image/jls"]
)


def media_range(kind: str, syntax: str | None, is_part: bool, quality: float) -> MediaType:
    parameters = {} if syntax is None else {"transfer-syntax": syntax}
    if is_part:
        return MediaType("multipart/related", {"type": kind, **parameters}, quality)
    return MediaType(kind, parameters, quality)


RANGES = st.lists(
    st.builds(
        media_range,
        MEDIA_TYPES,
        st.none() | st.sampled_from(["*", EXPLICIT, JPEG, J2K, MP4]),
        st.booleans(),
        st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    ),
    max_size=5,
)
SYNTAXES = st.lists(
    st.sampled_from([EXPLICIT, JPEG, J2K, MP4]), min_size=1, max_size=3, unique=True
)


@given(ranges=RANGES, stored=SYNTAXES, single_part=st.booleans())
def test_what_is_chosen_is_accepted_and_of_one_form(
    ranges: list[MediaType], stored: list[str], single_part: bool
) -> None:
    offered = groups(*stored, single_part=single_part)
    try:
        chosen = choose_alike(ranges, offered)
    except NotAcceptable:
        if len(offered) == 1:
            with pytest.raises(NotAcceptable):
                choose(ranges, offered[0])
        return
    assert len({(offer.kind, offer.is_multipart) for offer in chosen}) == 1
    for offer, offers in zip(chosen, offered, strict=True):
        assert offer in offers
        assert choose(ranges, [offer]) == offer  # by itself it is acceptable too
    if len(offered) == 1:
        assert chosen == [choose(ranges, offered[0])]


@given(ranges=RANGES, stored=st.sampled_from([EXPLICIT, JPEG, J2K, MP4]), data=st.data())
def test_the_order_of_ranges_counts_for_nothing(
    ranges: list[MediaType], stored: str, data: st.DataObject
) -> None:
    offers = frame_offers(list(dict.fromkeys((stored, *FRAME_TARGETS))), single_part=True)
    shuffled = data.draw(st.permutations(ranges))

    def outcome(found: list[MediaType]) -> Offer | None:
        try:
            return choose(found, offers)
        except NotAcceptable:
            return None

    assert outcome(ranges) == outcome(shuffled)


@given(header=st.text(alphabet='aimulpt/redoc-sy=;,q0.1* "\\<>', max_size=80))
def test_any_header_has_an_answer(header: str) -> None:
    try:
        offer = choose(accepted(header, ""), frame_offers(FRAME_TARGETS, single_part=True))
    except NotAcceptable as exc:
        assert "available" in str(exc)
    else:
        assert offer.transfer_syntax_uid in FRAME_TARGETS
