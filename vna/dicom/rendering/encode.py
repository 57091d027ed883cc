"""Rendered images as files of the media type asked for."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator, Sequence

from PIL import Image

from vna.dicom.rendering.gif import write_gif
from vna.dicom.rendering.icc import with_profile
from vna.dicom.rendering.mp4 import write_mp4
from vna.dicom.rendering.options import GIF, JPEG, MP4, PNG, RenderOptions
from vna.errors import Unsupported

DEFAULT_QUALITY = 90
_FILM_QUALITY = 85
_WHOLE_CHROMA_FROM = 85


def encode(
    images: Iterator[Image.Image],
    durations: Sequence[int],
    options: RenderOptions,
    own_profile: bytes,
) -> bytes:
    """One file of all `images`; a JPEG or PNG of the first. Raises Unsupported for other types."""
    if options.media_type in {JPEG, PNG}:
        return _still(next(images), options, own_profile)
    films = (with_profile(image, own_profile, options.icc_profile)[0] for image in images)
    if options.media_type == GIF:
        return write_gif(films, durations)
    if options.media_type == MP4:
        return write_mp4(films, durations, options.quality or _FILM_QUALITY)
    raise Unsupported(f"There is no rendering to {options.media_type}")


def _still(image: Image.Image, options: RenderOptions, own_profile: bytes) -> bytes:
    image, profile = with_profile(image, own_profile, options.icc_profile)
    out = io.BytesIO()
    if options.media_type == PNG:
        # runs only: on pixels with noise a third of the time, for files of the same size
        image.save(out, "PNG", compress_type=zlib.Z_RLE, icc_profile=profile)
    else:
        quality = options.quality or DEFAULT_QUALITY
        subsampling = 0 if quality >= _WHOLE_CHROMA_FROM else 2
        image.save(out, "JPEG", quality=quality, subsampling=subsampling, icc_profile=profile)
    return out.getvalue()
