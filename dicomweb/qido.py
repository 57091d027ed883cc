"""QIDO-RS: search for studies, series and instances (PS3.18 10.6)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import orjson
from flask import Flask, Response, request

from dicomweb.bodies import Stream, gather, json_array
from dicomweb.context import correlation_id, origin
from dicomweb.media import accepted
from dicomweb.negotiate import choose_json
from dicomweb.search_parameters import Search, Within, read_search
from dicomweb.urls import ROOT, Urls, check_uids, instance_path, series_path, study_path
from vna.model.identifiers import InstanceUids, Level
from vna.model.query import JsonElement, Query, Record
from vna.services.query import QueryService

_RETRIEVE_URL = "00081190"
_MODALITIES_IN_STUDY = "00080061"
_STUDY, _SERIES, _INSTANCE = "0020000D", "0020000E", "00080018"


class Qido:
    """The search transactions."""

    def __init__(self, query: QueryService, urls: Urls, max_results: int) -> None:
        self._query = query
        self._urls = urls
        self._max_results = max_results

    def register(self, app: Flask) -> None:
        """Add the routes of PS3.18 table 10.6.1-1 to `app`."""
        study, series = f"{ROOT}/studies/<study>", f"{ROOT}/studies/<study>/series/<series>"
        for path, level in (
            (f"{ROOT}/studies", Level.STUDY),
            (f"{ROOT}/series", Level.SERIES),
            (f"{ROOT}/instances", Level.IMAGE),
            (f"{study}/series", Level.SERIES),
            (f"{study}/instances", Level.IMAGE),
            (f"{series}/instances", Level.IMAGE),
        ):
            app.add_url_rule(path, f"search {path}", self.search, defaults={"level": level})

    def search(self, level: Level, study: str = "", series: str = "") -> Response:
        """The matches as a JSON array, empty when there are none."""
        check_uids(study=study, series=series)
        kind = choose_json(
            accepted(request.headers.get("Accept", ""), request.args.get("accept", ""))
        )
        search = read_search(list(request.args.items(multi=True)), level, Within(study, series))
        objects, warnings = self._find(search)
        body = Stream(gather(json_array(objects)), correlation_id())
        response = Response(body, mimetype=kind)
        for warning in warnings:
            response.headers.add("Warning", f'299 vna "{warning}"')
        return response

    def _find(self, search: Search) -> tuple[Iterator[bytes], list[str]]:
        """The serialised matches, and what to tell of them.

        A search within a study is never cut: a client that does not page would miss images. Any
        other is held back up to `max_results` matches, because a header must tell that it was cut.
        """
        query, cap = search.query, self._max_results
        if search.is_within_study or (query.limit is not None and query.limit <= cap):
            return self._objects(query), list(search.warnings)
        objects = list(self._objects(replace(query, limit=cap + 1)))
        if len(objects) <= cap:
            return iter(objects), list(search.warnings)
        cut = (
            f"The number of results exceeded the maximum of {cap} supported by the server. "
            "Additional results can be requested."
        )
        return itertools.islice(objects, cap), [*search.warnings, cut]

    def _objects(self, query: Query) -> Iterator[bytes]:
        studies = self._urls.studies()
        return (serialise(record, studies) for record in self._query.find(query, origin()))


def serialise(record: Record, studies_url: str) -> bytes:
    """A match with its Retrieve URL (0008,1190).

    Modalities in Study without a value is left out: viewers take its Value for granted.
    """
    attributes: dict[str, JsonElement] = dict(record.attributes)
    if not attributes.get(_MODALITIES_IN_STUDY, {}).get("Value"):
        attributes.pop(_MODALITIES_IN_STUDY, None)
    attributes[_RETRIEVE_URL] = {"vr": "UR", "Value": [studies_url + _path(record)]}
    return orjson.dumps(attributes, option=orjson.OPT_SORT_KEYS)


def _path(record: Record) -> str:
    study, series, instance = (_uid(record, key) for key in (_STUDY, _SERIES, _INSTANCE))
    match record.level:
        case Level.STUDY:
            return study_path(study)
        case Level.SERIES:
            return series_path(study, series)
        case _:
            return instance_path(InstanceUids(study, series, instance))


def _uid(record: Record, key: str) -> str:
    values = record.attributes.get(key, {}).get("Value")
    return str(values[0]) if isinstance(values, list) and values else ""
