"""AE titles and UIDs from the network never become a path."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage_backends.filesystem import FilesystemBackend
from tests.scp.site import PATIENCE, Site, open_site
from tests.scp.test_storage import CONTEXTS, Sample, sample, send
from vna.dimse import scu
from vna.dimse.association import Association
from vna.dimse.settings import RequestorSettings
from vna.index.database import Database

STUDY_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
IMPLICIT = ("1.2.840.10008.1.2",)


@pytest.fixture
def site(database: Database, tmp_path: Path) -> Iterator[Site]:
    inside = tmp_path / "archive"
    inside.mkdir()
    backend = FilesystemBackend(inside / "store")
    with open_site(database, backend, inside) as running:
        yield running
    backend.close()


TITLES = (
    "../../evil",
    "/tmp/evil",
    "..",
    "a/../../evil",
    "evil\0/../x",
    "C:evil",
    "~/evil",
    "%2e%2e%2fevil",
)
UIDS = (
    "../../evil",
    "/tmp/evil",
    "1.2/../../evil",
    "1..evil",
    "1.2\0/evil",
    "1.2.3/evil",
    "~evil",
    "1.2.evil",
)


@pytest.mark.parametrize("title", TITLES)
def test_no_ae_title_becomes_a_path(site: Site, tmp_path: Path, title: str) -> None:
    contexts = (*CONTEXTS, (STUDY_MOVE, IMPLICIT))
    settings = RequestorSettings(title, title, contexts, timeouts=PATIENCE)
    with Association.request(site.address, settings) as association:
        assert send(association, sample()).status == 0
        (answer,) = scu.move(association, STUDY_MOVE, identifier(), title)
        assert answer.command.status == 0xA801
        association.release()
    assert site.listener.wait_idle(60)
    assert_nothing_evil(tmp_path)


@pytest.mark.parametrize("uid", UIDS)
def test_no_uid_becomes_a_path(site: Site, tmp_path: Path, uid: str) -> None:
    settings = RequestorSettings("TESTS", "VNA", CONTEXTS, timeouts=PATIENCE)
    bare = uid.replace("\0", "")
    item = sample(SOPInstanceUID=bare, StudyInstanceUID=bare, SeriesInstanceUID=bare)
    with Association.request(site.address, settings) as association:
        for announced in (uid, "1.2.3.4", item.sop_instance_uid):
            send(association, Sample(item.sop_class_uid, announced, item.dataset))
        assert send(association, sample()).status == 0
        association.release()
    assert site.listener.wait_idle(60)
    assert_nothing_evil(tmp_path)


def identifier() -> bytes:
    """A study-level identifier in implicit little endian."""
    level = b"\x08\0\x52\0\x06\0\0\0STUDY "
    return level + b"\x20\0\x0d\0\x04\0\0\0" + b"1.2\0"


def assert_nothing_evil(root: Path) -> None:
    """All files lie where the archive keeps its own, under names of its own."""
    assert [path.name for path in root.iterdir()] == ["archive"]
    assert {path.name for path in (root / "archive").iterdir()} <= {"store", "spool"}
    names = [path.name for path in root.rglob("*")]
    assert not any("evil" in name or ".." in name for name in names)
    assert not Path("/tmp/evil").exists()
