"""Goes through the tasks of the comparison: fills, warms up, takes turns, keeps what failed from what did not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tests.benchmarks.comparison import Comparison
from tests.benchmarks.peer_fills import FILLS
from tests.benchmarks.peer_tasks import Size, Stored, Task
from tests.peers.peer import Peer, tail

_TOLD_OF_EVERY = 10_000
Figures = dict[str, list[Stored]]


@dataclass
class Run:
    """Measures until `deadline` (of the monotonic clock); rows that come later have no figures."""

    peers: Sequence[Peer]
    size: Size
    deadline: float
    progress: Callable[[str], None]
    filled: dict[tuple[str, str], str] = field(default_factory=dict)

    def rows(self, tasks: Sequence[Task]) -> Iterator[Comparison]:
        """The rows of each task as they are done."""
        for task in tasks:
            failures: dict[str, str] = {}
            if task.needs:
                failures = self._fill(task)
            if self._is_late():
                failures = {peer.name: "no time was left" for peer in self.peers}
            yield from self._compare(task, failures)

    def _is_late(self) -> bool:
        return time.monotonic() > self.deadline

    def _fill(self, task: Task) -> dict[str, str]:
        """Bring in what a task needs, once a run; what went wrong, by peer, fails every task that needs it."""
        needs, peers = task.needs, [peer for peer in self.peers if task.is_for(peer)]
        for peer in peers:
            if (needs, peer.name) not in self.filled:
                started = time.monotonic()
                failure = self._attempt(peer, lambda peer=peer: self._fill_one(needs, peer))  # type: ignore[misc]
                self.filled[needs, peer.name] = failure
                said = failure or f"filled in {time.monotonic() - started:.0f} s"
                self.progress(f"{needs} in {peer.name}: {said}")
        failures = {peer.name: self.filled[needs, peer.name] for peer in peers}
        return {name: failure for name, failure in failures.items() if failure}

    def _fill_one(self, needs: str, peer: Peer) -> None:
        for done in FILLS[needs](peer, self.size):
            if done % _TOLD_OF_EVERY == 0:
                self.progress(f"{needs} in {peer.name}: {done}")
            if self._is_late():
                raise TimeoutError(f"no time was left to fill the {needs}")

    def _compare(self, task: Task, failures: dict[str, str]) -> Iterator[Comparison]:
        figures: Figures = {peer.name: [] for peer in self.peers}
        if task.warms_up:
            self._round(task, self.size.warming(), failures, {peer.name: [] for peer in self.peers})
        for number in range(self.size.rounds):
            self._round(task, self.size, failures, figures, number)
        for position, work in enumerate(task.rows):
            by_peer = {
                name: [done.figures[position] for done in rounds]
                for name, rounds in figures.items()
            }
            refused = {
                name: (sum(done.refused for done in rounds), sum(done.sent for done in rounds))
                for name, rounds in figures.items()
            }
            yield Comparison(work, by_peer, failures, refused, self._remark(task))

    def _remark(self, task: Task) -> str:
        """How many studies are searched, by whom fewer."""
        if task.needs != "studies":
            return ""
        fewer = [
            f"{studies} in {peer.name}"
            for peer in self.peers
            if (studies := self.size.studies_of(peer)) != self.size.studies
        ]
        return ", ".join([f"{self.size.studies} studies", *fewer])

    def _round(
        self, task: Task, size: Size, failures: dict[str, str], figures: Figures, number: int = 0
    ) -> None:
        """Each peer once; who begins changes from round to round."""
        start = number % len(self.peers)
        for peer in (*self.peers[start:], *self.peers[:start]):
            if peer.name in failures or not task.is_for(peer):
                continue

            def measure(peer: Peer = peer) -> None:
                done = task.measure(peer, size)
                figures[peer.name].append(done if isinstance(done, Stored) else Stored(done, 0, 0))

            if failure := self._attempt(peer, measure):
                failures[peer.name] = failure

    def _attempt(self, peer: Peer, work: Callable[[], None]) -> str:
        """What went wrong, empty when nothing did; what the peer has to say about it is shown."""
        try:
            work()
        except (OSError, RuntimeError, ValueError) as exc:
            if peer.log is not None:
                self.progress(f"the end of the log of {peer.name}:\n{tail(peer.log)}")
            return f"{type(exc).__name__}: {exc}"
        return ""
