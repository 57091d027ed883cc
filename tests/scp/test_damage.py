"""A stored object that was damaged behind the archive's back is never delivered, and spoils nothing else."""

from __future__ import annotations

from pathlib import Path

from tests import samples
from tests.scp.site import Destination, Site
from tests.scp.test_get import STUDY, counters_of, failed_uids, get, keep
from tests.scp.test_move import move

CT, EXPLICIT = samples.CT_IMAGE, samples.EXPLICIT
ITEMS = [(CT, EXPLICIT, f"1.2.3.{number}") for number in (1, 2, 3)]


def damage(site: Site, sop_instance_uid: str) -> None:
    """Turn the last bit of the stored object round."""
    (instance,) = site.stored(sop_instance_uid)
    root: Path = site.spool_directory.parent
    (path,) = root.rglob(instance.location.key.rsplit("/", 1)[1])
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)


def test_c_get_delivers_the_others_and_names_the_damaged_one(site: Site) -> None:
    sent = keep(site, ITEMS)
    damage(site, "1.2.3.2")
    taken = get(site, STUDY, [(CT, (EXPLICIT,))])
    del sent["1.2.3.2"]
    assert {uid: data for uid, (_, data) in taken.instances.items()} == sent
    assert (taken.final.status, taken.counters) == (0xB000, (None, 2, 1, 0))
    assert taken.failed_uids == ["1.2.3.2"]


def test_c_move_delivers_the_others_and_names_the_damaged_one(site: Site) -> None:
    sent = keep(site, ITEMS)
    damage(site, "1.2.3.1")
    with Destination().listen(site) as destination:
        final = move(site)[-1]
    del sent["1.2.3.1"]
    assert {r.command.affected_sop_instance_uid: r.dataset for r in destination.received} == sent
    assert (final.command.status, counters_of(final.command)) == (0xB000, (None, 2, 1, 0))
    assert failed_uids(final) == ["1.2.3.1"]
