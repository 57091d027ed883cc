"""Retrieve metadata of a study, a series or an instance as DICOM JSON (PS3.18 10.4.1.1.2)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from flask import Flask, Response, request

from dicomweb.bodies import (
    Stream,
    accepts_gzip,
    compressed,
    conditional,
    decompressed,
    gather,
    json_array,
)
from dicomweb.context import correlation_id, origin
from dicomweb.media import accepted
from dicomweb.negotiate import choose_json
from dicomweb.urls import ROOT, Urls, check_uids
from vna.dicom.json import JSON_VERSION
from vna.errors import NotFound
from vna.model.identifiers import Selection
from vna.model.instances import StoredInstance
from vna.services.metadata import MetadataDocument, MetadataService
from vna.services.retrieve import RetrieveService


class Metadata:
    """The metadata transactions: a series comes from the cache, the others are streamed."""

    def __init__(self, metadata: MetadataService, retrieve: RetrieveService, urls: Urls) -> None:
        self._metadata = metadata
        self._retrieve = retrieve
        self._urls = urls

    def register(self, app: Flask) -> None:
        """Add the routes to `app`."""
        study = f"{ROOT}/studies/<study>"
        series = f"{study}/series/<series>"
        app.add_url_rule(f"{study}/metadata", "study metadata", self.instances)
        app.add_url_rule(f"{series}/metadata", "series metadata", self.series)
        app.add_url_rule(
            f"{series}/instances/<instance>/metadata", "instance metadata", self.instances
        )

    def series(self, study: str, series: str) -> Response:
        """The metadata of all instances of a series."""
        check_uids(study=study, series=series)
        kind, root = _kind(), self._urls.studies()
        etag = self._metadata.series_etag(study, series, root)
        if etag is None:
            raise NotFound(f"the archive has no series {series} in study {study}")
        self._retrieve.record_viewed(study, origin(), "metadata")

        def respond() -> Response:
            document = self._metadata.series_document(study, series, root)
            if document is None:
                raise NotFound(f"the archive has no series {series} in study {study}")
            return _document(document, kind)

        return conditional(etag, kind, respond)

    def instances(self, study: str, series: str = "", instance: str = "") -> Response:
        """The metadata of one instance, or of all those of a study, as they are read."""
        check_uids(study=study, series=series, instance=instance)
        kind, root = _kind(), self._urls.studies()
        found = self._retrieve.select(selection(study, series, instance))
        if not found:
            raise NotFound(f"the archive has nothing at {request.path.removesuffix('/metadata')}")
        self._retrieve.record_viewed(study, origin(), "metadata")

        def respond() -> Response:
            chunks = gather(json_array(self._metadata.objects(found, root)))
            if accepts_gzip():
                return _json(Stream(compressed(chunks), correlation_id()), kind, is_gzip=True)
            return _json(Stream(chunks, correlation_id()), kind)

        return conditional(_etag(found, root), kind, respond)


def selection(study: str, series: str = "", instance: str = "") -> Selection:
    """What a path names; "" leaves a level open."""
    return Selection(
        study_instance_uids=(study,),
        series_instance_uids=(series,) if series else (),
        sop_instance_uids=(instance,) if instance else (),
    )


def _kind() -> str:
    return choose_json(accepted(request.headers.get("Accept", ""), request.args.get("accept", "")))


def _document(document: MetadataDocument, kind: str) -> Response:
    if accepts_gzip():
        return _json(document.body, kind, is_gzip=True)
    return _json(Stream(decompressed(document.body), correlation_id()), kind)


def _json(body: Stream | bytes, kind: str, *, is_gzip: bool = False) -> Response:
    response = Response(body, mimetype=kind)
    if is_gzip:
        response.headers["Content-Encoding"] = "gzip"
    return response


def _etag(instances: Sequence[StoredInstance], root: str) -> str:
    """Changes with the instances, their content or the URLs inside the document."""
    digest = hashlib.blake2b(f"{JSON_VERSION} {root}".encode(), digest_size=12)
    for instance in instances:
        digest.update(f"{instance.instance_id}:{instance.dataset_digest.value};".encode())
    return digest.hexdigest()
