"""Retrieve thumbnails: one small image that stands for what the path names (PS3.18 10.4.1.1.4)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from flask import Flask, Response, request

from dicomweb.bodies import conditional
from dicomweb.context import asked_types, origin
from dicomweb.frames import frame_numbers
from dicomweb.metadata import selection
from dicomweb.negotiate import Offer, choose
from dicomweb.showing import Showing, Shown
from dicomweb.urls import INSTANCE, LEVELS, check_uids
from dicomweb.views import options_of
from vna.dicom.documents import Form, Rank, likely_form, rank, representative
from vna.dicom.icons import ICON_VERSION, icon
from vna.dicom.rendering.options import GIF, JPEG, PNG, RenderOptions, Viewport
from vna.errors import NotFound, Unsupported
from vna.model.chosen import Kind
from vna.model.identifiers import InstanceUids
from vna.model.instances import StoredInstance
from vna.services.retrieve import RetrieveService

_OFFERS = (Offer(JPEG, aliases=("image/jpg",)), Offer(PNG), Offer(GIF))
_USUAL = Viewport(256, 256)


class Thumbnails:
    """The retrieve transactions for thumbnails: never more than one image, without any text on it."""

    def __init__(self, retrieve: RetrieveService, showing: Showing) -> None:
        self._retrieve, self._showing = retrieve, showing

    def register(self, app: Flask) -> None:
        """Add the routes to `app`."""
        for path in LEVELS:
            app.add_url_rule(f"{path}/thumbnail", f"thumbnail {path}", self.thumbnail)
        frames = f"{INSTANCE}/frames/<numbers>/thumbnail"
        app.add_url_rule(frames, "thumbnail of frames", self.thumbnail)

    def thumbnail(
        self, study: str, series: str = "", instance: str = "", numbers: str = ""
    ) -> Response:
        """The image; an icon for what is none, or for one that can't be decoded."""
        check_uids(study=study, series=series, instance=instance)
        wanted = frame_numbers(numbers) if numbers else []
        offer = choose(asked_types(), _OFFERS)
        asked = options_of(offer.kind, request.args)
        options = RenderOptions(offer.kind, viewport=asked.viewport or _USUAL)
        if instance:
            shown = self._showing.find(InstanceUids(study, series, instance), wanted)
        else:
            shown = self._showing.shown(self._one(study, series))
        self._retrieve.record_viewed(study, origin(), "thumbnail")
        return self._answer(shown, options)

    def _answer(self, shown: Shown, options: RenderOptions) -> Response:
        middle = (shown.instance.number_of_frames + 1) // 2
        is_image = shown.form is Form.IMAGE
        frames = (self._showing.frame_for_all(shown, middle),) if is_image else (1,)
        return conditional(
            self._showing.image_etag(shown.instance, frames, options),
            f"thumbnail {ICON_VERSION} {shown.form}",
            lambda: Response(self._image(shown, frames, options), content_type=options.media_type),
        )

    def _one(self, study: str, series: str) -> StoredInstance:
        """The instance that stands for all: a few bytes of each are looked at."""
        chosen = self._retrieve.choose(selection(study, series))
        if not len(chosen):
            raise NotFound(f"the archive has nothing at {request.path.rpartition('/')[0]}")
        ranks = [_rank(kind) for kind in chosen.kinds]
        place = representative([ranks[number] for number in chosen.kind_numbers])
        found = self._retrieve.load([chosen.ids[place]])
        if not found:
            raise NotFound("the instance was deleted meanwhile")
        return found[0]

    def _image(self, shown: Shown, frames: Sequence[int], options: RenderOptions) -> bytes:
        if shown.form is Form.IMAGE:
            with suppress(Unsupported, NotFound):
                return self._showing.image(shown.instance, frames, options, shown.found)
        viewport = options.viewport or _USUAL
        return icon(shown.form, options.media_type, min(viewport.width, viewport.height))


def _rank(kind: Kind) -> Rank:
    form = likely_form(kind.sop_class_uid, kind.transfer_syntax_uid)
    return rank(form, kind.sop_class_uid)
