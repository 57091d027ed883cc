"""Retrieve one value that metadata leave out: what a BulkDataURI leads to (PS3.18 10.4.1.1.5)."""

from __future__ import annotations

from functools import partial

from flask import Flask, Response

from dicomweb.bodies import Chunks, Stream, conditional
from dicomweb.byte_range import ByteRange
from dicomweb.context import asked_types, correlation_id, origin
from dicomweb.errors import BadRequest
from dicomweb.frames import answer_frames
from dicomweb.media import OCTET_STREAM, frame_type
from dicomweb.metadata import selection
from dicomweb.multipart import MultipartEncoder
from dicomweb.negotiate import Offer, bulk_offers, choose, frame_offers
from dicomweb.ranged import ranged
from dicomweb.urls import INSTANCE, Urls, check_uids, instance_path
from vna.errors import NotFound
from vna.model.instances import StoredInstance
from vna.services.frames import FrameService
from vna.services.pixels import BulkData, PixelService
from vna.services.retrieve import RetrieveService

_PIECE_BYTES = 4 * 2**20
_MAX_PATH = 256


class Bulk:
    """The retrieve transaction for a value that metadata leave out."""

    def __init__(
        self, retrieve: RetrieveService, pixels: PixelService, frames: FrameService, urls: Urls
    ) -> None:
        self._retrieve, self._pixels, self._frames = retrieve, pixels, frames
        self._urls = urls

    def register(self, app: Flask) -> None:
        """Add the route to `app`."""
        app.add_url_rule(f"{INSTANCE}/bulkdata/<path:path>", "retrieve bulk data", self.bulk)

    def bulk(self, study: str, series: str, instance: str, path: str) -> Response:
        """The value at `path`, such as "7FE00010" or "54000100/0/54001010"."""
        check_uids(study=study, series=series, instance=instance)
        if len(path) > _MAX_PATH:
            raise BadRequest("the path behind bulkdata is too long")
        found = self._retrieve.select(selection(study, series, instance))
        if not found:
            raise NotFound(f"the archive has no instance {instance} in series {series}")
        stored, value = found[0], self._pixels.bulk(found[0], path)
        self._retrieve.record_viewed(study, origin(), "bulk data")
        etag = f"{stored.dataset_tag}-{path.replace('/', '-')}"
        if value.frames:
            return self._in_frames(stored, value.frames, etag)
        offer = choose(asked_types(), _offers(value))
        location = f"{self._urls.studies()}{instance_path(stored.uids)}/bulkdata/{path}"
        return conditional(etag, str(offer), lambda: _value(offer, value, location))

    def _in_frames(self, stored: StoredInstance, count: int, etag: str) -> Response:
        """Encapsulated pixel data: a part for each frame (PS3.18 8.7.3.5)."""
        found = self._frames.find(stored.uids, range(1, count + 1))
        offers = frame_offers(self._frames.syntaxes(found)[:1], single_part=count == 1)
        offer = choose(asked_types(), offers)
        url = self._urls.studies() + instance_path(stored.uids)

        def respond() -> Response:
            frames = self._frames.read(found, offer.transfer_syntax_uid)
            return answer_frames(offer, url, next(frames), frames, count)

        return conditional(etag, str(offer), respond)


def _offers(value: BulkData) -> list[Offer]:
    """A video under its own media type too; other fragments without frames are only bytes."""
    kind = frame_type(value.transfer_syntax_uid)
    return bulk_offers((kind, OCTET_STREAM) if kind.startswith("video/") else (OCTET_STREAM,))


def _value(offer: Offer, value: BulkData, location: str) -> Response:
    if offer.is_multipart:
        return _multipart(offer, value, location)
    response = ranged(offer.kind, value.length, partial(pieces, value))
    response.headers["Content-Location"] = location
    return response


def _multipart(offer: Offer, value: BulkData, location: str) -> Response:
    encoder = MultipartEncoder(offer.kind)
    head, end = encoder.begin(offer.kind, content_location=location), encoder.end()

    def parts() -> Chunks:
        yield head
        yield from pieces(value, ByteRange(0, value.length, value.length))
        yield end

    response = Response(Stream(parts(), correlation_id()), content_type=encoder.content_type)
    response.content_length = len(head) + value.length + len(end)
    return response


def pieces(value: BulkData, span: ByteRange) -> Chunks:
    """The bytes of `span` of a value, as they are taken."""
    for start in range(span.start, span.start + span.length, _PIECE_BYTES):
        yield value.read(start, min(_PIECE_BYTES, span.start + span.length - start))
