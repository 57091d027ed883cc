"""Stored frames as an image or a film for people to look at (PS3.18 8.3.5, 10.4.1.1.3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import orjson
from PIL import Image

from vna.dicom.rendering.annotation import annotated
from vna.dicom.rendering.attributes import Attributes
from vna.dicom.rendering.encode import encode
from vna.dicom.rendering.film import durations
from vna.dicom.rendering.frames import StoredFrames, check_description
from vna.dicom.rendering.geometry import check_size, pixel_aspect, placement
from vna.dicom.rendering.graphics import drawn
from vna.dicom.rendering.grey import Span, Voi, widest
from vna.dicom.rendering.header import describe_image, frame_attributes, presented
from vna.dicom.rendering.icc import own_profile
from vna.dicom.rendering.mp4 import MAX_VIDEO_PIXELS
from vna.dicom.rendering.options import ANIMATED, MP4, RenderOptions
from vna.dicom.rendering.picture import own_span, picture
from vna.dicom.rendering.plane import plane_of
from vna.dicom.rendering.untouched import untouched_jpeg

RENDERING_VERSION = 2
"""Counts the changes of what the same pixels become: caches and entity tags hold it."""

DEFAULT_MAX_PIXELS = 64 * 2**20
_TURNS = {  # PIL turns against the clock
    90: Image.Transpose.ROTATE_270,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_90,
}


def render_frames(
    header: bytes,
    frames: Sequence[bytes],
    transfer_syntax_uid: str,
    options: RenderOptions,
    numbers: Sequence[int] = (),
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> bytes:
    """`frames` (each as stored, its fragments joined) as one file of `options.media_type`.

    `header`: a JSON object of the DICOM JSON model, whose n-th per-frame functional group is that of the
    n-th frame, with the values of look-up tables and overlays in it. `numbers` are those of the frames
    (from 1; the default: one after the other). A still image shows the first frame, a film all of them.

    Raises Unsupported for pixels that can't be decoded or shown, InvalidQuery for a source rectangle
    outside of the image or a size of more than `max_pixels`.
    """
    attributes = Attributes(orjson.loads(header))
    if options.presentation:
        attributes = presented(attributes, options.presentation)
    if options.media_type not in ANIMATED:
        frames, numbers = frames[:1], numbers[:1]
    untouched = untouched_jpeg(attributes, frames, transfer_syntax_uid, options)
    if untouched is not None:
        return untouched
    numbers = numbers or range(1, len(frames) + 1)
    stored = StoredFrames(attributes, numbers, frames, transfer_syntax_uid)
    images = _images(stored, options, max_pixels)
    return encode(images, durations(attributes, numbers), options, own_profile(attributes))


def _images(stored: StoredFrames, options: RenderOptions, max_pixels: int) -> Iterator[Image.Image]:
    description = describe_image(stored.attributes)
    check_description(description)
    aspect = pixel_aspect(frame_attributes(stored.attributes, 0))
    place = placement((description.columns, description.rows), aspect, options)
    is_video = options.media_type == MP4
    check_size(place.size, min(max_pixels, MAX_VIDEO_PIXELS) if is_video else max_pixels)
    voi = options.window or _common_span(stored)
    state = Attributes(orjson.loads(options.drawing)) if options.drawing else None
    for frame in stored.decoded():
        image = place.place(picture(frame, voi, state))
        if options.rotation in _TURNS:
            image = image.transpose(_TURNS[options.rotation])
        if state is not None:
            image = drawn(image, state, plane_of(place, options.rotation, state))
        if options.annotation:
            image = annotated(image, frame.attributes, options.annotation)
        yield image


def _common_span(stored: StoredFrames) -> Voi | None:
    """What a film shows of frames whose header does not say it: the same of each, so that it does not flicker."""
    spans: list[Span] = []
    for frame in stored.decoded() if len(stored.data) > 1 else ():
        span = own_span(frame)
        if span is None:
            return None
        spans.append(span)
    return widest(spans) if spans else None
