"""Retrieve all bulk data, or the pixel data alone, of a whole resource (PS3.18 10.4.1.1.5, 10.4.1.1.6)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial

from flask import Flask, Response, request

from dicomweb.bodies import Chunks, Stream, conditional
from dicomweb.bulkdata import pieces
from dicomweb.byte_range import ByteRange
from dicomweb.context import asked_types, correlation_id, origin
from dicomweb.media import OCTET_STREAM, frame_type
from dicomweb.metadata import selection
from dicomweb.multipart import MultipartEncoder
from dicomweb.negotiate import Offer, choose, frame_offers, or_else
from dicomweb.urls import LEVELS, Urls, check_uids, instance_path
from vna.errors import NotFound, Unsupported
from vna.model.instances import StoredInstance
from vna.services.bulk_values import bulk_paths
from vna.services.delivery import Selected
from vna.services.frames import FrameService
from vna.services.pixels import PIXEL_DATA_PATHS, BulkData, PixelService
from vna.services.retrieve import RetrieveService


@dataclass(frozen=True, slots=True)
class Part:
    """A value, or a frame of pixel data: its Content-Type, its own URL and its bytes."""

    content_type: str
    location: str
    chunks: Chunks


class BulkResources:
    """The retrieve transactions for the bulk data of whole resources, always in several parts."""

    def __init__(
        self, retrieve: RetrieveService, pixels: PixelService, frames: FrameService, urls: Urls
    ) -> None:
        self._retrieve, self._pixels, self._frames = retrieve, pixels, frames
        self._urls = urls

    def register(self, app: Flask) -> None:
        """Add the routes to `app`."""
        for path in LEVELS:
            for name in ("bulkdata", "pixeldata"):
                view = partial(self.values, only_pixels=name == "pixeldata")
                app.add_url_rule(f"{path}/{name}", f"retrieve {name} of {path}", view)

    def values(
        self, study: str, series: str = "", instance: str = "", *, only_pixels: bool
    ) -> Response:
        """Every value that metadata leave out; of compressed pixel data a part for each frame."""
        check_uids(study=study, series=series, instance=instance)
        selected = Selected(self._retrieve, selection(study, series, instance))
        if not len(selected):
            raise NotFound(f"the archive has nothing at {request.path}")
        ranges = asked_types()
        offers = {
            syntax: choose(ranges, _parts_of(self._frames.syntaxes_of(syntax)))
            for syntax in selected.syntaxes
        }
        studies = self._urls.studies()
        variant = " ".join((*map(str, offers.values()), studies, f"{only_pixels}"))
        parts = self._parts(selected, offers, studies, only_pixels=only_pixels)
        respond = partial(self._answer, study, parts, offers, only_pixels=only_pixels)
        as_stored = [_parts_of(self._frames.syntaxes_of(one))[0] for one in selected.syntaxes]
        with or_else(as_stored):
            return conditional(selected.digest, variant, respond)

    def _answer(
        self, study: str, parts: Iterator[Part], offers: Mapping[str, Offer], *, only_pixels: bool
    ) -> Response:
        first = next(parts, None)
        if first is None:
            raise NotFound(f"what is at {request.path} has none")
        self._retrieve.record_viewed(study, origin(), "bulk data")
        kinds = {offer.kind for offer in offers.values()} if only_pixels else {OCTET_STREAM}
        encoder = MultipartEncoder(kinds.pop() if len(kinds) == 1 else OCTET_STREAM)
        body = Stream(_encoded(encoder, first, parts), correlation_id())
        return Response(body, content_type=encoder.content_type)

    def _parts(
        self, selected: Selected, offers: Mapping[str, Offer], studies: str, *, only_pixels: bool
    ) -> Iterator[Part]:
        for instance in selected:
            url = studies + instance_path(instance.uids)
            for path in bulk_paths(self._retrieve, instance):
                if path in PIXEL_DATA_PATHS:
                    yield from self._pixel_parts(
                        instance, path, url, offers[instance.transfer_syntax_uid]
                    )
                elif not only_pixels:
                    value = self._pixels.bulk(instance, path)
                    yield _value_part(value, f"{url}/bulkdata/{path}")

    def _pixel_parts(
        self, instance: StoredInstance, path: str, url: str, offer: Offer
    ) -> Iterator[Part]:
        """Uncompressed as stored: in one part. In a private syntax, whose bytes mean nothing: none."""
        try:
            value = self._pixels.bulk(instance, path)
        except Unsupported:
            return
        stored = self._frames.syntaxes_of(instance.transfer_syntax_uid)[0]
        if not value.frames and (value.transfer_syntax_uid or offer.transfer_syntax_uid == stored):
            kind = frame_type(value.transfer_syntax_uid)
            is_video = kind.startswith("video/") and offer.kind == kind
            location = f"{url}/bulkdata/{path}"
            yield _value_part(value, location, kind if is_video else OCTET_STREAM)
            return
        count = value.frames or self._frames.find(instance.uids, (1,)).count
        found = self._frames.find(instance.uids, range(1, count + 1))
        syntaxes = self._frames.syntaxes(found)
        syntax = offer.transfer_syntax_uid if offer.transfer_syntax_uid in syntaxes else syntaxes[0]
        content_type = f"{offer.kind}; transfer-syntax={syntax}"
        for frame in self._frames.read(found, syntax):
            chunks = _chunks(frame.data)
            yield Part(content_type, f"{url}/frames/{frame.number}", chunks)


def _parts_of(syntaxes: list[str]) -> list[Offer]:
    return frame_offers(syntaxes, single_part=False)


def _value_part(value: BulkData, location: str, kind: str = OCTET_STREAM) -> Part:
    chunks = pieces(value, ByteRange(0, value.length, value.length))
    return Part(kind, location, chunks)


def _chunks(data: bytes) -> Chunks:
    yield data


def _encoded(encoder: MultipartEncoder, first: Part, rest: Iterator[Part]) -> Chunks:
    part: Part | None = first
    while part is not None:
        with closing(part.chunks):
            yield encoder.begin(part.content_type, content_location=part.location)
            yield from part.chunks
        part = next(rest, None)
    yield encoder.end()
