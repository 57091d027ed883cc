"""Retrieve rendered: what is stored as people look at it (PS3.18 10.4.1.1.3)."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from flask import Flask, Response, request

from dicomweb.context import asked_types, correlation_id, origin
from dicomweb.errors import NotAcceptable
from dicomweb.frames import frame_numbers
from dicomweb.media import MediaType
from dicomweb.metadata import selection
from dicomweb.multipart_answers import Part, multipart
from dicomweb.negotiate import Offer, choose
from dicomweb.presented import Presented
from dicomweb.showing import Showing, Shown, nothing_to_see
from dicomweb.urls import INSTANCE, LEVELS, Urls, check_uids
from dicomweb.views import options_of
from vna.dicom.documents import Form, form_of, rank, representative
from vna.dicom.rendering.options import RenderOptions
from vna.errors import NotFound, Unsupported
from vna.model.identifiers import InstanceUids
from vna.model.instances import StoredInstance
from vna.services.retrieve import RetrieveService

log = logging.getLogger(__name__)


class Rendered:
    """The retrieve transactions for rendered resources."""

    def __init__(
        self, retrieve: RetrieveService, showing: Showing, presented: Presented, urls: Urls
    ) -> None:
        self._retrieve, self._showing = retrieve, showing
        self._presented, self._urls = presented, urls

    def register(self, app: Flask) -> None:
        """Add the routes to `app`."""
        for path in LEVELS:
            app.add_url_rule(f"{path}/rendered", f"rendered {path}", self.instances)
        app.add_url_rule(f"{INSTANCE}/frames/<numbers>/rendered", "rendered frames", self.frames)

    def instances(self, study: str, series: str = "", instance: str = "") -> Response:
        """Everything that the path names; several instances as parts, or one that stands for them."""
        check_uids(study=study, series=series, instance=instance)
        if instance:
            return self._one(self._showing.find(InstanceUids(study, series, instance)))
        found = self._retrieve.select(selection(study, series))
        if not found:
            raise NotFound(f"the archive has nothing at {request.path.removesuffix('/rendered')}")
        if len(found) == 1:
            return self._one(self._showing.shown(found[0]))
        return self._several(found)

    def frames(self, study: str, series: str, instance: str, numbers: str) -> Response:
        """Frames in the order of the list: as parts, or in an animation."""
        check_uids(study=study, series=series, instance=instance)
        wanted = frame_numbers(numbers)
        return self._one(self._showing.find(InstanceUids(study, series, instance), wanted))

    def _one(self, shown: Shown) -> Response:
        if shown.form is Form.PRESENTATION:
            self._view(shown.instance)
            return self._presented.rendered(shown.instance, asked_types())
        offer = choose(asked_types(), self._showing.offers(shown))
        options = options_of(offer.kind, request.args)
        self._view(shown.instance)
        if not offer.is_multipart:
            return self._showing.whole(shown, options)
        return multipart(offer.kind, self._showing.parts(shown, options, self._urls.studies()))

    def _several(self, found: Sequence[StoredInstance]) -> Response:
        ranges, choices = asked_types(), _Choices(self._showing)
        everything = [choices.add(instance) for instance in found]
        ranks = [rank(shown.form, shown.instance.sop_class_uid) for shown in everything]
        middle = everything[representative(ranks)]
        alone = [offer for offer in choices.offers(middle) if not offer.is_multipart]
        parts = choices.parts()
        offers = [*alone, *parts] if _is_browser(ranges) else [*parts, *alone]
        if not offers:
            raise nothing_to_see(f"none of the {len(found)} instances")
        offer = choose(ranges, offers)
        self._view(found[0])
        if not offer.is_multipart:
            return self._showing.whole(middle, options_of(offer.kind, request.args))
        wanted = choices.wanted(everything, ranges)
        response = multipart(wanted[0][1], self._parts(wanted))
        if len(wanted) < len(found):
            missing = len(found) - len(wanted)
            response.headers["Warning"] = (
                f'299 - "{missing} of {len(found)} instances are not in this answer: '
                'none of the accepted media types shows them"'
            )
        return response

    def _parts(self, wanted: Sequence[tuple[Shown, str]]) -> Iterator[Part]:
        options = {kind: options_of(kind, request.args) for kind in {kind for _, kind in wanted}}
        return self._supported(wanted, options, (correlation_id(), self._urls.studies()))

    def _supported(
        self,
        wanted: Sequence[tuple[Shown, str]],
        options: Mapping[str, RenderOptions],
        request_facts: tuple[str, str],
    ) -> Iterator[Part]:
        """The parts of all that can be decoded. Raises Unsupported or NotFound when nothing can.

        `request_facts`: correlation id, and the URL of all studies.
        """
        correlation, studies = request_facts
        refused: Unsupported | NotFound | None = None
        is_begun = False
        for shown, kind in wanted:
            try:
                for part in self._showing.parts(shown, options[kind], studies):
                    is_begun = True
                    yield part
            except (Unsupported, NotFound) as exc:
                refused = exc
                uid = shown.instance.uids.sop_instance_uid
                log.warning("not rendered: %s: %s", uid, exc, extra={"correlation": correlation})
        if refused is not None and not is_begun:
            raise refused

    def _view(self, instance: StoredInstance) -> None:
        self._retrieve.record_viewed(instance.uids.study_instance_uid, origin(), "rendered")


@dataclass(slots=True)
class _Choices:
    """The offers of many instances, which are of few kinds."""

    showing: Showing
    by_kind: dict[object, list[Offer]] = field(default_factory=dict)

    def add(self, instance: StoredInstance) -> Shown:
        shown = Shown(instance, form_of(instance))
        if _kind(shown) not in self.by_kind:
            try:
                offers = self.showing.offers(shown)
            except NotAcceptable:
                offers = []
            self.by_kind[_kind(shown)] = offers
        return shown

    def offers(self, shown: Shown) -> list[Offer]:
        return self.by_kind[_kind(shown)]

    def parts(self) -> list[Offer]:
        found = (
            offer for offers in self.by_kind.values() for offer in offers if offer.is_multipart
        )
        return list(dict.fromkeys(found))

    def wanted(
        self, everything: Sequence[Shown], ranges: Sequence[MediaType]
    ) -> list[tuple[Shown, str]]:
        """The instances that can be given, each in the best of the accepted types."""
        kinds = {kind: _best_part(ranges, offers) for kind, offers in self.by_kind.items()}
        return [(shown, kind) for shown in everything if (kind := kinds[_kind(shown)])]


def _is_browser(ranges: Sequence[MediaType]) -> bool:
    """Whether whoever asks would rather have a page or a picture: browsers can't read parts."""
    return any(wanted.kind in {"text/html", "image/*"} for wanted in ranges)


def _kind(shown: Shown) -> object:
    instance = shown.instance
    is_known = shown.form.value, instance.transfer_syntax_uid, shown.count > 1
    return *is_known, instance.sop_class_uid


def _best_part(ranges: Sequence[MediaType], offers: Sequence[Offer]) -> str:
    parts = [offer for offer in offers if offer.is_multipart]
    try:
        return choose(ranges, parts).kind if parts else ""
    except NotAcceptable:
        return ""
