"""The targets: what is fuzzed, what must hold for any input, and where its inputs start from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.fuzz import (
    conversation,
    dicom_targets,
    dimse_targets,
    frame_targets,
    http_targets,
    query_targets,
    rendering_targets,
    requestor,
    seeds,
    shown_targets,
    web_targets,
)
from tests.fuzz.conversation_mutation import mutate_conversation
from tests.fuzz.mutation import Mutate, mutate

MAX_LENGTH = 16384


def _nothing(data: bytes) -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Target:
    """`check` raises for an input that breaks a promise.

    `expansion`: into how many bytes an input may unfold; `mutate` knows the structure of inputs.
    """

    name: str
    check: Callable[[bytes], None]
    made_seeds: Callable[[], list[bytes]]
    takes_objects: bool = False
    expansion: Callable[[bytes], int] = _nothing
    mutate: Mutate = mutate

    def seeds(self) -> list[bytes]:
        """All there are, the real files where they are any use."""
        found = list(self.made_seeds())
        if self.takes_objects:
            found += seeds.real_objects()
        return [data[:MAX_LENGTH] for data in found]


def _objects() -> list[bytes]:
    return list(seeds.made_objects())


TARGETS = {
    target.name: target
    for target in (
        Target(
            "header",
            dicom_targets.header,
            _objects,
            expansion=dicom_targets.expansion,
            takes_objects=True,
        ),
        Target(
            "remembered",
            dicom_targets.remembered,
            _objects,
            expansion=dicom_targets.expansion,
            takes_objects=True,
        ),
        Target(
            "deflated",
            dicom_targets.deflated,
            dicom_targets.packed_seeds,
            expansion=dicom_targets.twice,
        ),
        Target("elements", dicom_targets.elements, dicom_targets.bare_seeds),
        Target(
            "json",
            dicom_targets.json,
            _objects,
            expansion=dicom_targets.expansion,
            takes_objects=True,
        ),
        Target(
            "rewrite",
            dicom_targets.rewrite,
            _objects,
            expansion=dicom_targets.expansion,
            takes_objects=True,
        ),
        Target("charset", dicom_targets.charset, dicom_targets.charset_seeds),
        Target("names", dicom_targets.names, dicom_targets.name_seeds),
        Target("fragments", dicom_targets.fragments, dicom_targets.fragment_seeds),
        Target(
            "frames",
            frame_targets.decoded,
            frame_targets.frame_seeds,
            expansion=frame_targets.expansion,
        ),
        Target(
            "stream", dimse_targets.stream, dimse_targets.stream_seeds, mutate=mutate_conversation
        ),
        Target(
            "machine", dimse_targets.machine, dimse_targets.stream_seeds, mutate=mutate_conversation
        ),
        Target("command", dimse_targets.command, dimse_targets.command_seeds),
        Target("associate", dimse_targets.associate, dimse_targets.associate_seeds),
        Target("multipart", web_targets.multipart, web_targets.multipart_seeds),
        Target("xml", web_targets.xml_metadata, web_targets.xml_seeds),
        Target("metadata", web_targets.json_metadata, web_targets.json_seeds),
        Target("accept", http_targets.accept, http_targets.accept_seeds),
        Target("search", http_targets.search, http_targets.search_seeds),
        Target("ranges", http_targets.ranges, http_targets.range_seeds),
        Target("looks", http_targets.looks, http_targets.look_seeds),
        Target("head", http_targets.head, http_targets.head_seeds),
        Target("forwarded", http_targets.forwarded, http_targets.forwarded_seeds),
        Target("codestream", web_targets.codestream, web_targets.codestream_seeds),
        Target("report", shown_targets.report, shown_targets.report_seeds, takes_objects=True),
        Target(
            "rendered",
            rendering_targets.shown,
            rendering_targets.image_seeds,
            expansion=rendering_targets.expansion,
            takes_objects=True,
        ),
        Target("presentation", shown_targets.state, shown_targets.state_seeds),
        Target(
            "anonymized", shown_targets.anonymized, shown_targets.image_seeds, takes_objects=True
        ),
        Target("identifier", query_targets.identifier, query_targets.identifier_seeds),
        Target("commitment", query_targets.commitment, query_targets.commitment_seeds),
        Target(
            "association", conversation.association, conversation.seeds, mutate=mutate_conversation
        ),
        Target("requestor", requestor.requestor, requestor.seeds, mutate=mutate_conversation),
    )
}
