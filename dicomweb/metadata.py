"""Retrieve metadata of a study, a series or an instance, in JSON or XML (PS3.18 10.4.1.1.2)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import orjson
from flask import Flask, Response, request

from dicomweb.bodies import Chunks, Stream, conditional, gather, tag_of
from dicomweb.codings import GZIP, IDENTITY, chosen_coding, compressed
from dicomweb.context import asked_types, correlation_id, origin
from dicomweb.media import DICOM_XML, MULTIPART
from dicomweb.multipart import MultipartEncoder
from dicomweb.negotiate import Offer, choose_document
from dicomweb.urls import INSTANCE, SERIES, STUDY, Urls, check_uids
from vna.dicom.native_xml import write_xml
from vna.errors import NotFound
from vna.model.identifiers import Selection
from vna.model.instances import StoredInstance
from vna.model.series import SeriesState
from vna.services.metadata import VERSION, MetadataDocument, MetadataService
from vna.services.metadata_documents import objects_of, unpacked
from vna.services.retrieve import RetrieveService


class Metadata:
    """The metadata transactions: a study is the documents of its series, an instance is read."""

    def __init__(self, metadata: MetadataService, retrieve: RetrieveService, urls: Urls) -> None:
        self._metadata = metadata
        self._retrieve = retrieve
        self._urls = urls

    def register(self, app: Flask) -> None:
        """Add the routes to `app`."""
        app.add_url_rule(f"{STUDY}/metadata", "study metadata", self.study)
        app.add_url_rule(f"{SERIES}/metadata", "series metadata", self.series)
        app.add_url_rule(f"{INSTANCE}/metadata", "instance metadata", self.instance)

    def study(self, study: str) -> Response:
        """The metadata of all instances of a study."""
        check_uids(study=study)
        offer, root, states = _offer(), self._urls.studies(), self._states(study)

        def respond() -> Response:
            if offer.is_multipart:
                bodies = (self._metadata.document(state, root).body for state in states)
                return _xml(item for body in bodies for item in objects_of(body))
            return _streamed(gather(self._metadata.study_array(states, root)), offer.kind)

        return conditional(
            self._metadata.etag(states, root), str(offer), _unless_head(offer, respond)
        )

    def series(self, study: str, series: str) -> Response:
        """The metadata of all instances of a series."""
        check_uids(study=study, series=series)
        offer, root = _offer(), self._urls.studies()
        (state,) = self._states(study, series)

        def respond() -> Response:
            document = self._metadata.document(state, root)
            response = self._answer(document, offer)
            response.set_etag(tag_of(document.etag, str(offer)), weak=True)
            return response

        return conditional(
            self._metadata.etag([state], root), str(offer), _unless_head(offer, respond)
        )

    def instance(self, study: str, series: str, instance: str) -> Response:
        """The metadata of one instance."""
        check_uids(study=study, series=series, instance=instance)
        offer, root = _offer(), self._urls.studies()
        found = self._retrieve.select(selection(study, series, instance))
        if not found:
            raise NotFound(f"the archive has nothing at {request.path.removesuffix('/metadata')}")
        self._retrieve.record_viewed(study, origin(), "metadata")

        def respond() -> Response:
            items = self._metadata.objects(found, root)
            if offer.is_multipart:
                return _xml(items)
            return Response(b"[" + b",".join(items) + b"]", mimetype=offer.kind)

        return conditional(_etag(found, root), str(offer), _unless_head(offer, respond))

    def _states(self, study: str, series: str = "") -> list[SeriesState]:
        states = self._metadata.states(study, series)
        if not states:
            raise NotFound(f"the archive has nothing at {request.path.removesuffix('/metadata')}")
        self._retrieve.record_viewed(study, origin(), "metadata")
        return states

    def _answer(self, document: MetadataDocument, offer: Offer) -> Response:
        """A document in the coding that the client likes best: made once, and then sent as it is."""
        if offer.is_multipart:
            return _xml(objects_of(document.body))
        coding = chosen_coding()
        if coding == IDENTITY:
            plain = self._metadata.plain(document)
            if plain is None:
                return _streamed(unpacked(document.body), offer.kind)
            return Response(plain, mimetype=offer.kind)
        body = document.body
        if coding == GZIP:
            body = self._metadata.variant(
                document.etag, GZIP, lambda: b"".join(compressed(unpacked(body), GZIP))
            )
        response = Response(body, mimetype=offer.kind)
        response.headers["Content-Encoding"] = coding
        return response


def selection(study: str, series: str = "", instance: str = "") -> Selection:
    """What a path names; "" leaves a level open."""
    return Selection(
        study_instance_uids=(study,),
        series_instance_uids=(series,) if series else (),
        sop_instance_uids=(instance,) if instance else (),
    )


def _offer() -> Offer:
    return choose_document(asked_types())


def _unless_head(offer: Offer, respond: Callable[[], Response]) -> Callable[[], Response]:
    """What is not sent need not be made."""
    if request.method != "HEAD":
        return respond
    kind = MULTIPART if offer.is_multipart else offer.kind
    return lambda: Response(Stream(_nothing(), correlation_id()), mimetype=kind)


def _nothing() -> Chunks:
    yield from ()


def _streamed(chunks: Iterator[bytes], kind: str) -> Response:
    return Response(Stream(_generated(chunks), correlation_id()), mimetype=kind)


def _generated(chunks: Iterator[bytes]) -> Chunks:
    yield from chunks


def _xml(items: Iterable[bytes]) -> Response:
    """A part for each instance (PS3.18 8.7.3.2)."""
    encoder = MultipartEncoder(DICOM_XML)

    def parts() -> Chunks:
        for item in items:
            yield encoder.begin(DICOM_XML) + write_xml(orjson.loads(item))
        yield encoder.end()

    response = Response(Stream(gather(parts()), correlation_id()))
    response.content_type = encoder.content_type
    return response


def _etag(instances: Sequence[StoredInstance], root: str) -> str:
    """Changes with the instances, their content or the URLs inside the document."""
    digest = hashlib.blake2b(f"{VERSION} {root}".encode(), digest_size=12)
    for instance in instances:
        digest.update(f"{instance.instance_id}:{instance.dataset_digest.value};".encode())
    return digest.hexdigest()
