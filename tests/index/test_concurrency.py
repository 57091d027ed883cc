"""Many associations that store the same studies at the same time."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.index.samples import ORIGIN, attributes, new_instance
from vna.index.instances import InstanceIndex
from vna.model.instances import NewInstance, Outcome, Registration

THREADS = 8
ROUNDS = 12


def at_once(index: InstanceIndex, instances: Sequence[NewInstance]) -> list[Registration]:
    """Register all, each in a thread of its own, started together."""
    barrier = threading.Barrier(len(instances))

    def register(new: NewInstance) -> Registration:
        barrier.wait()
        return index.register(new, ORIGIN)

    with ThreadPoolExecutor(len(instances)) as pool:
        return list(pool.map(register, instances))


def outcomes(registrations: Sequence[Registration]) -> Counter[Outcome]:
    return Counter(registration.outcome for registration in registrations)


def rounds(index: InstanceIndex, make: Callable[[int, int], NewInstance]) -> list[Counter[Outcome]]:
    return [
        outcomes(at_once(index, [make(number, thread) for thread in range(THREADS)]))
        for number in range(ROUNDS)
    ]


def test_new_study_of_a_new_patient(index: InstanceIndex) -> None:
    results = rounds(
        index,
        lambda n, t: new_instance(f"1.{n}", f"1.{n}.{t % 2}", f"1.{n}.{t}.9", patient_id=f"P{n}"),
    )
    assert results == [Counter({Outcome.STORED: THREADS})] * ROUNDS
    counts = index.counts()
    assert (counts.patients, counts.studies, counts.series) == (ROUNDS, ROUNDS, 2 * ROUNDS)
    assert counts.instances == ROUNDS * THREADS


def test_same_instance(index: InstanceIndex) -> None:
    results = rounds(index, lambda n, _: new_instance(f"1.{n}", f"1.{n}.1", f"1.{n}.1.1"))
    assert results == [Counter({Outcome.STORED: 1, Outcome.DUPLICATE: THREADS - 1})] * ROUNDS
    assert index.counts().instances == ROUNDS


def test_same_uid_with_other_content_in_other_studies(index: InstanceIndex) -> None:
    results = rounds(
        index,
        lambda n, t: new_instance(
            f"1.{n}.{t}", f"1.{n}.{t}.1", f"9.{n}", patient_id=f"P{n}.{t}", content=f"{n} {t}"
        ),
    )
    assert results == [Counter({Outcome.STORED: 1, Outcome.CONFLICT: THREADS - 1})] * ROUNDS
    counts = index.counts()
    assert (counts.patients, counts.studies, counts.series) == (ROUNDS, ROUNDS, ROUNDS)
    assert counts.open_conflicts == ROUNDS * (THREADS - 1)


def test_same_conflicting_version(index: InstanceIndex) -> None:
    index.register(new_instance(), ORIGIN)
    results = at_once(index, [new_instance(content="other") for _ in range(THREADS)])
    assert len({result.conflict_id for result in results}) == 1
    assert sum(result.location_is_kept for result in results) == 1


def test_study_without_patient_id_has_one_patient(index: InstanceIndex) -> None:
    rounds(index, lambda n, t: new_instance(f"1.{n}", f"1.{n}.1", f"1.{n}.{t}", patient_id=""))
    assert index.counts().patients == ROUNDS


def test_study_under_several_patients_has_one(index: InstanceIndex) -> None:
    rounds(
        index, lambda n, t: new_instance(f"1.{n}", f"1.{n}.1", f"1.{n}.{t}", patient_id=f"{n}-{t}")
    )
    counts = index.counts()
    assert (counts.patients, counts.studies) == (ROUNDS, ROUNDS)
    assert counts.open_conflicts == ROUNDS * (THREADS - 1)


def test_attributes_filled_from_all_sides(index: InstanceIndex) -> None:
    tags = ["T00200010", "T00080090", "T00081048", "T00101010", "T00102180", "T00380010"]
    results = rounds(
        index,
        lambda n, t: new_instance(
            f"1.{n}",
            f"1.{n}.1",
            f"1.{n}.{t}",
            patient_id=f"P{n % 3}",
            study_attributes=attributes(**{tags[t % len(tags)]: ("SH", f"value {t}")}),
            series_attributes=attributes(T0008103E=("LO", f"series {t}")),
        ),
    )
    assert results == [Counter({Outcome.STORED: THREADS})] * ROUNDS


def test_overlapping_work_in_any_order(index: InstanceIndex) -> None:
    """Eight senders walk over the same instances, each in an order of its own: nobody waits for ever."""
    work = [
        new_instance(f"1.{n % 5}", f"1.{n % 5}.{n % 3}", f"1.1.{n}", patient_id=f"P{n % 4}")
        for n in range(60)
    ]

    def send(seed: int) -> Counter[Outcome]:
        order = random.Random(seed).sample(work, len(work))
        return outcomes([index.register(new_instance_of(new), ORIGIN) for new in order])

    with ThreadPoolExecutor(THREADS) as pool:
        total = sum(pool.map(send, range(THREADS)), Counter[Outcome]())
    assert total == Counter(
        {Outcome.STORED: len(work), Outcome.DUPLICATE: len(work) * (THREADS - 1)}
    )
    assert index.counts().studies == 5


def new_instance_of(new: NewInstance) -> NewInstance:
    """The same instance, received once more: with a location of its own."""
    uids = new.uids
    patient_id = str(new.attributes.patient["00100020"]["Value"][0])  # type: ignore[index]
    return new_instance(
        uids.study_instance_uid,
        uids.series_instance_uid,
        uids.sop_instance_uid,
        patient_id=patient_id,
    )
