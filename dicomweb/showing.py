"""Instances as people look at them: images, videos, documents and reports as parts or as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

from flask import Response, request

from dicomweb.bodies import conditional
from dicomweb.documents import document_answer, page, pieces, wanted_charset
from dicomweb.errors import NotAcceptable
from dicomweb.media import DICOM
from dicomweb.multipart_answers import Part
from dicomweb.negotiate import Offer, or_else
from dicomweb.urls import Urls, instance_path, series_path
from dicomweb.views import document_offers, image_offers, is_clip, report_offers, video_offers
from vna.dicom.documents import HTML, Form
from vna.dicom.rendering.options import RenderOptions
from vna.dicom.sr_html import report_html
from vna.dicom.sr_text import report_text
from vna.errors import NotFound
from vna.model.found_frames import FoundFrames
from vna.model.identifiers import InstanceUids
from vna.model.instances import StoredInstance
from vna.services.encapsulated import DocumentService
from vna.services.rendering import RenderService
from vna.services.retrieve import RetrieveService

REPORT_VERSION = 1
"""Counts the changes of what a report becomes: entity tags hold it."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A stored instance and its form; `frames` are those that are asked for, () for no certain ones.
    `found`: where these lie, or the first one; None where that is not known yet.
    """

    instance: StoredInstance
    form: Form
    frames: tuple[int, ...] = ()
    found: FoundFrames | None = None

    @property
    def count(self) -> int:
        """How many frames are asked for."""
        return len(self.frames) or max(1, self.instance.number_of_frames)


class Showing:
    """Makes answers and parts of answers out of instances."""

    def __init__(
        self,
        retrieve: RetrieveService,
        rendering: RenderService,
        documents: DocumentService,
        urls: Urls,
    ) -> None:
        self._retrieve, self._rendering = retrieve, rendering
        self._documents, self._urls = documents, urls

    def find(self, uids: InstanceUids, frames: Sequence[int] = ()) -> Shown:
        """An instance of the archive, and of its frames those that are asked for.

        It is looked into where its class does not say what it is. Raises NotFound where there is no such
        instance or frame, Corrupt, Unavailable.
        """
        found = self._retrieve.find_frames(uids, frames or (1,))
        if found is None:
            raise NotFound(
                f"the archive has no instance {uids.sop_instance_uid} in series "
                f"{uids.series_instance_uid} of study {uids.study_instance_uid}"
            )
        return replace(self.shown(found.instance, frames), found=found)

    def shown(self, instance: StoredInstance, frames: Sequence[int] = ()) -> Shown:
        """`instance`, where it is known already. Raises as `find`."""
        for number in frames:
            if number > max(1, instance.number_of_frames):
                raise NotFound(
                    f"instance {instance.uids.sop_instance_uid} has {instance.number_of_frames} "
                    f"frames, no frame {number}"
                )
        form = self._documents.form(instance)
        if frames and form is not Form.IMAGE:
            raise NotFound(
                f"instance {instance.uids.sop_instance_uid} has no frames to look at one by one: it is "
                f"a {form}"
            )
        return Shown(instance, form, tuple(frames))

    def offers(self, shown: Shown) -> list[Offer]:
        """In which ways it can be given. Raises NotAcceptable when there is nothing to see."""
        match shown.form:
            case Form.IMAGE:
                return image_offers(shown.count, single_part=len(shown.frames) <= 1)
            case Form.VIDEO:
                return video_offers(shown.instance.transfer_syntax_uid)
            case Form.DOCUMENT:
                return document_offers(self._documents.document_type(shown.instance))
            case Form.REPORT:
                return report_offers()
        raise nothing_to_see(shown.instance.uids.sop_instance_uid)

    def whole(self, shown: Shown, options: RenderOptions) -> Response:
        """All of it as one body; 304 when the client has just that."""
        instance = shown.instance
        match shown.form:
            case Form.IMAGE:
                return self._image(shown, options)
            case Form.VIDEO:
                document = self._documents.video(instance)
            case Form.DOCUMENT:
                document = self._documents.document(instance)
            case _:
                return self._report(instance, options.media_type)
        name = instance.uids.sop_instance_uid
        return conditional(_etag(instance), "own type", lambda: document_answer(document, name))

    def image(
        self,
        instance: StoredInstance,
        frames: Sequence[int],
        options: RenderOptions,
        found: FoundFrames | None = None,
    ) -> bytes:
        """Frames as one image. Raises InvalidQuery, Unsupported, Corrupt, Unavailable."""
        return self._rendering.render(instance, frames, options, found).body

    def image_etag(
        self, instance: StoredInstance, frames: Sequence[int], options: RenderOptions
    ) -> str:
        """The entity tag of what `image` gives."""
        return self._rendering.etag(instance, frames, options)

    def parts(self, shown: Shown, options: RenderOptions, studies: str) -> Iterator[Part]:
        """All of it as parts of a multipart answer: of images one a frame, or an animation.

        `studies` is the URL of all studies: when a part is made, the request may be over.
        """
        location = studies + instance_path(shown.instance.uids)
        match shown.form:
            case Form.IMAGE:
                yield from self._image_parts(shown, options, location)
            case Form.VIDEO:
                yield Part(
                    options.media_type, location, pieces(self._documents.video(shown.instance))
                )
            case Form.DOCUMENT:
                document = self._documents.document(shown.instance)
                yield Part(options.media_type, location, pieces(document))
            case _:
                text = "".join(self._report_text(shown.instance, options.media_type, studies))
                kind = f"{options.media_type}; charset=utf-8"
                yield Part(kind, location, (text.encode("utf-8", "replace"),))

    def frame_for_all(self, shown: Shown, otherwise: int = 1) -> int:
        """The frame that stands for those asked for: the one the instance names, else `otherwise`."""
        if shown.frames:
            return shown.frames[0]
        return self._documents.representative_frame(shown.instance) or otherwise

    def _image(self, shown: Shown, options: RenderOptions) -> Response:
        if is_clip(options.media_type, shown.count):
            frames = shown.frames or tuple(range(1, shown.count + 1))
        else:
            frames = (self.frame_for_all(shown),)

        def respond() -> Response:
            body = self.image(shown.instance, frames, options, shown.found)
            return Response(body, content_type=options.media_type)

        with or_else([Offer(DICOM, transfer_syntax_uid=shown.instance.transfer_syntax_uid)]):
            return conditional(self.image_etag(shown.instance, frames, options), "", respond)

    def _image_parts(self, shown: Shown, options: RenderOptions, location: str) -> Iterator[Part]:
        instance, kind = shown.instance, options.media_type
        numbers = shown.frames or range(1, shown.count + 1)
        if is_clip(kind, shown.count):
            yield Part(kind, f"{location}/rendered", (self.image(instance, numbers, options),))
            return
        for number in numbers:
            image = self.image(instance, (number,), options)
            yield Part(kind, f"{location}/frames/{number}/rendered", (image,))

    def _report(self, instance: StoredInstance, media_type: str) -> Response:
        charset = wanted_charset(request.args.get("charset", ""))
        studies = self._urls.studies()
        return conditional(
            _etag(instance),
            f"{REPORT_VERSION} {media_type} {charset} {studies}",
            lambda: page(self._report_text(instance, media_type, studies), media_type, charset),
        )

    def _report_text(
        self, instance: StoredInstance, media_type: str, studies: str
    ) -> Iterator[str]:
        header = self._documents.header(instance)
        return report_html(header, _Link(studies)) if media_type == HTML else report_text(header)


@dataclass(frozen=True, slots=True)
class _Link:
    studies: str

    def __call__(self, study: str, series: str, instance: str) -> str:
        return f"{self.studies}{series_path(study, series)}/instances/{quote(instance, safe='')}/rendered"


def nothing_to_see(what: str) -> NotAcceptable:
    """There is no picture, document or report."""
    return NotAcceptable(
        f"{what} holds no picture, document or report; available: application/dicom, and its metadata "
        "as application/dicom+json"
    )


def _etag(instance: StoredInstance) -> str:
    return instance.dataset_tag
