"""Retrieve frames of an instance in the syntax in which they are stored (PS3.18 10.4.1.1.6)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from flask import Flask, Response, request

from dicomweb.bodies import Chunks, Stream, conditional
from dicomweb.context import correlation_id, origin
from dicomweb.errors import BadRequest
from dicomweb.media import accepted
from dicomweb.metadata import selection
from dicomweb.multipart import MultipartEncoder
from dicomweb.negotiate import Offer, choose, frame_offers
from dicomweb.urls import ROOT, Urls, check_uids, instance_path
from vna.errors import NotFound
from vna.services.pixels import Frame, PixelService
from vna.services.retrieve import RetrieveService

_LIST = re.compile(r"[1-9][0-9]{0,9}(?:,[1-9][0-9]{0,9})*")


class Frames:
    """The retrieve transaction for frames."""

    def __init__(self, retrieve: RetrieveService, pixels: PixelService, urls: Urls) -> None:
        self._retrieve = retrieve
        self._pixels = pixels
        self._urls = urls

    def register(self, app: Flask) -> None:
        """Add the route to `app`."""
        path = f"{ROOT}/studies/<study>/series/<series>/instances/<instance>/frames/<numbers>"
        app.add_url_rule(path, "retrieve frames", self.frames)

    def frames(self, study: str, series: str, instance: str, numbers: str) -> Response:
        """The frames in the order of the list; one alone also as a single part."""
        check_uids(study=study, series=series, instance=instance)
        wanted = frame_numbers(numbers)
        found = self._retrieve.select(selection(study, series, instance))
        if not found:
            raise NotFound(f"the archive has no instance {instance} in series {series}")
        stored = found[0]
        frames = self._pixels.frames(stored, wanted)
        first = next(frames)
        ranges = accepted(request.headers.get("Accept", ""), request.args.get("accept", ""))
        offers = frame_offers([first.transfer_syntax_uid], single_part=len(wanted) == 1)
        offer = choose(ranges, offers)
        self._retrieve.record_viewed(study, origin(), "frames")
        etag = f"{stored.dataset_digest.value[:32]}-{numbers}"
        url = self._urls.studies() + instance_path(stored.uids)
        return conditional(etag, str(offer), lambda: answer_frames(offer, url, first, frames))


def answer_frames(offer: Offer, url: str, first: Frame, rest: Iterator[Frame]) -> Response:
    """`first` and `rest` as `offer` says; `url` is that of the instance."""
    part_type = f"{offer.kind}; transfer-syntax={offer.transfer_syntax_uid}"
    location = f"{url}/frames/"
    if not offer.is_multipart:
        response = Response(first.data, content_type=part_type)
        response.headers["Content-Location"] = f"{location}{first.number}"
        return response
    encoder = MultipartEncoder(offer.kind)
    chunks = _parts(encoder, part_type, location, first, rest)
    return Response(Stream(chunks, correlation_id()), content_type=encoder.content_type)


def frame_numbers(text: str) -> list[int]:
    """The numbers of a frame list such as "1,3,5". Raises BadRequest for what is no such list."""
    if _LIST.fullmatch(text) is None:
        raise BadRequest("a frame list has numbers from 1 with commas between, such as 1,3,5")
    return [int(number) for number in text.split(",")]


def _parts(
    encoder: MultipartEncoder, part_type: str, location: str, first: Frame, rest: Iterator[Frame]
) -> Chunks:
    yield _part(encoder, part_type, location, first)
    for frame in rest:
        yield _part(encoder, part_type, location, frame)
    yield encoder.end()


def _part(encoder: MultipartEncoder, part_type: str, location: str, frame: Frame) -> bytes:
    head = encoder.begin(part_type, content_location=f"{location}{frame.number}")
    return head + frame.data
