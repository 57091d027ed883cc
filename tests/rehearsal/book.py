"""What a rehearsal found, beside what it had to find."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

_WIDE = 44


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was looked at."""

    part: str
    silo: str
    what: str
    wanted: str
    found: str

    @property
    def is_right(self) -> bool:
        """Whether it is as it should be."""
        return self.wanted == self.found


@dataclass(slots=True)
class Book:
    """All of them, in their order."""

    lines: list[Line] = field(default_factory=list)

    def note(self, part: str, silo: str, what: str, wanted: object, found: object) -> None:
        """One more."""
        self.lines.append(Line(part, silo, what, str(wanted), str(found)))

    def note_that(self, part: str, silo: str, what: str, found: object) -> None:
        """One more, of something that has to be so."""
        self.note(part, silo, what, "yes", "yes" if found else "no")

    def note_none(self, part: str, silo: str, what: str, wrong: list[str], of: int) -> None:
        """One more, of something of which all `of` have to be right."""
        found = f"{of} of {of}" if not wrong else f"{of - len(wrong)} of {of}: not {wrong[:3]}"
        self.note(part, silo, what, f"{of} of {of}", found)

    @property
    def wrong(self) -> list[Line]:
        """Those that are not as they should be."""
        return [line for line in self.lines if not line.is_right]

    def table(self) -> Iterator[str]:
        """Them all, for people."""
        for line in self.lines:
            mark = "ok   " if line.is_right else "WRONG"
            told = line.found if line.is_right else f"{line.found}, wanted {line.wanted}"
            yield f"{mark} {line.part:<12} {line.silo:<14} {line.what:<{_WIDE}} {told}"
