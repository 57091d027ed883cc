"""The members of a zip archive, as long as they unpack to something in proportion."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

from vna.migration.candidates import Candidate, Fate, Finding, ZipMember, printable

FREE_BYTES = 2**30
MAX_RATIO = 200
_ENCRYPTED = 0x1
_ZIP_SUFFIX = ".zip"


def zip_members(path: Path) -> Iterator[Candidate | Finding]:
    """Every file in the archive at `path`, whatever folders it lies in; nothing is unpacked here.

    An archive may unpack to FREE_BYTES, or to MAX_RATIO times its own size if that is more; the
    members that go beyond are refused. Names of members are never used as paths.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as exc:
        yield Finding(printable(path), Fate.FAILED, f"not readable as a zip archive: {exc}")
        return
    budget = max(FREE_BYTES, MAX_RATIO * path.stat().st_size)
    for info in archive.infolist():
        if info.is_dir():
            continue
        member = ZipMember(path, archive, info)
        if info.file_size > budget:
            yield Finding(
                member.name,
                Fate.REFUSED,
                f"the archive unpacks to more than {MAX_RATIO} times its size, as a zip bomb does; "
                "unpack it yourself if you trust it",
            )
        elif info.flag_bits & _ENCRYPTED:
            yield Finding(member.name, Fate.REFUSED, "encrypted; unpack it first")
        elif info.filename.lower().endswith(_ZIP_SUFFIX):
            yield Finding(
                member.name, Fate.REFUSED, "a zip archive inside another; unpack it first"
            )
        else:
            budget -= info.file_size
            yield member
