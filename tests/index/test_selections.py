"""Which instances a retrieve delivers: chosen as ids, loaded in pages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.index.samples import ORIGIN, attributes, new_instance
from vna.index import selections
from vna.index.database import Database
from vna.index.instances import InstanceIndex
from vna.model.chosen import Kind
from vna.model.identifiers import Selection

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT, JPEG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50"
STUDY = Selection(study_instance_uids=("1.1",))


@pytest.fixture
def index(database: Database) -> Iterator[InstanceIndex]:
    index = InstanceIndex(database)
    kinds = [(CT, EXPLICIT), (MR, JPEG), (CT, EXPLICIT), (CT, JPEG)]
    for number, (sop_class, syntax) in enumerate(kinds, 1):
        new = new_instance(
            instance=f"1.1.1.{number}",
            instance_attributes=attributes(T00200013=("IS", 10 - number)),
            sop_class_uid=sop_class,
            transfer_syntax_uid=syntax,
        )
        index.register(new, ORIGIN)
    index.register(new_instance("2.1", "2.1.1", "2.1.1.1", patient_id="P2"), ORIGIN)
    yield index


@pytest.mark.parametrize("batch", [1, 1000])
def test_what_is_chosen_is_what_select_gives_in_its_order(
    index: InstanceIndex, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(selections, "_BATCH", min(batch, selections._BATCH))
    selected = index.select(STUDY)
    chosen = index.selections.choose(STUDY)
    assert list(chosen.ids) == [instance.instance_id for instance in selected]
    assert [instance.uids.sop_instance_uid[-1] for instance in selected] == ["4", "3", "2", "1"]
    assert chosen.kinds == (Kind(CT, JPEG), Kind(CT, EXPLICIT), Kind(MR, JPEG))
    assert list(chosen.kind_numbers) == [0, 1, 2, 1]
    assert len(chosen) == 4
    assert len(chosen.digest) == 32
    assert chosen.digest == index.selections.choose(STUDY).digest
    other = Selection(study_instance_uids=("2.1",))
    assert index.selections.choose(other).digest != chosen.digest


def test_a_page_is_loaded_in_the_order_of_its_ids_without_what_is_gone(
    index: InstanceIndex,
) -> None:
    ids = index.selections.choose(STUDY).ids
    wanted = [ids[2], 0, ids[0]]
    loaded = index.selections.load(wanted)
    assert [instance.instance_id for instance in loaded] == [ids[2], ids[0]]
    assert index.selections.load([]) == []


def test_nothing_is_chosen_by_a_selection_that_narrows_nothing(index: InstanceIndex) -> None:
    assert len(index.selections.choose(Selection())) == 0
    assert len(index.selections.choose(Selection(study_instance_uids=("9.9",)))) == 0


def test_rows_are_read_by_a_plan_that_is_kept(database_url: str) -> None:
    with Database(database_url, pool_size=1) as single:
        index = InstanceIndex(single)
        for _ in range(3):
            index.select(Selection(sop_instance_uids=("1.1.1.1",)))
        with single.connection() as connection:
            row = connection.execute(
                "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%%sop_instance_uid%%'"
            ).fetchone()
    assert row == (1,)
