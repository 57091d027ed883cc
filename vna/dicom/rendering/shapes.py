"""Graphic types as lines from point to point (PS3.3 C.10.5.1.2)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from vna.dicom.rendering.plane import Point

_STEPS = 96
_BETWEEN = 12


def outline(kind: str, points: list[Point]) -> list[Point]:
    """The line that shows a graphic of that type; empty where its points do not make one."""
    make = _KINDS.get(kind)
    return make(points) if make is not None and points else []


def _itself(points: list[Point]) -> list[Point]:
    return points


def _circle(points: list[Point]) -> list[Point]:
    """By its centre and a point on it."""
    if len(points) != 2:
        return []
    (x, y), (rim_x, rim_y) = points
    across = rim_x - x, rim_y - y
    return _around((x, y), across, (-across[1], across[0]))


def _ellipse(points: list[Point]) -> list[Point]:
    """By the ends of its two axes."""
    if len(points) != 4:
        return []
    first, second, third, fourth = points
    centre = (first[0] + second[0]) / 2, (first[1] + second[1]) / 2
    major = (second[0] - first[0]) / 2, (second[1] - first[1]) / 2
    minor = (fourth[0] - third[0]) / 2, (fourth[1] - third[1]) / 2
    return _around(centre, major, minor)


def _around(centre: Point, major: Point, minor: Point) -> list[Point]:
    line = []
    for step in range(_STEPS + 1):
        cosine, sine = math.cos(math.tau * step / _STEPS), math.sin(math.tau * step / _STEPS)
        x = centre[0] + cosine * major[0] + sine * minor[0]
        line.append((x, centre[1] + cosine * major[1] + sine * minor[1]))
    return line


def _curve(points: list[Point]) -> list[Point]:
    """Through all points, with the tangent at each that its neighbours have (Catmull and Rom)."""
    is_closed = len(points) > 2 and points[0] == points[-1]
    before = points[-2] if is_closed else points[0]
    behind = points[1] if is_closed else points[-1]
    all_points = [before, *points, behind]
    line = points[:1]
    for place in range(1, len(points)):
        line += _between(all_points[place - 1 : place + 3])
    return line


def _between(four: Sequence[Point]) -> list[Point]:
    """From the second of four points to the third."""
    found = []
    for step in range(1, _BETWEEN + 1):
        t = step / _BETWEEN
        weights = (
            -t * (1 - t) ** 2 / 2,
            (2 - 5 * t**2 + 3 * t**3) / 2,
            t * (1 + 4 * t - 3 * t**2) / 2,
            -(t**2) * (1 - t) / 2,
        )
        x, y = (sum(w * p[axis] for w, p in zip(weights, four, strict=True)) for axis in (0, 1))
        found.append((x, y))
    return found


_KINDS: dict[str, Callable[[list[Point]], list[Point]]] = {
    "POINT": _itself,
    "POLYLINE": _itself,
    "INTERPOLATED": _curve,
    "CIRCLE": _circle,
    "ELLIPSE": _ellipse,
}
