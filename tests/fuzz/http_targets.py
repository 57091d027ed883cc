"""What must hold for what stands in the head of a request: what it accepts, asks for, and by whom it came."""

from __future__ import annotations

import itertools
from contextlib import suppress
from urllib.parse import parse_qsl, quote

from werkzeug.datastructures import Headers, MultiDict

from dicomweb.byte_range import MOST_RANGES, parse_ranges
from dicomweb.errors import BadRequest, NotAcceptable, RangeNotSatisfiable
from dicomweb.forwarded import TrustedProxies, is_host
from dicomweb.frames import frame_numbers
from dicomweb.media import accepted
from dicomweb.negotiate import choose, choose_alike, choose_document, frame_offers, instance_offers
from dicomweb.paging import CURSOR, cursor_of, next_link
from dicomweb.request_head import RequestHead
from dicomweb.search_parameters import Within, read_search
from dicomweb.uri_parameters import read_parameters
from dicomweb.views import options_of
from vna.dicom.syntaxes import FRAME_TARGETS, OBJECT_TARGETS
from vna.errors import InvalidQuery, NotFound
from vna.index.statement import build_count, build_pages
from vna.model.identifiers import Level
from vna.model.query import UrlParts

_WITHINS = ((Level.STUDY, Within("", "")), (Level.IMAGE, Within("1.2", "1.3")))
_URL = UrlParts("http://h/studies/", "/series/", "/instances/")
_PROXIES = TrustedProxies(["10.0.0.0/8", "::1"])
_SIZE = 1000


def accept(data: bytes) -> None:
    """Whatever is accepted, one of the offers is chosen, or the refusal names them."""
    header, _, parameter = data.decode("latin-1").partition("\n")
    ranges = accepted(header, parameter)
    assert all(0 <= found.quality <= 1 for found in ranges)
    offers = frame_offers(FRAME_TARGETS, single_part=True)
    groups = [instance_offers([uid], single_part=True) for uid in OBJECT_TARGETS[:3]]
    try:
        assert choose(ranges, offers) in offers
    except NotAcceptable as exc:
        assert offers[0].kind in str(exc)
    with suppress(NotAcceptable):
        chosen = choose_alike(ranges, groups)
        assert all(offer in group for offer, group in zip(chosen, groups, strict=True))
    with suppress(NotAcceptable):
        choose_document(ranges)


def search(data: bytes) -> None:
    """The query of a search is refused, or one that Postgres can be asked, page after page."""
    parameters = _parameters(data)
    for level, within in _WITHINS:
        try:
            query = read_search(parameters, level, within).query
        except (BadRequest, InvalidQuery):
            continue
        with suppress(InvalidQuery):
            build_pages(query, "", _URL)
            build_count(query, "")
        if query.after is not None:
            cursor = cursor_of(query.after, query)
            again = [pair for pair in parameters if pair[0].lower() != CURSOR]
            found = read_search([*again, (CURSOR, cursor)], level, within).query
            assert found.after == query.after
            assert "\n" not in (next_link("http://h", parameters, cursor) or "")


def ranges(data: bytes) -> None:
    """Ranges lie inside of the resource, apart from each other, and are few."""
    try:
        found = parse_ranges(data.decode("latin-1"), _SIZE)
    except RangeNotSatisfiable:
        return
    assert len(found) <= MOST_RANGES
    assert all(0 <= one.start < one.stop <= _SIZE for one in found)
    following = sorted(found, key=lambda one: one.start)
    assert all(one.stop <= two.start for one, two in itertools.pairwise(following))


def looks(data: bytes) -> None:
    """The parameters of pictures, of frames and of the URI service are taken, or refused as the client's fault."""
    arguments = MultiDict(_parameters(data))
    for kind in ("image/jpeg", "video/mp4"):
        with suppress(InvalidQuery):
            options_of(kind, arguments)
    with suppress(BadRequest, InvalidQuery):
        found = read_parameters(arguments)
        assert found.study
        found.options("image/png")
    with suppress(BadRequest, NotFound):
        assert min(frame_numbers(data.decode("latin-1"))) >= 1


