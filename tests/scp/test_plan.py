"""Which contexts a C-MOVE proposes, and over how many associations."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

import pytest

from storage_backends.base import Digest
from vna.model.chosen import Chosen, Kind
from vna.model.identifiers import InstanceUids
from vna.model.instances import InstanceLayout, Location, StoredInstance
from vna.scp.plan import MAX_CONTEXTS, Batch, plan, syntaxes_for

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
JPEG = "1.2.840.10008.1.2.4.50"
MPEG4 = "1.2.840.10008.1.2.4.102"
CT_KIND, MR_KIND = Kind(CT, EXPLICIT), Kind(MR, IMPLICIT)


def stored(number: int, sop_class_uid: str, transfer_syntax_uid: str) -> StoredInstance:
    digest = Digest("blake3", "00")
    return StoredInstance(
        instance_id=number,
        uids=InstanceUids("1.2", "1.2.3", f"1.2.3.{number}"),
        sop_class_uid=sop_class_uid,
        transfer_syntax_uid=transfer_syntax_uid,
        number_of_frames=1,
        layout=InstanceLayout(0, 0, -1, 0, 0),
        location=Location("memory", "a/b", 0, 0),
        object_digest=digest,
        dataset_digest=digest,
    )


def carried(batches: Iterable[Batch]) -> list[Kind]:
    return [kind for batch in batches for kind in sorted(batch.kinds, key=str)]


def test_nothing_needs_no_association() -> None:
    assert plan([]) == []


def test_each_class_and_syntax_has_a_context_of_its_own_compressed_ones_first() -> None:
    kinds = [Kind(CT, EXPLICIT), Kind(CT, JPEG), Kind(MR, IMPLICIT)]
    (batch,) = plan(kinds)
    assert batch.kinds == frozenset(kinds)
    assert batch.contexts == (
        (CT, (JPEG,)),
        (CT, (EXPLICIT,)),
        (CT, (IMPLICIT,)),
        (MR, (IMPLICIT,)),
        (MR, (EXPLICIT,)),
    )


def test_a_compressed_class_falls_back_to_either_plain_syntax() -> None:
    assert plan([Kind(CT, JPEG)])[0].contexts == ((CT, (JPEG,)), (CT, (EXPLICIT, IMPLICIT)))


def test_no_fallback_is_proposed_twice() -> None:
    (batch,) = plan([Kind(CT, EXPLICIT), Kind(CT, IMPLICIT)])
    assert batch.contexts == ((CT, (EXPLICIT,)), (CT, (IMPLICIT,)))


@pytest.mark.parametrize("syntax", ["1.3.6.1.4.1.9999.1", MPEG4])
def test_what_can_not_be_converted_has_no_fallback(syntax: str) -> None:
    assert plan([Kind(CT, syntax)])[0].contexts == ((CT, (syntax,)),)
    assert syntaxes_for(syntax) == (syntax,)


def test_more_than_128_contexts_take_several_associations() -> None:
    kinds = [Kind(f"1.2.3.{n}", JPEG) for n in range(100)]
    batches = plan(kinds)
    assert [len(batch.contexts) for batch in batches] == [128, 72]
    assert sorted(carried(batches), key=str) == sorted(kinds, key=str)


def test_one_class_in_very_many_syntaxes_is_divided_too() -> None:
    kinds = [Kind(CT, JPEG), *(Kind(CT, f"1.2.999.{n}") for n in range(300))]
    batches = plan(kinds)
    assert all(len(batch.contexts) <= MAX_CONTEXTS for batch in batches)
    assert sorted(carried(batches), key=str) == sorted(kinds, key=str)
    for batch in batches:
        proposed = {syntax for _, syntaxes in batch.contexts for syntax in syntaxes}
        assert {kind.transfer_syntax_uid for kind in batch.kinds} <= proposed


def test_the_order_asked_for_is_kept_and_only_the_kinds_wanted_are_taken() -> None:
    chosen = Chosen(array("q", [5, 3, 9, 1]), array("I", [0, 1, 0, 1]), (CT_KIND, MR_KIND))
    assert list(chosen.of_kinds(frozenset({CT_KIND, MR_KIND}))) == [5, 3, 9, 1]
    assert list(chosen.of_kinds(frozenset({MR_KIND}))) == [3, 1]
    assert list(chosen.of_kinds(frozenset())) == []
    assert len(chosen) == 4


def test_what_no_context_can_name_is_left_out() -> None:
    kinds = [Kind("1.2..3", EXPLICIT), Kind(CT, ""), Kind(CT, EXPLICIT)]
    assert carried(plan(kinds)) == [Kind(CT, EXPLICIT)]
