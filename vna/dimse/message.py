"""A received message whose dataset is read from the association as it arrives."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vna.dimse.command import Command
from vna.dimse.errors import DataTooLarge
from vna.dimse.negotiation import PresentationContext


class Message:
    """One command and, streaming behind it, its dataset; memory stays bounded whatever its size."""

    __slots__ = ("_pull", "command", "context", "has_data")

    def __init__(
        self,
        context: PresentationContext,
        command: Command,
        has_data: bool,
        pull: Callable[[], memoryview | None],
    ) -> None:
        self.context = context
        self.command = command
        self.has_data = has_data
        self._pull = pull

    def fragments(self) -> Iterator[memoryview]:
        """The dataset's bytes as they arrive; each view is valid only until the next is asked for.

        What is not iterated is discarded before the next message. Raises AssociationEnded and its
        children.
        """
        pull = self._pull
        while (piece := pull()) is not None:
            yield piece

    def read_data(self, limit: int) -> bytes:
        """The whole dataset (b"" when there is none). Raises DataTooLarge beyond `limit` bytes."""
        data = bytearray()
        for piece in self.fragments():
            if len(data) + len(piece) > limit:
                raise DataTooLarge(f"the dataset of a {self.command.name} exceeds {limit} bytes")
            data += piece
        return bytes(data)
