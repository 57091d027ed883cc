"""Decoders of which single calls go wrong as in a codec that is fed with poison."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar, cast

from vna.services.decoders import Decoders

P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class Sabotaged:
    """Does what it is asked for, but first, as often as `tasks` has one, that in its place."""

    decoders: Decoders
    tasks: list[Callable[[], object]] = field(default_factory=list)

    def call(self, function: Callable[P, T], *args: P.args, **keywords: P.kwargs) -> T:
        """What `function` returns."""
        if self.tasks:
            return cast("T", self.decoders.call(self.tasks.pop()))
        return self.decoders.call(function, *args, **keywords)
