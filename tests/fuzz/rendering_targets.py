"""What must hold when a stored object is shown: an image comes out, or it is said why none does."""

from __future__ import annotations

import io
from contextlib import suppress

import numpy as np
from PIL import Image

from tests import samples
from tests.unit.dicom.rendering.files import colour_image, grey_image, rendered_file
from vna.dicom.header import Header, read_header
from vna.dicom.rendering.header_reading import read_relevant
from vna.dicom.rendering.options import PNG, RenderOptions, Viewport
from vna.errors import InvalidInstance, InvalidQuery, Unsupported

_OPTIONS = RenderOptions(PNG, viewport=Viewport(24, 24), icc_profile="srgb")
_MAX_BYTES = 2**20
_ROOM = 128
"""So many times its samples a frame may need while it is rendered."""


def shown(data: bytes) -> None:
    """A small PNG, whatever the header says of the pixels."""
    if not 0 < _frame_bytes(data) <= _MAX_BYTES:
        return
    with suppress(InvalidInstance, InvalidQuery, Unsupported):
        image = Image.open(io.BytesIO(rendered_file(data, (1,), _OPTIONS)))
        image.load()
        assert max(image.size) <= 24


def expansion(data: bytes) -> int:
    """What rendering may need, beyond what its modules take once."""
    size = _frame_bytes(data)
    return 2**24 + size * _ROOM if size <= _MAX_BYTES else 0


def image_seeds() -> list[bytes]:
    """Images of each kind, each with some of what changes how it is shown."""
    grey = np.arange(64, dtype=np.uint16).reshape(8, 8)
    lut = {
        "LUTDescriptor": samples.Typed("US", [4, 0, 8]),
        "LUTData": samples.Typed("OW", bytes(range(8))),
    }
    palette = {
        f"{name}PaletteColorLookupTable{part}": value
        for name in ("Red", "Green", "Blue")
        for part, value in (("Descriptor", samples.Typed("US", [4, 0, 16])), ("Data", bytes(8)))
    }
    segments = {name: value for name, value in palette.items() if name.endswith("Descriptor")}
    for name in ("Red", "Green", "Blue"):
        words = np.array([0, 1, 9, 1, 3, 900, 2, 1, 0, 0], "<u2").tobytes()
        segments[f"Segmented{name}PaletteColorLookupTableData"] = words
    window = {"WindowCenter": "20", "WindowWidth": "30", "VOILUTFunction": "SIGMOID"}
    overlay = {
        0x60000010: samples.Typed("US", 3),
        0x60000011: samples.Typed("US", 3),
        0x60000050: samples.Typed("SS", [2, 2]),
        0x60003000: samples.Typed("OW", b"\xa5\x01"),
    }
    colour = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    return [
        grey_image(grey, overlay, PixelPaddingValue=samples.Typed("US", 3), **window),
        grey_image(grey, VOILUTSequence=[lut], ModalityLUTSequence=[lut]),
        grey_image(grey.astype(np.int16), RescaleSlope="2", RescaleIntercept="-1024"),
        grey_image(grey, SharedFunctionalGroupsSequence=[{"FrameVOILUTSequence": [window]}]),
        grey_image(grey, PhotometricInterpretation="PALETTE COLOR", **palette),
        grey_image(grey, PhotometricInterpretation="PALETTE COLOR", **segments),
        colour_image(colour, "YBR_FULL", PlanarConfiguration=1),
        colour_image(colour, "RGB", ICCProfile=samples.Typed("OB", bytes(128))),
    ]


def _frame_bytes(data: bytes) -> int:
    """What a frame takes as its header describes it; 0 where there is none to show."""
    header = _header(data)
    if header is None or header.frames is None:
        return 0
    relevant = read_relevant(
        data,
        dataset_offset=header.layout.dataset_offset,
        transfer_syntax_uid=header.transfer_syntax_uid,
        stop=header.layout.header_length,
    )
    return max(0, relevant.description.frame_bytes)


def _header(data: bytes) -> Header | None:
    with suppress(InvalidInstance):
        return read_header(data)
    return None
