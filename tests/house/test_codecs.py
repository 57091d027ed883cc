"""Pixel codecs are called in decoder processes only: services and doors hand them over, and call none."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.project import PACKAGES, parse, python_files

CODECS = frozenset(
    {
        "compressed_chunks",
        "convert_frame",
        "convert_surroundings",
        "decode_frame",
        "encode_frame",
        "frame_to_little_endian",
        "render_frames",
        "transcode",
    }
)
"""Functions of `vna.dicom` that run a codec on what strangers have sent."""

LIBRARIES = frozenset(
    {"PIL", "av", "cv2", "gdcm", "imagecodecs", "jpeg_ls", "openjpeg", "pylibjpeg", "rle"}
)

MODULES = [
    path
    for path in python_files(*PACKAGES)
    if not path.is_relative_to("vna/dicom") and not path.is_relative_to("vna/model")
]


def called(tree: ast.Module) -> Iterator[str]:
    """Every name that is called, and the last one of every dotted name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Name):
                yield function.id
            elif isinstance(function, ast.Attribute):
                yield function.attr


def imported(tree: ast.Module) -> Iterator[str]:
    """The first name of everything that is imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_no_codec_is_called_where_a_crash_would_hurt(path: Path) -> None:
    tree = parse(path)
    assert CODECS.isdisjoint(called(tree)), "hand it to Decoding.call instead"
    assert LIBRARIES.isdisjoint(imported(tree)), "codecs belong into vna.dicom"


def test_the_codecs_named_here_exist() -> None:
    defined = {
        node.name
        for path in python_files("vna")
        if path.is_relative_to("vna/dicom")
        for node in ast.walk(parse(path))
        if isinstance(node, ast.FunctionDef)
    }
    assert defined >= CODECS


def test_a_call_is_noticed() -> None:
    tree = ast.parse(
        "transcode(data)\npixels.decode_frame(data)\ndecoders.call(encode_frame, data)"
    )
    assert set(called(tree)) & CODECS == {"transcode", "decode_frame"}
