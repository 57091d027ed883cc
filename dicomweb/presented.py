"""Images as presentation states want them shown (PS3.18 9.1.2.2.8, 10.4.1.1.3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

from flask import Response, request

from dicomweb.errors import BadRequest, NotAcceptable
from dicomweb.media import MediaType
from dicomweb.multipart_answers import Part, multipart
from dicomweb.negotiate import choose
from dicomweb.showing import Showing, Shown
from dicomweb.urls import Urls, instance_path
from dicomweb.views import image_offers, options_of
from vna.dicom.documents import Form, form_of
from vna.dicom.json_reading import Dataset, number
from vna.dicom.presentation_state import PresentationState, read_state, referenced_images
from vna.dicom.rendering.options import RenderOptions
from vna.errors import Unsupported
from vna.model.identifiers import Selection
from vna.model.instances import StoredInstance
from vna.services.encapsulated import DocumentService
from vna.services.retrieve import RetrieveService

_MOST = 10_000
_ROWS, _COLUMNS = "00280010", "00280011"


class Presented:
    """Applies the grey scale, the turning and the displayed area of softcopy presentation states."""

    def __init__(
        self, retrieve: RetrieveService, documents: DocumentService, showing: Showing, urls: Urls
    ) -> None:
        self._retrieve, self._documents = retrieve, documents
        self._showing, self._urls = showing, urls

    def image(self, shown: Shown, state: StoredInstance, options: RenderOptions) -> Response:
        """A frame of `shown`; `options` may bound its size. What can't be drawn is named in a Warning.

        Raises BadRequest for what is no image, InvalidQuery, Unsupported, Corrupt, Unavailable.
        """
        if shown.form is not Form.IMAGE:
            raise BadRequest("a presentation state is for images")
        frame = self._showing.frame_for_all(shown)
        return self._image(shown.instance, frame, self._documents.state(state), options)

    def rendered(self, state: StoredInstance, ranges: Sequence[MediaType]) -> Response:
        """What a state is for: its images as parts, or the first of them.

        Raises NotAcceptable when the archive has none of them, and as `image`.
        """
        dataset = self._documents.state(state)
        frames = list(islice(self._frames(state, dataset), _MOST + 1))
        if len(frames) > _MOST:
            raise Unsupported(f"the presentation state refers to more than {_MOST} frames")
        if not frames:
            raise NotAcceptable(
                f"the archive has no image that presentation state {state.uids.sop_instance_uid} "
                "refers to; available: application/dicom"
            )
        offer = choose(ranges, image_offers(1))
        options = options_of(offer.kind, request.args)
        if not offer.is_multipart:
            return self._image(*frames[0], dataset, options)
        location = f"{self._urls.studies()}{instance_path(state.uids)}/rendered"
        return multipart(offer.kind, self._parts(frames, dataset, options, location))

    def _parts(
        self,
        frames: Sequence[tuple[StoredInstance, int]],
        state: Dataset,
        options: RenderOptions,
        location: str,
    ) -> Iterator[Part]:
        sizes: dict[int, tuple[int, int]] = {}
        for instance, frame in frames:
            if instance.instance_id not in sizes:
                sizes = {instance.instance_id: self._size(instance)}
            found = read_state(
                state, instance.uids.sop_instance_uid, frame, sizes[instance.instance_id]
            )
            wanted = _with_state(options, found)
            body = self._showing.image(instance, (frame,), wanted)
            yield Part(options.media_type, location, (body,))

    def _image(
        self, instance: StoredInstance, frame: int, state: Dataset, options: RenderOptions
    ) -> Response:
        found = read_state(state, instance.uids.sop_instance_uid, frame, self._size(instance))
        shown = Shown(instance, Form.IMAGE, (frame,))
        response = self._showing.whole(shown, _with_state(options, found))
        if found.not_shown:
            response.headers["Warning"] = (
                f'299 - "not drawn of the presentation state: {", ".join(found.not_shown)}"'
            )
        return response

    def _size(self, instance: StoredInstance) -> tuple[int, int]:
        header = self._documents.header(instance)
        return int(number(header, _COLUMNS) or 0), int(number(header, _ROWS) or 0)

    def _frames(
        self, state: StoredInstance, dataset: Dataset
    ) -> Iterator[tuple[StoredInstance, int]]:
        """The images that a state refers to and the archive has, frame by frame."""
        references = referenced_images(dataset)
        uids = tuple(dict.fromkeys(reference.sop_instance_uid for reference in references))
        if not uids:
            return
        study = state.uids.study_instance_uid
        stored = {
            instance.uids.sop_instance_uid: instance
            for instance in self._retrieve.select(
                Selection(study_instance_uids=(study,), sop_instance_uids=uids)
            )
        }
        for reference in references:
            instance = stored.get(reference.sop_instance_uid)
            if instance is not None and form_of(instance) is Form.IMAGE:
                count = max(1, instance.number_of_frames)
                for frame in reference.frames or range(1, count + 1):
                    if 1 <= frame <= count:
                        yield instance, frame


def _with_state(options: RenderOptions, state: PresentationState) -> RenderOptions:
    """`options` with all that `state` says, within the bounds that they have."""
    bounds = options.viewport
    columns, rows = (bounds.width, bounds.height) if bounds else (0, 0)
    return replace(
        options,
        viewport=state.viewport(columns, rows),
        rotation=state.rotation,
        presentation=state.elements,
        drawing=state.drawing,
    )
