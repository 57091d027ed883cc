"""QIDO-RS: search for studies, series and instances (PS3.18 10.6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from urllib.parse import unquote_to_bytes

import orjson
from flask import Flask, Response, request

from dicomweb.bodies import Chunks, Stream, gather, json_array
from dicomweb.context import correlation_id, origin
from dicomweb.errors import BadRequest
from dicomweb.multipart import MultipartEncoder
from dicomweb.negotiate import Offer, document_for
from dicomweb.paging import cursor_of, next_link
from dicomweb.search_parameters import Search, Within, read_search
from dicomweb.urls import ROOT, SERIES, STUDY, Urls, check_uids
from vna.config import WebConfig
from vna.dicom.items_cut import cut
from vna.dicom.native_xml import write_xml
from vna.model.identifiers import Level
from vna.model.query import Page, SearchTimes, UrlParts
from vna.services.query import QueryService

_AT_ONCE = 500
"""Matches within a study that are answered from memory; more are streamed."""


class Qido:
    """The search transactions."""

    def __init__(self, query: QueryService, urls: Urls, settings: WebConfig) -> None:
        self._query = query
        self._urls = urls
        self._max_results = settings.max_results
        self._times = SearchTimes(settings.search_timeout, settings.count_timeout)

    def register(self, app: Flask) -> None:
        """Add the routes of PS3.18 table 10.6.1-1 to `app`."""
        for path, level in (
            (f"{ROOT}/studies", Level.STUDY),
            (f"{ROOT}/series", Level.SERIES),
            (f"{ROOT}/instances", Level.IMAGE),
            (f"{STUDY}/series", Level.SERIES),
            (f"{STUDY}/instances", Level.IMAGE),
            (f"{SERIES}/instances", Level.IMAGE),
        ):
            app.add_url_rule(path, f"search {path}", self.search, defaults={"level": level})

    def search(self, level: Level, study: str = "", series: str = "") -> Response:
        """The matches; as JSON an array, empty when there are none."""
        check_uids(study=study, series=series)
        kind = document_for(request.headers.get("Accept", ""), request.args.get("accept", ""))
        _check_encoding(request.query_string)
        parameters = list(request.args.items(multi=True))
        search = read_search(parameters, level, Within(study, series))
        limit = search.query.limit
        if search.is_within_study and (limit is None or limit > self._max_results):
            return self._whole(search, parameters, kind)
        return self._page(search, parameters, kind)

    def _whole(self, search: Search, parameters: list[tuple[str, str]], kind: Offer) -> Response:
        """All matches within a study, or as many as were asked for: who does not page would miss images."""
        url = self._url_parts()
        limit = search.query.limit
        few = replace(search.query, limit=_AT_ONCE if limit is None else min(limit, _AT_ONCE))
        page = self._query.page(few, url, self._times, origin())
        if page.following is None or few.limit == limit:
            response = _respond(_cut(page.objects, search), kind, search.warnings, page.total)
            self._link(response, search, page, parameters)
            return response
        found = self._query.objects(search.query, url, self._times.search, origin())
        if search.cuts:
            found = _cut_each(found, search)
        return _stream(found, kind, search.warnings, page.total)

    def _page(self, search: Search, parameters: list[tuple[str, str]], kind: Offer) -> Response:
        """As many matches as were asked for, at most `max_results`, and a link to the next ones."""
        query, warnings = search.query, list(search.warnings)
        limit = self._max_results if query.limit is None else min(query.limit, self._max_results)
        page = self._query.page(
            replace(query, limit=limit), self._url_parts(), self._times, origin()
        )
        if page.following is not None and (query.limit is None or query.limit > limit):
            warnings.append(
                f"The number of results exceeded the maximum of {limit} supported by the server. "
                "Additional results can be requested."
            )
        response = _respond(_cut(page.objects, search), kind, warnings, page.total)
        self._link(response, search, page, parameters)
        return response

    def _link(
        self, response: Response, search: Search, page: Page, parameters: list[tuple[str, str]]
    ) -> None:
        if page.following is None:
            return
        url = self._urls.root() + request.path.removeprefix(ROOT)
        link = next_link(url, parameters, cursor_of(page.following, search.query))
        if link is not None:
            response.headers["Link"] = link

    def _url_parts(self) -> UrlParts:
        """What Retrieve URLs are made of, as it stands inside a string of JSON."""
        studies = orjson.dumps(self._urls.studies()).decode()[1:-1]
        return UrlParts(f"{studies}/", "/series/", "/instances/")


def _check_encoding(query: bytes) -> None:
    """What is in another character set would be looked for in vain. Raises BadRequest."""
    try:
        unquote_to_bytes(query).decode()
    except UnicodeDecodeError as exc:
        raise BadRequest("the parameters are not percent-encoded UTF-8 (RFC 3986 2.5)") from exc


def _cut(objects: list[bytes], search: Search) -> list[bytes]:
    """`objects`, of whose sequences only the members that were asked for are left."""
    return list(_cut_each(iter(objects), search)) if search.cuts else objects


def _cut_each(objects: Iterator[bytes], search: Search) -> Chunks:
    for item in objects:
        yield orjson.dumps(cut(orjson.loads(item), search.cuts))


def _respond(
    objects: list[bytes], kind: Offer, warnings: Iterable[str], total: int | None
) -> Response:
    if not kind.is_multipart:
        response = Response(b"[" + b",".join(objects) + b"]", mimetype=kind.kind)
    elif objects:
        response = _as_xml(iter(objects), kind)
    else:
        response = Response(status=204)
    return _noted(response, warnings, total)


def _stream(objects: Chunks, kind: Offer, warnings: Iterable[str], total: int | None) -> Response:
    if kind.is_multipart:
        return _noted(_as_xml(objects, kind), warnings, total)
    body = Stream(gather(json_array(objects)), correlation_id())
    return _noted(Response(body, mimetype=kind.kind), warnings, total)


def _as_xml(objects: Iterable[bytes], kind: Offer) -> Response:
    """A part with a Native DICOM Model (PS3.19 A.1) for each match."""
    encoder = MultipartEncoder(kind.kind)

    def pieces() -> Chunks:
        for item in objects:
            yield encoder.begin(kind.kind) + write_xml(orjson.loads(item))
        yield encoder.end()

    body = Stream(gather(pieces()), correlation_id())
    return Response(body, content_type=encoder.content_type)


def _noted(response: Response, warnings: Iterable[str], total: int | None) -> Response:
    for warning in warnings:
        response.headers.add("Warning", f'299 vna "{warning}"')
    if total is not None:
        response.headers["X-Total-Count"] = str(total)
    return response
