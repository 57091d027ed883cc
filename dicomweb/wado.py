"""WADO-RS: retrieve the instances of a study, of a series, or one (PS3.18 10.4.1.1.1)."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import cast

from flask import Flask, Response, request

from dicomweb.archives import ZippedFile, wants_directory, zip_chunks
from dicomweb.bodies import Chunks, Stream, conditional
from dicomweb.bulk_resources import BulkResources
from dicomweb.context import asked_types, correlation_id, origin
from dicomweb.file_span import Piece, Pieces, sends_spans
from dicomweb.media import DICOM, OCTET_STREAM, ZIP, MediaType
from dicomweb.metadata import selection
from dicomweb.multipart import MultipartEncoder
from dicomweb.negotiate import Offer, choose_alike, instance_offers, or_else
from dicomweb.urls import LEVELS, Urls, check_uids, instance_path
from vna.errors import NotFound, VnaError
from vna.interrupts import interruptible
from vna.model.identifiers import Origin
from vna.model.instances import StoredInstance
from vna.services.ahead import ahead
from vna.services.delivery import Delivered, DeliveryService, Opened, Selected
from vna.services.retrieve import RetrieveService

log = logging.getLogger(__name__)

_BULK_DATA = Offer(OCTET_STREAM, is_multipart=True)
"""What the resource stood for before it had others for its bulk data (PS3.18 10.4.4)."""


@dataclass(frozen=True, slots=True)
class Shipment:
    """Instances, by stored transfer syntax how they are given, the URL of all studies, who takes
    them, and how many were sent of each study; `spans`: whether the server sends parts of files.
    """

    selected: Selected
    offers: Mapping[str, Offer]
    studies: str
    to: Origin
    sent: Counter[str] = field(default_factory=Counter)
    spans: bool = False

    @property
    def is_light(self) -> bool:
        """Whether what is opened is a file, and nothing in memory."""
        return self.spans and all(
            stored == offer.transfer_syntax_uid for stored, offer in self.offers.items()
        )

    def syntax(self, instance: StoredInstance) -> str:
        """The transfer syntax in which `instance` is sent."""
        return self.offers[instance.transfer_syntax_uid].transfer_syntax_uid

    def part_type(self, instance: StoredInstance) -> str:
        """The Content-Type of `instance`."""
        return f"{DICOM}; transfer-syntax={self.syntax(instance)}"

    def head(self, encoder: MultipartEncoder, instance: StoredInstance) -> bytes:
        """What stands before `instance` in a multipart answer."""
        location = self.studies + instance_path(instance.uids)
        return encoder.begin(self.part_type(instance), content_location=location)


@dataclass(frozen=True, slots=True)
class Begun:
    """An instance whose `first` piece is made already: what is small was verified with that."""

    instance: StoredInstance
    opened: Delivered | Opened
    first: Piece | None

    def close(self) -> None:
        """It is not sent after all."""
        self.opened.chunks.close()


class Wado:
    """The retrieve transactions for whole instances: stored bytes, transcoded only when asked."""

    def __init__(
        self,
        retrieve: RetrieveService,
        delivery: DeliveryService,
        bulk: BulkResources,
        urls: Urls,
    ) -> None:
        self._retrieve, self._delivery, self._bulk = retrieve, delivery, bulk
        self._urls = urls
        # One at a time: where several studies are sent at once, no processor is idle anyway.
        self._helper = threading.Lock()

    def register(self, app: Flask) -> None:
        """Add the routes to `app`."""
        for path in LEVELS:
            app.add_url_rule(path, f"retrieve {path}", self.instances)

    def instances(self, study: str, series: str = "", instance: str = "") -> Response:
        """Every instance that the path names; one alone also as a single part."""
        check_uids(study=study, series=series, instance=instance)
        selected = self._delivery.select(selection(study, series, instance))
        if not len(selected):
            raise NotFound(f"the archive has nothing at {request.path}")
        ranges = asked_types()
        is_single = len(selected) == 1
        stored = [self._delivery.syntaxes(uid) for uid in selected.syntaxes]
        groups = [
            [*instance_offers(syntaxes, single_part=is_single), _BULK_DATA] for syntaxes in stored
        ]
        offers = choose_alike(ranges, groups)
        if offers[0] is _BULK_DATA:
            return self._bulk.values(study, series, instance, only_pixels=False)
        by_syntax = dict(zip(selected.syntaxes, offers, strict=True))
        shipment = Shipment(
            selected, by_syntax, self._urls.studies(), origin(), spans=sends_spans()
        )
        with or_else(instance_offers(selected.syntaxes, single_part=is_single)):
            return self._chosen(shipment, offers, ranges)

    def _chosen(
        self, shipment: Shipment, offers: Sequence[Offer], ranges: Sequence[MediaType]
    ) -> Response:
        """In the chosen form, unless the client has just that."""
        selected, variant = shipment.selected, " ".join(map(str, offers))
        with_directory = wants_directory(ranges, request.args.get("dicomdir", ""))
        if offers[0].kind == ZIP:
            respond = partial(self._zip, shipment, is_directory=with_directory)
            return conditional(selected.digest, f"{variant} {with_directory}", respond)
        if len(selected) == 1:
            return self._only(shipment, offers[0])
        respond = partial(self._several, shipment)
        return conditional(selected.digest, f"{variant} {shipment.studies}", respond)

    def _only(self, shipment: Shipment, offer: Offer) -> Response:
        instance = next(iter(shipment.selected), None)
        if instance is None:
            raise NotFound(f"the archive has nothing at {request.path}")
        respond = self._part if offer.is_multipart else self._single
        etag = instance.object_tag
        return conditional(etag, str(offer), lambda: respond(shipment, instance))

    def _single(self, shipment: Shipment, instance: StoredInstance) -> Response:
        opened = self._open(shipment, instance)
        chunks = self._audited(_whole(b"", opened, b"", (shipment, instance)), shipment)
        return _streamed(chunks, shipment.part_type(instance), opened.length)

    def _part(self, shipment: Shipment, instance: StoredInstance) -> Response:
        encoder = MultipartEncoder(DICOM)
        head, end = shipment.head(encoder, instance), encoder.end()
        opened = self._open(shipment, instance)
        length = opened.length + len(head) + len(end) if opened.length >= 0 else -1
        chunks = self._audited(_whole(head, opened, end, (shipment, instance)), shipment)
        return _streamed(chunks, encoder.content_type, length)

    def _several(self, shipment: Shipment) -> Response:
        encoder = MultipartEncoder(DICOM)
        chunks = self._audited(self._parts(encoder, shipment), shipment)
        return _streamed(chunks, encoder.content_type)

    def _parts(self, encoder: MultipartEncoder, shipment: Shipment) -> Pieces:
        with closing(self._begun(shipment)) as begun:
            for item in begun:
                head = shipment.head(encoder, item.instance)
                yield from _whole(head, item.opened, b"", (shipment, item.instance), item.first)
        yield encoder.end()

    def _begun(self, shipment: Shipment) -> Generator[Begun, None, None]:
        """Hashed by a thread while those before are sent: neither needs the interpreter for most of its time."""
        items = self._beginning(shipment)
        yield from islice(items, 1)  # all that a HEAD needs
        if not (shipment.is_light and self._helper.acquire(blocking=False)):
            yield from items
            return
        try:
            with closing(ahead(items, Begun.close)) as hashed:
                yield from hashed
        finally:
            self._helper.release()

    def _beginning(self, shipment: Shipment) -> Generator[Begun, None, None]:
        for instance in shipment.selected:
            opened = self._open(shipment, instance)
            yield Begun(instance, opened, next(opened.chunks, None))

    def _open(self, shipment: Shipment, instance: StoredInstance) -> Delivered | Opened:
        """The kernel sends what lies in a file, where the server can ask it to."""
        open_it = self._delivery.pieces if shipment.spans else self._delivery.open
        return open_it(instance, shipment.syntax(instance))

    def _zip(self, shipment: Shipment, *, is_directory: bool) -> Response:
        describe = self._delivery.attributes if is_directory else None
        chunks = self._audited(zip_chunks(self._files(shipment), describe), shipment)
        response = _streamed(chunks, ZIP)
        response.headers["Content-Disposition"] = 'attachment; filename="dicom.zip"'
        return response

    def _files(self, shipment: Shipment) -> Iterator[ZippedFile]:
        for instance in shipment.selected:
            syntax = shipment.syntax(instance)
            opened = self._delivery.open(instance, syntax)
            chunks = cast("Chunks", _whole(b"", opened, b"", (shipment, instance)))
            yield ZippedFile(instance, syntax, opened.length, chunks)

    def _audited(self, chunks: Pieces, shipment: Shipment) -> Pieces:
        """`chunks`; what was sent whole is audited, whatever ends them. HEAD sends nothing."""
        if request.method == "HEAD":
            return chunks
        return self._counted(chunks, shipment)

    def _counted(self, chunks: Pieces, shipment: Shipment) -> Pieces:
        try:
            with closing(chunks):
                yield from chunks
        finally:
            self._record(shipment)

    def _record(self, shipment: Shipment) -> None:
        """The bytes are gone: that the audit trail does not answer can only be logged."""
        try:
            with interruptible(None):
                self._retrieve.record_delivered(shipment.sent, shipment.to)
        except VnaError as exc:
            log.error(  # noqa: TRY400 – the message says all
                "retrieve not audited: %s", exc, extra={"correlation": shipment.to.correlation_id}
            )


def _whole(
    head: bytes,
    opened: Delivered | Opened,
    end: bytes,
    sending: tuple[Shipment, StoredInstance],
    first: Piece | None = None,
) -> Pieces:
    """An instance between `head` and `end`, counted when its last byte has been taken; `first`: a piece
    that was taken already.
    """
    shipment, instance = sending
    with closing(opened.chunks):
        if head:
            yield head
        if first is not None:
            yield first
        yield from opened.chunks
    shipment.sent[instance.uids.study_instance_uid] += 1
    if end:
        yield end


def _streamed(chunks: Pieces, content_type: str, length: int = -1) -> Response:
    response = Response(Stream(chunks, correlation_id()), content_type=content_type)
    if length >= 0:
        response.content_length = length
    return response
