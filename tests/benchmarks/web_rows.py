"""The DICOMweb rows of the comparison, in the order in which they are measured."""

from __future__ import annotations

from collections.abc import Sequence

from tests.benchmarks import web_tasks
from tests.benchmarks.comparison import Work
from tests.benchmarks.peer_tasks import SERIES, SERIES_INSTANCES, Task
from tests.benchmarks.web_tasks import Request, latency, throughput, web_task, works

_CT_BYTES = 2**19


def web_tasks_of_all() -> list[Task]:
    """Searching, retrieving, rendering and storing."""
    return [*_searching(), *_retrieving(), *_storing()]


def _both(
    key: str,
    title: str,
    goals: Sequence[float],
    request: Request,
    needs: str,
    share: float = 1.0,
) -> list[Task]:
    slow, fast = works(key, title, goals)
    return [
        web_task(slow, latency(request, share), needs),
        web_task(fast, throughput(request, share / 2), needs),
    ]


def _once(key: str, title: str, goal: float, request: Request, needs: str, share: float) -> Task:
    work = Work(key, f"{title}, p50", "ms", goal, less_is_better=True)
    return web_task(work, latency(request, share), needs)


def _searching() -> list[Task]:
    patient, first = Request(web_tasks.studies_of_patient), Request(web_tasks.first_studies, 20_000)
    instances = Request(web_tasks.instances_of_series, 20_000)
    title = f"QIDO {SERIES_INSTANCES} instances of a series"
    return [
        *_both("web-patient", "QIDO study by PatientID", (8, 6), patient, "studies"),
        *_both("web-first", "QIDO first 100 studies", (40, 40), first, "studies", 0.07),
        _once("web-instances", title, 30, instances, "series", 0.07),
    ]


def _retrieving() -> list[Task]:
    study = Work("web-study", f"WADO-RS study of {SERIES_INSTANCES} CT", "MB/s", 4.0)
    ct, clip = Request(web_tasks.ct_frame, _CT_BYTES), Request(web_tasks.ultrasound_frame, 900_000)
    picture = Request(web_tasks.rendered, 1000)
    series = Request(web_tasks.metadata(SERIES), 10_000)
    long = Request(web_tasks.metadata(web_tasks.LONG_SERIES), 20_000)
    first, later = (Request(web_tasks.frame_of_many(n), 2**17) for n in (1, 300))
    title = f"/metadata of {SERIES_INSTANCES} CT, warm"
    many = f"object of {web_tasks.MANY_FRAMES} frames"
    return [
        web_task(study, web_tasks.volume, "series"),
        _once("web-metadata", title, 60, series, "series", 0.1),
        *_both("web-frame", "single frame CT", (2, 2.5), ct, "series"),
        *_both("web-us-frame", "frame of 60-frame US", (100, 100), clip, "ultrasound", 0.3),
        *_both("web-rendered", "rendered CT", (1.3, 1.3), picture, "series"),
        _once("web-long", f"/metadata of {web_tasks.LONG_INSTANCES}, warm", 0, long, "long", 0.05),
        _once("web-frame-1", f"frame 1 of an {many}", 0, first, "frames", 0.1),
        _once("web-frame-300", f"frame 300 of an {many}", 0, later, "frames", 0.1),
    ]


def _storing() -> list[Task]:
    goals: dict[tuple[int, int], float] = {(1, 1): 3, (8, 1): 3, (1, 50): 3, (8, 50): 4}

    def task(clients: int, batch: int, goal: float) -> Task:
        title = f"STOW CT, {batch} a request, {clients} client{'s' if clients > 1 else ''}"
        work = Work(f"web-stow-{batch}-{clients}", title, "/s", goal)
        return web_task(work, web_tasks.stow(clients, batch))

    return [task(clients, batch, goal) for (clients, batch), goal in goals.items()]
