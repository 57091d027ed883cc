"""Which contexts a C-MOVE proposes, and over how many associations."""

from __future__ import annotations

from collections.abc import Iterable

from storage_backends.base import Digest
from vna.model.identifiers import InstanceUids
from vna.model.instances import InstanceLayout, Location, StoredInstance
from vna.scp.plan import MAX_CONTEXTS, Batch, plan

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
JPEG = "1.2.840.10008.1.2.4.50"


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


def numbers(batches: Iterable[Batch]) -> list[list[int]]:
    return [[instance.instance_id for instance in batch.instances] for batch in batches]


def test_nothing_needs_no_association() -> None:
    assert plan([]) == []


def test_each_class_and_syntax_has_a_context_of_its_own_compressed_ones_first() -> None:
    batches = plan([stored(1, CT, EXPLICIT), stored(2, CT, JPEG), stored(3, MR, IMPLICIT)])
    assert numbers(batches) == [[1, 2, 3]]
    assert batches[0].contexts == (
        (CT, (JPEG,)),
        (CT, (EXPLICIT,)),
        (CT, (IMPLICIT,)),
        (MR, (IMPLICIT,)),
        (MR, (EXPLICIT,)),
    )


def test_a_compressed_class_falls_back_to_either_plain_syntax() -> None:
    assert plan([stored(1, CT, JPEG)])[0].contexts == ((CT, (JPEG,)), (CT, (EXPLICIT, IMPLICIT)))


def test_no_fallback_is_proposed_twice() -> None:
    batches = plan([stored(1, CT, EXPLICIT), stored(2, CT, IMPLICIT)])
    assert batches[0].contexts == ((CT, (EXPLICIT,)), (CT, (IMPLICIT,)))


def test_more_than_128_contexts_take_several_associations() -> None:
    instances = [stored(n, f"1.2.3.{n}", JPEG) for n in range(100)]
    batches = plan(instances)
    assert [len(batch.contexts) for batch in batches] == [128, 72]
    assert sorted(n for batch in numbers(batches) for n in batch) == list(range(100))


def test_one_class_in_very_many_syntaxes_is_divided_too() -> None:
    instances = [stored(n, CT, f"1.2.999.{n}") for n in range(300)]
    batches = plan(instances)
    assert all(len(batch.contexts) <= MAX_CONTEXTS for batch in batches)
    assert sorted(n for batch in numbers(batches) for n in batch) == list(range(300))
    for batch in batches:
        proposed = {syntax for _, syntaxes in batch.contexts for syntax in syntaxes}
        assert {instance.transfer_syntax_uid for instance in batch.instances} <= proposed


def test_the_order_inside_an_association_is_the_order_asked_for() -> None:
    kinds = [(CT, JPEG), (MR, EXPLICIT), (CT, EXPLICIT), (MR, EXPLICIT), (CT, JPEG)]
    assert numbers(plan([stored(n, *kind) for n, kind in enumerate(kinds)])) == [[0, 1, 2, 3, 4]]


def test_what_no_context_can_name_is_left_out() -> None:
    batches = plan([stored(1, "1.2..3", EXPLICIT), stored(2, CT, ""), stored(3, CT, EXPLICIT)])
    assert numbers(batches) == [[3]]
