"""What the archives of the comparison are filled with before they are searched and asked for images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tests.benchmarks import objects
from tests.benchmarks.objects import BenchObject
from tests.benchmarks.peer_tasks import SERIES, SERIES_INSTANCES, Size, Values, incomplete, store
from tests.benchmarks.raw_client import Load, numbered_uid, run_load
from tests.benchmarks.web_tasks import FRAME_SERIES, LONG_INSTANCES, LONG_SERIES, ULTRASOUND
from tests.peers.peer import Peer

_FILLED_AT_ONCE = 2000
_TRIED = 400


def fill_studies(peer: Peer, size: Size) -> Iterator[int]:
    """Studies of one small instance each, by C-STORE, as many as the peer can index; yields how many there are."""
    item = objects.tiny()
    studies = size.studies_of(peer)
    for first in range(0, studies, _FILLED_AT_ONCE):
        count = min(_FILLED_AT_ONCE, studies - first)
        share = count // peer.fills

        def values(association: int, number: int, first: int = first, share: int = share) -> Values:
            return objects.study_values(first + association * share + number, studies)

        load = Load(item.dataset, item.sop_class_uid, count, peer.fills, 0, objects.FIELDS, values)
        result = run_load(peer.address, load, peer.ae_title)
        if result.succeeded != share * peer.fills:
            raise incomplete(result, share * peer.fills)
        yield first + count


def affordable_studies(peers: Sequence[Peer], size: Size, seconds: float) -> int:
    """As many studies as the peers can be filled with in so long, by a trial with each; `size.studies` at most.

    Never fewer than the trial itself. Raises RuntimeError for a peer that does not take them.
    """
    seconds_each = 0.0
    for peer in peers:
        if peer.most_studies is None:
            trial = store(objects.tiny(), _TRIED, peer.fills, peer)
            seconds_each += 1 / trial.figures[0]
    if not seconds_each:
        return size.studies
    affordable = int(seconds / seconds_each) // _TRIED * _TRIED
    return min(size.studies, max(_TRIED, affordable))


def fill_series(peer: Peer, _size: Size) -> Iterator[int]:
    """One series of 200 CT images of 512 KiB."""
    yield _fill_one_series(peer, objects.ct(), SERIES, SERIES_INSTANCES)


def fill_long(peer: Peer, _size: Size) -> Iterator[int]:
    """One series of 2 000 small objects."""
    yield _fill_one_series(peer, objects.small(), LONG_SERIES, LONG_INSTANCES)


def fill_ultrasound(peer: Peer, _size: Size) -> Iterator[int]:
    """One ultrasound clip of 60 frames, 55 MB."""
    yield _fill_one_series(peer, objects.ultrasound(), ULTRASOUND, 1)


def fill_frames(peer: Peer, _size: Size) -> Iterator[int]:
    """One object of 500 frames, 64 MB."""
    yield _fill_one_series(peer, objects.many_frames(), FRAME_SERIES, 1)


def _fill_one_series(peer: Peer, item: BenchObject, series: int, count: int) -> int:
    def values(_association: int, number: int) -> Values:
        uids = (numbered_uid(series + number), numbered_uid(series, 2), numbered_uid(series, 3))
        return (*uids, objects.patient_id(99_999_999), "20240201")

    load = Load(item.dataset, item.sop_class_uid, count, 1, 0, objects.FIELDS, values)
    result = run_load(peer.address, load, peer.ae_title)
    if result.succeeded != count:
        raise incomplete(result, count)
    return count


FILLS: dict[str, Callable[[Peer, Size], Iterator[int]]] = {
    "studies": fill_studies,
    "series": fill_series,
    "long": fill_long,
    "ultrasound": fill_ultrasound,
    "frames": fill_frames,
}
