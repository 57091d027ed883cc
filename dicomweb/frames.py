"""Retrieve frames of an instance in the stored syntax or another one (PS3.18 10.4.1.1.6)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from functools import lru_cache

from flask import Flask, Response, request

from dicomweb.bodies import Chunks, Stream, conditional
from dicomweb.context import correlation_id, origin
from dicomweb.errors import BadRequest
from dicomweb.file_span import Pieces, sends_spans
from dicomweb.media import accepted
from dicomweb.multipart import MultipartEncoder
from dicomweb.negotiate import Offer, choose, frame_offers, or_else
from dicomweb.urls import INSTANCE, Urls, check_uids, instance_path
from vna.model.found_frames import FoundFrames
from vna.model.identifiers import InstanceUids
from vna.services.frames import FrameService
from vna.services.pixels import Frame
from vna.services.retrieve import RetrieveService

_LIST = re.compile(r"[1-9][0-9]{0,9}(?:,[1-9][0-9]{0,9})*")


class Frames:
    """The retrieve transaction for frames."""

    def __init__(self, retrieve: RetrieveService, frames: FrameService, urls: Urls) -> None:
        self._retrieve, self._frames, self._urls = retrieve, frames, urls

    def register(self, app: Flask) -> None:
        """Add the route to `app`."""
        app.add_url_rule(f"{INSTANCE}/frames/<numbers>", "retrieve frames", self.frames)

    def frames(self, study: str, series: str, instance: str, numbers: str) -> Response:
        """The frames in the order of the list; one alone also as a single part."""
        check_uids(study=study, series=series, instance=instance)
        found = self._frames.find(InstanceUids(study, series, instance), frame_numbers(numbers))
        syntaxes, is_single = tuple(self._frames.syntaxes(found)), len(found.numbers) == 1
        offer = _chosen(
            request.headers.get("Accept", ""), request.args.get("accept", ""), syntaxes, is_single
        )
        self._retrieve.record_viewed(study, origin(), "frames")
        etag = f"{found.instance.dataset_tag}-{numbers}"
        with or_else(frame_offers(syntaxes[:1], single_part=is_single)):
            return conditional(etag, str(offer), lambda: self._answer(offer, found))

    def _answer(self, offer: Offer, found: FoundFrames) -> Response:
        if sends_spans():
            spanned = self._frames.span(found, offer.transfer_syntax_uid)
            if spanned is not None:
                return self._spanned(offer, found, *spanned)
        frames = self._frames.read(found, offer.transfer_syntax_uid)
        url = self._urls.studies() + instance_path(found.instance.uids)
        return answer_frames(offer, url, next(frames), frames, len(found.numbers))

    def _spanned(self, offer: Offer, found: FoundFrames, frame: Pieces, length: int) -> Response:
        """One frame that the kernel sends from where it lies."""
        url = self._urls.studies() + instance_path(found.instance.uids)
        location = f"{url}/frames/{found.numbers[0]}"
        part_type = f"{offer.kind}; transfer-syntax={offer.transfer_syntax_uid}"
        if not offer.is_multipart:
            response = Response(Stream(frame, correlation_id()), content_type=part_type)
            response.headers["Content-Location"] = location
            response.content_length = length
            return response
        encoder = MultipartEncoder(offer.kind)
        head, end = encoder.begin(part_type, content_location=location), encoder.end()
        body = Stream(_between(head, frame, end), correlation_id())
        response = Response(body, content_type=encoder.content_type)
        response.content_length = len(head) + length + len(end)
        return response


def answer_frames(
    offer: Offer, url: str, first: Frame, rest: Iterator[Frame], count: int = 0
) -> Response:
    """`first` and `rest`, `count` in all if that is known, as `offer` says; `url` is the instance's."""
    part_type = f"{offer.kind}; transfer-syntax={offer.transfer_syntax_uid}"
    location = f"{url}/frames/"
    if not offer.is_multipart:
        response = Response(first.data, content_type=part_type)
        response.headers["Content-Location"] = f"{location}{first.number}"
        return response
    encoder = MultipartEncoder(offer.kind)
    head = encoder.begin(part_type, content_location=f"{location}{first.number}")
    if count == 1:
        pieces = [head, first.data, encoder.end()]
        response = Response(pieces, content_type=encoder.content_type)
        response.content_length = sum(map(len, pieces))
        return response
    chunks = _parts(encoder, part_type, location, (head, first, rest))
    return Response(Stream(chunks, correlation_id()), content_type=encoder.content_type)


def frame_numbers(text: str) -> list[int]:
    """The numbers of a frame list such as "1,3,5". Raises BadRequest for what is no such list."""
    if _LIST.fullmatch(text) is None:
        raise BadRequest("a frame list has numbers from 1 with commas between, such as 1,3,5")
    return [int(number) for number in text.split(",")]


@lru_cache(maxsize=256)  # a viewer sends the same header thousands of times
def _chosen(header: str, query: str, syntaxes: tuple[str, ...], is_single: bool) -> Offer:
    return choose(accepted(header, query), frame_offers(syntaxes, single_part=is_single))


def _between(head: bytes, frame: Pieces, end: bytes) -> Pieces:
    with closing(frame):
        yield head
        yield from frame
        yield end


def _parts(
    encoder: MultipartEncoder,
    part_type: str,
    location: str,
    frames: tuple[bytes, Frame, Iterator[Frame]],
) -> Chunks:
    head, first, rest = frames
    yield head
    yield first.data
    del frames, first
    for frame in rest:
        yield encoder.begin(part_type, content_location=f"{location}{frame.number}")
        yield frame.data
    yield encoder.end()
