"""Plots of a run's points, as SVG files for the documents."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import scaling


@dataclass(frozen=True, slots=True)
class Plot:
    """What a plot shows, and how."""

    name: str
    file: str
    title: str
    x_label: str
    y_label: str
    is_logarithmic: bool = False


PLOTS = (
    Plot(
        *(scaling.STORING, "performance-storing.svg", "C-STORE of 512 KiB CT"),
        *("associations", "instances a second"),
    ),
    Plot(
        *(scaling.SEARCHING, "performance-searching.svg", "C-FIND, median latency"),
        *("studies in the index", "milliseconds"),
        is_logarithmic=True,
    ),
)

Line = list[tuple[float, float]]


def lines_of(rows: Iterable[Mapping[str, object]], plot: str) -> dict[str, Line]:
    """The lines of a plot among the rows of a kept run: (x, value) in the order of x, by name."""
    lines: defaultdict[str, Line] = defaultdict(list)
    for row in rows:
        point, value = row.get("point"), row["value"]
        if isinstance(point, dict) and point["plot"] == plot and isinstance(value, int | float):
            lines[point["line"]].append((float(point["x"]), float(value)))
    return {name: sorted(points) for name, points in lines.items()}


def draw_all(rows: Sequence[Mapping[str, object]], directory: Path) -> Iterator[Path]:
    """Draw every plot of which the rows hold points; the files as they are written."""
    for plot in PLOTS:
        if lines := lines_of(rows, plot.name):
            yield draw(plot, lines, directory)


def draw(plot: Plot, lines: Mapping[str, Line], directory: Path) -> Path:
    """Write the plot's file; its path. The same lines give the same bytes."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator, NullFormatter

    with plt.rc_context({"svg.hashsalt": plot.name, "svg.fonttype": "none", "font.size": 10}):
        figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
        for name, points in lines.items():
            axes.plot(*zip(*points, strict=True), marker="o", label=name)
        axes.set(title=plot.title, xlabel=plot.x_label, ylabel=plot.y_label)
        if plot.is_logarithmic:
            axes.set(xscale="log", yscale="log")
            axes.xaxis.set_major_formatter("{x:,.0f}")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter(NullFormatter())
        else:
            axes.set(xlim=(0, None), ylim=(0, None))
        axes.grid(visible=True, alpha=0.3)
        figure.legend(loc="outside lower center", ncols=2, fontsize="small", frameon=False)
        path = directory / plot.file
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)
    text = path.read_text(encoding="utf-8")
    path.write_text("\n".join(line.rstrip() for line in text.splitlines()) + "\n", encoding="utf-8")
    return path
