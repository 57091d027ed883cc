"""The rows of the comparison, in the order in which they are measured."""

from __future__ import annotations

from tests.benchmarks import objects, peer_tasks, web_rows
from tests.benchmarks.comparison import Work
from tests.benchmarks.peer_tasks import SERIES_INSTANCES, Task

_CT_GOALS = {1: 3.0, 4: 4.0, 8: 4.0}
_SMALL_GOALS = {1: 2.0, 4: 4.0, 8: 5.0}


def _associations(number: int) -> str:
    return f"{number} association{'s' if number > 1 else ''}"


def _storing() -> list[Task]:
    ct, small = objects.ct(), objects.small()
    tasks = []
    for number, goal in _CT_GOALS.items():
        work = Work(f"ct-{number}", f"C-STORE {ct.title}, {_associations(number)}", "/s", goal)
        if number == 4:
            title = "CPU of server and database per 1 000 CT stored"
            cpu = Work("cpu", title, "s", 2.0, less_is_better=True, at_most=True)
            tasks.append(Task(work.key, (work, cpu), peer_tasks.store_with_cpu))
        else:
            tasks.append(peer_tasks.store_task(work.key, work, ct, number))
    for number, goal in _SMALL_GOALS.items():
        title = f"C-STORE {small.title}, {_associations(number)}"
        work = Work(f"small-{number}", title, "/s", goal)
        tasks.append(peer_tasks.store_task(work.key, work, small, number))
    return tasks


def _opening() -> Task:
    work = Work("open", "association opened, p50", "ms", less_is_better=True)
    return Task(work.key, (work,), peer_tasks.opening)


def _searching() -> list[Task]:
    def work(key: str, title: str, goal: float, *, is_same_for_all: bool = False) -> Work:
        title = f"C-FIND {title}, p50"
        return Work(key, title, "ms", goal, less_is_better=True, is_same_for_all=is_same_for_all)

    return [
        peer_tasks.find_task(
            work("find-patient", "study by PatientID", 2.0),
            *(peer_tasks.find_by_patient, 1.0, range(2, 3), "studies"),
        ),
        peer_tasks.find_task(
            work("find-week", "studies of a week", 6.0),
            *(peer_tasks.find_week, 0.5, range(1, 40), "studies"),
        ),
        peer_tasks.find_task(
            work("find-series", "series of a study", 2.0),
            *(peer_tasks.find_series, 1.0, range(1, 2), "studies"),
        ),
        peer_tasks.find_task(
            work(
                "find-instances",
                f"{SERIES_INSTANCES} instances of a series",
                12.0,
                is_same_for_all=True,
            ),
            *(peer_tasks.find_instances, 0.1, range(SERIES_INSTANCES, SERIES_INSTANCES + 1)),
            "series",
        ),
    ]


def _retrieving() -> list[Task]:
    get = Work("get", f"C-GET {SERIES_INSTANCES} CT", "/s", 3.5)
    move = Work("move", f"C-MOVE {SERIES_INSTANCES} CT", "/s", 2.0)
    return [
        Task(get.key, (get,), peer_tasks.get_series, "series"),
        Task(move.key, (move,), peer_tasks.move_series, "series"),
    ]


def _memory() -> Task:
    title = "resident memory (PSS) after the load"
    work = Work("memory", title, "MiB", 1.0, less_is_better=True, at_most=True)
    return Task(work.key, (work,), peer_tasks.memory, warms_up=False)


def tasks() -> list[Task]:
    """All of them; what can be missed most easily comes last, should the time run out."""
    large = [peer_tasks.large_task(*pair) for pair in enumerate(objects.large())]
    dimse = [*_storing(), _opening(), *_retrieving(), *_searching(), *large]
    return [*dimse, *web_rows.web_tasks_of_all(), _memory()]
