"""A comparison as it is kept: figures, ratios, versions, settings, the machine and the moment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson

from tests.benchmarks.comparison import OTHER, YARDSTICK, Comparison, markdown
from tests.benchmarks.peer_tasks import Size
from tests.benchmarks.report import machine
from tests.peers.peer import Peer

PREFIX = "peers-"


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Who was compared, how much was done, what the client does alone.

    `is_whole`: all rows at their full size, the peers as packaged; `tuned_peers`: they were kinder than that.
    """

    peers: Sequence[Peer]
    size: Size
    client: str
    is_whole: bool
    tuned_peers: bool

    @property
    def header(self) -> str:
        """What a reader must know before the table."""
        how = (
            "tuned: longer PDUs, more threads than as packaged"
            if self.tuned_peers
            else "as packaged"
        )
        said = [f"- {peer.name} {peer.version}: {'; '.join(peer.settings)}" for peer in self.peers]
        return "\n".join([f"The peers are {how}.", "", *said])


def keep(rows: Iterable[Comparison], run: Circumstances, directory: Path) -> Path:
    """Write JSON and, beside it, the table in Markdown; the path of the JSON file."""
    rows = list(rows)
    directory.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    path = directory / f"{PREFIX}{now:%Y%m%dT%H%M%SZ}.json"
    document = {
        "at": now.isoformat(),
        "machine": machine(),
        "is_whole": run.is_whole,
        "tuned_peers": run.tuned_peers,
        "size": asdict(run.size),
        "client": run.client,
        "peers": [
            {"name": peer.name, "version": peer.version, "settings": peer.settings}
            for peer in run.peers
        ],
        "rows": [as_document(row) for row in rows],
    }
    path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))
    path.with_suffix(".md").write_text(f"{run.header}\n\n{markdown(rows)}\n", encoding="utf-8")
    return path


def as_document(row: Comparison) -> dict[str, object]:
    """One row as JSON."""
    return {
        **asdict(row.work),
        "figures": {name: list(figures) for name, figures in row.figures.items()},
        "failures": dict(row.failures),
        "remark": row.remark,
        "refused": {name: list(pair) for name, pair in row.refused.items()},
        "times_better": {than: row.times_better(than) for than in (YARDSTICK, OTHER)},
        "verdict": row.verdict,
    }