def head(data: bytes) -> None:
    """A head is cut alike however it arrives; what is handed on begins with a line of ASCII, and lost is nothing."""
    whole, pieces = RequestHead(), RequestHead()
    whole.receive(data)
    for start in range(0, len(data), 3):
        pieces.receive(data[start : start + 3])
    if whole.is_complete and pieces.is_complete:
        assert whole.lane() is pieces.lane()
    taken = whole.take()
    assert taken == pieces.take()
    assert taken.partition(b"\r\n")[0].isascii()
    assert taken.partition(b"\r\n")[2] == data.partition(b"\r\n")[2]


def forwarded(data: bytes) -> None:
    """What proxies tell can become part of a URL, and nothing else can."""
    lines = [line.partition(":") for line in data.decode("latin-1").split("\n")]
    headers = Headers([(name, value.strip("\r")) for name, _, value in lines if "\r" not in value])
    told = _PROXIES.told("10.1.2.3", headers)
    assert told.scheme in {"", "http", "https"}
    assert not told.host or is_host(told.host)
    assert not told.prefix or quote(told.prefix, safe="/~") == told.prefix


def _parameters(data: bytes) -> list[tuple[str, str]]:
    text = data.decode("utf-8", "replace")
    return parse_qsl(text, keep_blank_values=True, encoding="utf-8", errors="replace")


def accept_seeds() -> list[bytes]:
    """What viewers and browsers send."""
    return [
        b'multipart/related; type="application/octet-stream"; transfer-syntax=*, image/jls;q=0.5',
        b"application/dicom; transfer-syntax=1.2.840.10008.1.2.4.90, */*;q=0.1",
        b"text/html,application/xhtml+xml,image/webp,*/*;q=0.8\napplication/dicom json",
        b'multipart/related; type="image/*"; q=1.0, application/zip; dicomdir=true; q=.3',
    ]


def search_seeds() -> list[bytes]:
    """Searches of viewers."""
    return [
        b"limit=101&offset=0&fuzzymatching=false&includefield=00081030%2C00080060,00100030",
        b"PatientName=*ph%3Fan*&StudyDate=20240101-20241231&ModalitiesInStudy=CT%2CMR&StudyTime=10-",
        b"00400275.00400009=X&StudyInstanceUID=1.2%5C1.3,1.4&includefield=all&cursor=AAAA",
        "PatientName=M\u00fcller^%25_&emptyvaluematching=true&timezoneoffsetfromutc=%2B0100".encode(),
    ]


def range_seeds() -> list[bytes]:
    """One range, several, and from the end."""
    return [b"bytes=0-", b"bytes=1-5, 7-9,-3", b"bytes=999-1000,5-4", b"items=0-1"]


def look_seeds() -> list[bytes]:
    """Pictures of all kinds."""
    return [
        b"viewport=256%2C256,0,0,-8,8&window=40,400,linear&quality=80&annotation=patient,technique&iccprofile=srgb",
        b"requestType=WADO&studyUID=1.2&seriesUID=1.3&objectUID=1.4&rows=8&columns=9&region=0,0,.5,1&frameNumber=2",
        (
            b"requestType=WADO&studyUID=1&seriesUID=2&objectUID=3&windowCenter=4e1&windowWidth=.5&presentationUID=5"
            b"&presentationSeriesUID=6&anonymize=yes&imageQuality=100&annotation=patient"
        ),
        b"1,2,300",
    ]


def head_seeds() -> list[bytes]:
    """Requests, also odd ones."""
    return [
        b"GET /dicom-web/studies?PatientName=M\xc3\xbcller HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /dicom-web/studies HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
        b"GET /healthz HTTP/1.1\n\nGET / HTTP/1.1\r\n\r\n",
    ]


def forwarded_seeds() -> list[bytes]:
    """Chains of proxies in both forms."""
    return [
        b'Forwarded: for="[2001:db8::1]:80";proto=https;host=pacs.example, for=10.0.0.9',
        (
            b"X-Forwarded-For: 1.2.3.4, 10.0.0.2\nX-Forwarded-Proto: https\nX-Forwarded-Host: a.example:8443"
            b"\nX-Forwarded-Prefix: /pacs"
        ),
    ]
