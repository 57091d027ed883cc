"""What a rendered image shall be like: the rendering parameters of PS3.18 8.3.5.1 as values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

JPEG, PNG, GIF, MP4 = "image/jpeg", "image/png", "image/gif", "video/mp4"
MEDIA_TYPES = (JPEG, PNG, GIF, MP4)
"""What can be rendered, the usual one first."""

ANIMATED = frozenset({GIF, MP4})
"""Media types that hold several frames."""

ANNOTATIONS = ("patient", "technique")
ICC_PROFILES = ("no", "yes", "srgb", "adobergb", "rommrgb", "displayp3")


class VoiFunction(StrEnum):
    """How a window maps values to grey (PS3.3 C.11.2.1.2, C.11.2.1.3)."""

    LINEAR = "LINEAR"
    LINEAR_EXACT = "LINEAR_EXACT"
    SIGMOID = "SIGMOID"


@dataclass(frozen=True, slots=True)
class Window:
    """A VOI window on the output of the modality LUT (8.3.5.1.4)."""

    center: float
    width: float
    function: VoiFunction = VoiFunction.LINEAR


@dataclass(frozen=True, slots=True)
class Viewport:
    """A rectangle of the image, scaled to fit `width` by `height` pixels without distortion (8.3.5.1.3).

    `source_width` and `source_height` are None up to the right and lower edge; negative ones flip the
    image. A `width` or `height` of 0 puts no bound on that side.
    """

    width: int
    height: int
    source_x: float = 0.0
    source_y: float = 0.0
    source_width: float | None = None
    source_height: float | None = None


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of the image in parts of its size, 0 to 1, as the WADO-URI gives it (9.1.2.2.2)."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """All that a client may ask of a rendered image; hashable, and of equal values for equal images.

    `annotation`: some of ANNOTATIONS, burnt in. `icc_profile`: one of ICC_PROFILES. `region` is cut out
    before `viewport` scales. `quality` is 1 to 100, for the lossy media types. `rotation`: degrees
    clockwise, a multiple of 90, by which the image is turned last. `presentation`: JSON of the elements
    that a presentation state has in place of those of the image; `drawing`: of those that it has for
    shutters, overlays, graphics and text, b"" where no state is applied.
    """

    media_type: str = JPEG
    viewport: Viewport | None = None
    window: Window | None = None
    quality: int | None = None
    annotation: tuple[str, ...] = ()
    icc_profile: str = "no"
    region: Region | None = None
    presentation: bytes = b""
    drawing: bytes = b""
    rotation: int = 0
