"""An archive that is older than the trash and the feed gets both, with all that it holds."""

from __future__ import annotations

from tests.index.samples import ORIGIN, new_instance
from vna.index import upgrade as upgrading
from vna.index.changes import ChangeIndex
from vna.index.database import Database
from vna.index.instances import InstanceIndex
from vna.index.sql import load, upgrade_names
from vna.index.trash import TrashIndex
from vna.index.upgrade import upgrade
from vna.model.identifiers import InstanceUids, Origin
from vna.model.trash import Restored

_ROWS = """
    INSERT INTO patient (issuer_of_patient_id, patient_id, attributes) VALUES ('', 'P1', '{}');
    INSERT INTO study (patient, study_instance_uid, attributes) SELECT id, '1.1', '{}' FROM patient;
    INSERT INTO series (study, series_instance_uid, attributes) SELECT id, '1.1.1', '{}' FROM study;
    INSERT INTO instance (series, number_of_frames, dataset_offset, header_length, pixel_offset,
        pixel_length, tail_offset, sop_instance_uid, sop_class_uid, transfer_syntax_uid,
        object_digest, dataset_digest, attributes)
    SELECT id, 0, 0, 0, -1, 0, 0, '1.1.1.' || n, '1.2', '1.2', 'x:00', 'x:00', '{}'
    FROM series, generate_series(7, 9) AS n;
    INSERT INTO location (instance, "offset", length, backend, key)
    SELECT id, 0, 1, 'memory', 'key ' || id FROM instance
"""


def test_what_is_there_is_told_and_can_be_deleted(empty_database_url: str) -> None:
    with Database(empty_database_url) as database:
        with database.connection() as connection:
            for name in upgrade_names()[:3]:
                connection.execute(load(f"upgrades/{name}"))
                upgrading._remember(connection, name)
            connection.execute(_ROWS)
        assert upgrade(database)[0] == "0004_pre_trash_and_changes"
        feed = ChangeIndex(database)
        told = [(c.number, c.action, c.uids) for c in feed.after(0, 10).changes]
        uids = [InstanceUids("1.1", "1.1.1", f"1.1.1.{n}") for n in (7, 8, 9)]
        assert told == [(n, "stored", uid) for n, uid in enumerate(uids, 1)]
        InstanceIndex(database).register(new_instance(), ORIGIN)
        assert [change.number for change in feed.after(3, 10).changes] == [4]
        trash = TrashIndex(database)
        entry = trash.delete(InstanceUids("1.1", "", ""), Origin("web", correlation_id="1"))
        assert entry is not None
        assert entry.instances == 4
        assert trash.restore(entry.trash_id, Origin("cli")) == Restored(4, 0, 0)
