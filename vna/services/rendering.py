"""Show stored instances as images and films, and keep those that were shown lately (PS3.18 10.4.1.1.3)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from vna.dicom.rendering.frames import check_description
from vna.dicom.rendering.geometry import check_size
from vna.dicom.rendering.header import RelevantHeader
from vna.dicom.rendering.header_reading import read_relevant
from vna.dicom.rendering.options import ANIMATED, RenderOptions
from vna.dicom.rendering.render import DEFAULT_MAX_PIXELS, RENDERING_VERSION, render_frames
from vna.errors import NotFound, Unsupported
from vna.metrics import RENDERED_IMAGES
from vna.model.found_frames import FoundFrames
from vna.model.instances import StoredInstance
from vna.recent import Recent
from vna.services.decoders import Decoding
from vna.services.document_cache import DocumentCache, Turns
from vna.services.frames import FrameService
from vna.services.header_bytes import header_bytes
from vna.services.retrieve import RetrieveService

_HEADER_SHARE = 8
"""Headers may take this part of the cache's bytes, beyond the images."""

_FILM = 4
"""All frames of a film may have so many times the pixels of one image."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A rendered image or film and its entity tag (unquoted): equal tags, equal bytes."""

    media_type: str
    body: bytes
    etag: str


@dataclass(frozen=True, slots=True)
class RenderSettings:
    """`cache_bytes` of images are kept in memory; rendered are at most `max_pixels` to an image, from
    frames of `max_bytes` in all, as they are stored, and each as it is decoded.
    """

    cache_bytes: int = 32 * 2**20
    max_pixels: int = DEFAULT_MAX_PIXELS
    max_bytes: int = 512 * 2**20


class RenderService:
    """Renders frames in a decoder process; what came of it is kept by content."""

    def __init__(
        self,
        retrieve: RetrieveService,
        frames: FrameService,
        decoders: Decoding,
        settings: RenderSettings,
    ) -> None:
        self._retrieve, self._frames = retrieve, frames
        self._decoders, self._settings = decoders, settings
        self._images = DocumentCache(settings.cache_bytes)
        self._headers: Recent[str, RelevantHeader] = Recent(
            settings.cache_bytes // _HEADER_SHARE, lambda header: header.size
        )
        self._turns = Turns()

    def etag(self, instance: StoredInstance, frames: Sequence[int], options: RenderOptions) -> str:
        """The entity tag that `render` would give."""
        numbers = tuple(_numbers(instance, frames, options))
        if options.drawing:
            options = replace(options, drawing=hashlib.blake2b(options.drawing).digest())
        what = (RENDERING_VERSION, instance.dataset_digest, instance.correction, numbers, options)
        return hashlib.blake2b(repr(what).encode(), digest_size=16).hexdigest()

    def render(
        self,
        instance: StoredInstance,
        frames: Sequence[int],
        options: RenderOptions,
        found: FoundFrames | None = None,
    ) -> Rendered:
        """The frames with these numbers (from 1; none: all of them) as one file of `options.media_type`.

        A still image shows the first of them, a film all. `found`: where frames of the instance lie, for
        who knows that already. Raises NotFound for an instance without pixels
        or without such a frame, InvalidQuery for a viewport that is too large or outside of the image,
        Unsupported for pixels that can't be shown and for films that would take too much, Corrupt,
        Unavailable, and what Decoders.call raises.
        """
        etag = self.etag(instance, frames, options)
        body = self._images.get(etag)
        if body is not None:
            RENDERED_IMAGES.labels(options.media_type, "memory").inc()
            return Rendered(options.media_type, body, etag)
        with self._turns.of(etag):  # who waited finds what the first one made
            body = self._images.get(etag)
            if body is None:
                numbers = tuple(_numbers(instance, frames, options))
                places = self._found(instance, numbers, options, found)
                body = self._rendered(places, options)
                etag = self.etag(places.instance, places.numbers, options)
                self._images.put(etag, body)
                RENDERED_IMAGES.labels(options.media_type, "made").inc()
        return Rendered(options.media_type, body, etag)

    def _found(
        self,
        instance: StoredInstance,
        numbers: tuple[int, ...],
        options: RenderOptions,
        known: FoundFrames | None,
    ) -> FoundFrames:
        if options.viewport is not None:
            viewport = options.viewport
            check_size((viewport.width, viewport.height), self._settings.max_pixels)
        if min(numbers) < 1:
            raise NotFound(f"frames are numbered from 1: there is no frame {min(numbers)}")
        if instance.layout.pixel_offset < 0:
            raise NotFound(f"instance {instance.uids.sop_instance_uid} has no pixels to render")
        if known is not None and known.spans and known.numbers == numbers:
            return known
        return self._frames.find(instance.uids, numbers)

    def _rendered(self, found: FoundFrames, options: RenderOptions) -> bytes:
        header = self._header(found.instance)
        self._check(header, len(found.numbers), options)
        frames, syntax = self._read(found)
        return self._decoders.call(
            render_frames,
            header.of_frames(found.numbers),
            frames,
            syntax,
            options,
            found.numbers,
            self._settings.max_pixels,
        )

    def _check(self, header: RelevantHeader, count: int, options: RenderOptions) -> None:
        """What the header declares, before anything of that size is read or decoded."""
        description, settings = header.description, self._settings
        check_description(description)
        if description.frame_bytes > settings.max_bytes:
            raise Unsupported(
                f"A frame of {description.frame_bytes} bytes is more than is rendered "
                f"({settings.max_bytes})"
            )
        width, height = description.columns, description.rows
        if options.viewport is not None:
            width, height = options.viewport.width or width, options.viewport.height or height
        if count > 1 and count * width * height > _FILM * settings.max_pixels:
            raise Unsupported(
                f"A film of {count} frames of {width} by {height} pixels is more than is rendered "
                f"({_FILM * settings.max_pixels} pixels): ask for fewer frames or a smaller viewport"
            )

    def _read(self, found: FoundFrames) -> tuple[list[bytes], str]:
        """The frames, and the transfer syntax that they are in."""
        data, syntax, size = list[bytes](), "", 0
        for frame in self._frames.read_verified(found):
            data.append(frame.data)
            syntax, size = frame.transfer_syntax_uid, size + len(frame.data)
            if size > self._settings.max_bytes:
                raise Unsupported(
                    f"{len(found.numbers)} frames have more bytes than are rendered at once "
                    f"({self._settings.max_bytes}): ask for fewer frames"
                )
        return data, syntax

    def _header(self, instance: StoredInstance) -> RelevantHeader:
        key = repr((instance.dataset_digest, instance.correction))
        header = self._headers.get(key)
        if header is None:
            header = self._read_header(instance)
            self._headers.put(key, header)
        return header

    def _read_header(self, instance: StoredInstance) -> RelevantHeader:
        layout = instance.layout
        with header_bytes(self._retrieve, instance) as header:
            return read_relevant(
                header.data,
                dataset_offset=layout.dataset_offset,
                transfer_syntax_uid=header.transfer_syntax_uid,
                stop=header.stop,
                tail=header.tail,
            )


def _numbers(
    instance: StoredInstance, frames: Sequence[int], options: RenderOptions
) -> Sequence[int]:
    numbers = frames or range(1, max(1, instance.number_of_frames) + 1)
    return numbers if options.media_type in ANIMATED else numbers[:1]
