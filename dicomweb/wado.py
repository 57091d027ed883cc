"""WADO-RS: retrieve the instances of a study, of a series, or one (PS3.18 10.4.1.1.1)."""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from flask import Flask, Response, request

from dicomweb.bodies import Chunks, Reader, Stream, conditional, read_chunks
from dicomweb.context import correlation_id, origin
from dicomweb.media import DICOM, MediaType, accepted
from dicomweb.metadata import selection
from dicomweb.multipart import MultipartEncoder
from dicomweb.negotiate import Offer, choose, instance_offers
from dicomweb.urls import ROOT, Urls, check_uids, instance_path
from vna.dicom.part10 import file_meta
from vna.dicom.syntaxes import can_transcode
from vna.errors import NotFound, VnaError
from vna.model.identifiers import Origin
from vna.model.instances import StoredInstance
from vna.services.pixels import PixelService
from vna.services.retrieve import RetrieveService

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """An instance and the transfer syntax in which the client gets it."""

    instance: StoredInstance
    transfer_syntax_uid: str

    @property
    def is_stored(self) -> bool:
        """Whether the stored bytes are what is wanted."""
        return self.transfer_syntax_uid == self.instance.transfer_syntax_uid


class Wado:
    """The retrieve transactions for whole instances: stored bytes, transcoded only when asked."""

    def __init__(self, retrieve: RetrieveService, pixels: PixelService, urls: Urls) -> None:
        self._retrieve = retrieve
        self._pixels = pixels
        self._urls = urls

    def register(self, app: Flask) -> None:
        """Add the routes to `app`."""
        study = f"{ROOT}/studies/<study>"
        series = f"{study}/series/<series>"
        for path in (study, series, f"{series}/instances/<instance>"):
            app.add_url_rule(path, f"retrieve {path}", self.instances)

    def instances(self, study: str, series: str = "", instance: str = "") -> Response:
        """Every instance that the path names; one alone also as a single part."""
        check_uids(study=study, series=series, instance=instance)
        found = self._retrieve.select(selection(study, series, instance))
        if not found:
            raise NotFound(f"the archive has nothing at {request.path}")
        ranges = accepted(request.headers.get("Accept", ""), request.args.get("accept", ""))
        is_single = len(found) == 1
        offers = {uid: _choose(ranges, uid, is_single) for uid in _syntaxes(found)}
        wanted = [
            Wanted(item, offers[item.transfer_syntax_uid].transfer_syntax_uid) for item in found
        ]
        if not is_single:
            return self._multipart(wanted)
        offer = offers[found[0].transfer_syntax_uid]
        respond = self._multipart if offer.is_multipart else self._single
        return conditional(found[0].object_digest.value[:32], str(offer), lambda: respond(wanted))

    def _single(self, wanted: Sequence[Wanted]) -> Response:
        reader, length = self._open(wanted[0])
        chunks = self._delivered([(b"", wanted[0])], reader, b"", origin())
        response = Response(Stream(chunks, correlation_id()))
        response.content_type = _part_type(wanted[0])
        response.content_length = length
        return response

    def _multipart(self, wanted: Sequence[Wanted]) -> Response:
        encoder, studies = MultipartEncoder(DICOM), self._urls.studies()
        parts = [
            (
                encoder.begin(
                    _part_type(item),
                    content_location=studies + instance_path(item.instance.uids),
                ),
                item,
            )
            for item in wanted
        ]
        reader, length = self._open(wanted[0])
        chunks = self._delivered(parts, reader, encoder.end(), origin())
        response = Response(Stream(chunks, correlation_id()))
        response.content_type = encoder.content_type
        if len(parts) == 1:  # of more, some may get another file meta when they are opened
            response.content_length = len(parts[0][0]) + length + len(encoder.end())
        return response

    def _delivered(
        self, parts: Sequence[tuple[bytes, Wanted]], first: Reader, end: bytes, to: Origin
    ) -> Chunks:
        """The bytes of `parts`, the first already opened; what was sent whole is audited."""
        sent: list[StoredInstance] = []
        reader: Reader | None = first
        try:
            for head, wanted in parts:
                if reader is None:
                    reader, _ = self._open(wanted)
                opened, reader = reader, None
                if head:
                    yield head
                yield from read_chunks(opened)
                sent.append(wanted.instance)
            if end:
                yield end
        finally:
            first.close()
            self._record(sent, to)

    def _open(self, wanted: Wanted) -> tuple[Reader, int]:
        instance = wanted.instance
        if wanted.is_stored:
            return self._retrieve.open_part10(instance)
        data = file_meta(
            instance.sop_class_uid, instance.uids.sop_instance_uid, wanted.transfer_syntax_uid
        ) + self._pixels.dataset_as(instance, wanted.transfer_syntax_uid)
        return io.BytesIO(data), len(data)

    def _record(self, sent: Sequence[StoredInstance], to: Origin) -> None:
        """The bytes are gone: that the audit trail does not answer can only be logged."""
        try:
            self._retrieve.record_retrieved(sent, to)
        except VnaError as exc:
            log.error(  # noqa: TRY400 – the message says all
                "retrieve not audited: %s", exc, extra={"correlation": to.correlation_id}
            )


def _choose(ranges: Sequence[MediaType], stored_syntax: str, is_single: bool) -> Offer:
    return choose(
        ranges,
        instance_offers(
            stored_syntax, single_part=is_single, transcodable=can_transcode(stored_syntax)
        ),
    )


def _syntaxes(instances: Sequence[StoredInstance]) -> set[str]:
    return {instance.transfer_syntax_uid for instance in instances}


def _part_type(wanted: Wanted) -> str:
    return f"{DICOM}; transfer-syntax={wanted.transfer_syntax_uid}"
