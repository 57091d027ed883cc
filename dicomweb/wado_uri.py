"""WADO-URI: one object by query parameters, as a DICOM file or as people look at it (PS3.18 9)."""

from __future__ import annotations

import logging

from flask import Flask, Response, request

from dicomweb.bodies import Chunks, Stream, conditional
from dicomweb.context import correlation_id, origin
from dicomweb.errors import BadRequest, NotAcceptable
from dicomweb.media import DICOM, accepted
from dicomweb.negotiate import Offer, choose
from dicomweb.presented import Presented
from dicomweb.showing import Showing, Shown
from dicomweb.uri_parameters import UriParameters, read_parameters
from dicomweb.urls import ROOT, check_uids
from vna.dicom.documents import Form
from vna.dicom.syntaxes import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from vna.errors import Unsupported, VnaError
from vna.model.identifiers import InstanceUids
from vna.model.instances import StoredInstance
from vna.services.anonymizing import AnonymizingService
from vna.services.delivery import DeliveryService, Opened
from vna.services.retrieve import RetrieveService

log = logging.getLogger(__name__)

URI_SERVICE = "/wado"
PATHS = (f"{ROOT}{URI_SERVICE}", URI_SERVICE)
_NEVER = frozenset({IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN})
"""What the standard never gives here (9.1.2.1.5), unless "*" takes whatever is stored."""


class WadoUri:
    """The URI service."""

    def __init__(
        self,
        retrieve: RetrieveService,
        delivery: DeliveryService,
        anonymizing: AnonymizingService,
        showing: Showing,
        presented: Presented,
    ) -> None:
        self._retrieve, self._delivery, self._anonymizing = retrieve, delivery, anonymizing
        self._showing, self._presented = showing, presented

    def register(self, app: Flask) -> None:
        """Add the routes to `app`."""
        for path in PATHS:
            app.add_url_rule(path, f"URI service {path}", self.wado)
        app.before_request(self._at_the_root)

    def _at_the_root(self) -> Response | None:
        """JavaScript's dicomweb-client asks so when it knows the DICOMweb root alone."""
        is_meant = request.path.rstrip("/") == ROOT and "requestType" in request.args
        return self.wado() if is_meant and request.method in {"GET", "HEAD"} else None

    def wado(self) -> Response:
        """The object that the query names."""
        parameters = read_parameters(request.args)
        check_uids(
            studyUID=parameters.study, seriesUID=parameters.series, objectUID=parameters.object
        )
        uids = InstanceUids(parameters.study, parameters.series, parameters.object)
        shown = self._showing.find(uids, (parameters.frame,) if parameters.frame else ())
        ranges = accepted(request.headers.get("Accept", ""), parameters.content_type)
        offer = choose(ranges, self._offers(shown, parameters))
        if offer.kind == DICOM:
            asked = ",".join(found for r in ranges if (found := r.get("transfer-syntax")))
            return self._dicom(shown.instance, parameters, parameters.transfer_syntax or asked)
        if parameters.anonymize:
            raise BadRequest(f"anonymize is for contentType={DICOM} alone (PS3.18 9.1.2.1.2)")
        self._retrieve.record_viewed(parameters.study, origin(), "rendered")
        options = parameters.options(offer.kind)
        if parameters.presentation is None:
            return self._showing.whole(shown, options)
        series, instance = parameters.presentation
        check_uids(presentationSeriesUID=series, presentationUID=instance)
        state = self._showing.find(InstanceUids(parameters.study, series, instance))
        return self._presented.image(shown, state.instance, options)

    def _offers(self, shown: Shown, parameters: UriParameters) -> list[Offer]:
        """Images as JPEG, unless they have several frames and nothing is said of how they shall look;
        text as HTML (9.1.2.1.1).
        """
        whole = [] if parameters.frame else [Offer(DICOM)]
        if parameters.is_for_dicom_only:
            return whole or [Offer(DICOM)]
        try:
            looks = [offer for offer in self._showing.offers(shown) if not offer.is_multipart]
        except NotAcceptable:
            return [Offer(DICOM)]
        has_many = shown.form is Form.VIDEO or (shown.form is Form.IMAGE and shown.count > 1)
        return whole + looks if has_many and not parameters.is_for_looking else looks + whole

    def _dicom(self, stored: StoredInstance, parameters: UriParameters, asked: str) -> Response:
        if parameters.anonymize:
            return self._anonymous(stored, asked)
        syntax = _syntax(asked, self._delivery.syntaxes(stored.transfer_syntax_uid))

        def respond() -> Response:
            opened, found = self._opened(stored, syntax, is_asked=bool(asked))
            chunks = self._audited(opened.chunks, stored)
            response = Response(Stream(chunks, correlation_id()))
            response.content_type = f"{DICOM}; transfer-syntax={found}"
            if opened.length >= 0:
                response.content_length = opened.length
            name = stored.uids.sop_instance_uid
            response.headers["Content-Disposition"] = f'inline; filename="{name}.dcm"'
            return response

        return conditional(stored.object_tag, syntax, respond)

    def _opened(self, stored: StoredInstance, syntax: str, *, is_asked: bool) -> tuple[Opened, str]:
        """The object and its transfer syntax: as stored where it can't be decoded and none was asked for."""
        try:
            return self._delivery.open(stored, syntax), syntax
        except Unsupported:
            if is_asked:
                raise
        syntax = stored.transfer_syntax_uid
        return self._delivery.open(stored, syntax), syntax

    def _anonymous(self, stored: StoredInstance, asked: str) -> Response:
        """A new object of the image, without its patient."""
        syntax = _syntax(asked, (EXPLICIT_VR_LITTLE_ENDIAN,))

        def respond() -> Response:
            body = self._anonymizing.file(stored)
            self._retrieve.record_retrieved([stored], origin())
            return Response(body, content_type=f"{DICOM}; transfer-syntax={syntax}")

        return conditional(stored.object_tag, f"anonymous {self._anonymizing.version}", respond)

    def _audited(self, chunks: Chunks, stored: StoredInstance) -> Chunks:
        """`chunks`; that all were sent is audited."""
        to = origin()
        yield from chunks
        try:
            self._retrieve.record_retrieved([stored], to)
        except VnaError as exc:
            log.error(  # noqa: TRY400 – the message says all
                "retrieve not audited: %s", exc, extra={"correlation": to.correlation_id}
            )


def _syntax(asked: str, available: tuple[str, ...]) -> str:
    """The transfer syntax to answer in: without a wish explicit little endian, where that can be had.

    `available` begins with the stored one. Raises NotAcceptable.
    """
    wishes = [uid.strip() for uid in asked.split(",") if uid.strip()]
    if not wishes:
        is_there = EXPLICIT_VR_LITTLE_ENDIAN in available
        return EXPLICIT_VR_LITTLE_ENDIAN if is_there else available[0]
    for uid in wishes:
        if uid == "*":
            return available[0]
        if uid in available and uid not in _NEVER:
            return uid
    names = ", ".join(uid for uid in available if uid not in _NEVER)
    raise NotAcceptable(f"transferSyntax={asked[:80]!r} is not available here; available: {names}")
