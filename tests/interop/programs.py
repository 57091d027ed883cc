"""Programs of others: run to their end, or serve until a block ends."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file

from tests.e2e.process import free_port
from tests.peers.peer import LOOPBACK, serving
from tests.scp.commitment_peer import keep_file
from tests.scp.site import Site
from vna.config import DestinationConfig

BIN = Path("/usr/bin")
"""Where Debian puts programs; pynetdicom installs others of the same names."""
SAMPLES = (
    "CT_small.dcm",
    "MR_small.dcm",
    "JPEG2000.dcm",
    "JPEG-lossy.dcm",
    "SC_rgb_rle_2frame.dcm",
    "rtplan.dcm",
    "test-SR.dcm",
    "ExplVR_BigEnd.dcm",
)
"""Of several kinds and syntaxes; pydicom itself brings them, nothing is downloaded."""
DEADLINE = 240.0
"""Seconds that a program may take on a busy machine."""
PADDING = 0xFFFCFFFC


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended, and all that it said."""

    code: int
    output: str


def attempt(*command: object, folder: Path | None = None) -> Ended:
    """Run a program to its end, whatever that is; in `folder`, where some write their files."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, timeout=DEADLINE, check=False, cwd=folder)
    return Ended(done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace"))


def run(*command: object, folder: Path | None = None) -> str:
    """What a program says that must succeed; as `attempt`."""
    ended = attempt(*command, folder=folder)
    assert ended.code == 0, f"{command}: {ended.output}"
    return ended.output


def needs(package: str, *paths: Path) -> pytest.MarkDecorator:
    """Skip where a Debian package is not installed."""
    missing = [path.name for path in paths if not path.exists()]
    reason = f"{', '.join(missing)} is not installed; as root: apt-get install {package}"
    return pytest.mark.skipif(bool(missing), reason=reason)


def dcmtk(name: str) -> Path:
    """The path of a program of DCMTK."""
    return BIN / name


def pynetdicom(name: str) -> tuple[str, ...]:
    """The first words of the command that runs an application of pynetdicom."""
    return (sys.executable, "-m", "pynetdicom", name)


@contextmanager
def destination(
    site: Site, name: str, folder: Path, command: Callable[[int], Sequence[object]]
) -> Iterator[Path]:
    """A server, started by `command(port)`, that the site knows as `name`; its log lies in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    port, log = free_port(), folder / f"{name}.log"
    with serving(command(port), port, log):
        site.destinations[name] = DestinationConfig(LOOPBACK, port)
        yield log


def sample(name: str) -> Path:
    """A file that comes with pydicom."""
    return Path(str(get_testdata_file(name, download=False)))


def read(path: Path) -> pydicom.FileDataset:
    """A file, whatever pydicom thinks of its values."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(path)


def dataset_of(path: Path) -> bytes:
    """The dataset bytes of a Part 10 file, behind preamble and meta group."""
    data = path.read_bytes()
    assert data[128:132] == b"DICM"
    length = int.from_bytes(data[140:144], "little")
    return data[144 + length :]


def study_keys(*study_instance_uids: str) -> list[str]:
    """The options of a retrieval of these studies, for DCMTK and pynetdicom."""
    uids = "\\".join(study_instance_uids)
    return ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={uids}"]


def equal(path: Path, other: Path) -> bool:
    """Whether two files hold the same elements, besides those that programs leave out when they write a file."""
    return differences(path, other) == []


def differences(path: Path, other: Path) -> list[str]:
    """Where two files differ, as tags; decimal strings are compared by their values, as odil writes them anew."""
    return _differences(read(path), read(other))


def _differences(mine: pydicom.Dataset, theirs: pydicom.Dataset) -> list[str]:
    tags = {tag for tag in {*mine.keys(), *theirs.keys()} if tag.element and tag != PADDING}
    return [str(tag) for tag in sorted(tags) if not _alike(mine.get(tag), theirs.get(tag))]


def _alike(mine: pydicom.DataElement | None, theirs: pydicom.DataElement | None) -> bool:
    if mine is None or theirs is None or mine.VR != theirs.VR:
        return False
    if mine.VR == "SQ":
        pairs = zip(mine.value, theirs.value, strict=False)
        return len(mine.value) == len(theirs.value) and not any(_differences(*p) for p in pairs)
    if mine.VR == "DS":
        return _numbers(mine) == pytest.approx(_numbers(theirs), rel=1e-12)
    return bool(mine == theirs)


def _numbers(element: pydicom.DataElement) -> list[float]:
    value = element.value
    values = [] if element.is_empty else value if element.VM > 1 else [value]
    return [float(number) for number in values]


def found(folder: Path) -> dict[str, Path]:
    """SOP Instance UID -> file, of what a program wrote."""
    return {str(read(path).SOPInstanceUID): path for path in folder.iterdir()}


def keep(site: Site, paths: Sequence[Path]) -> dict[str, Path]:
    """Store files as they are; SOP Instance UID -> file."""
    for path in paths:
        keep_file(site, path.read_bytes())
    return {str(read(path).SOPInstanceUID): path for path in paths}


def await_listening(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until somebody in this network listens on a port, without a connection to it."""
    wanted = re.compile(rf"^ *\d+: [0-9A-F]+:{port:04X} [0-9A-F]+:0000 0A ", re.MULTILINE)
    deadline = time.monotonic() + DEADLINE
    while not wanted.search(Path("/proc/thread-self/net/tcp").read_text()):
        assert process.poll() is None, f"{process.args!r} ended with {process.returncode}"
        assert time.monotonic() < deadline, f"{process.args!r} does not listen"
        time.sleep(0.02)
