"""A preview for people and for machines."""

from __future__ import annotations

from collections.abc import Iterator

from vna.migration.candidates import printable
from vna.migration.rules.declaration import Mapped, Rule
from vna.migration.rules.maps import merged
from vna.migration.rules.preview import Preview, Sample

_MOST_SHOWN = 40


def preview_document(preview: Preview) -> dict[str, object]:
    """For machines."""
    return {
        "samples": [_sample(sample) for sample in preview.samples],
        "missed": [
            {"study_instance_uid": item.study_instance_uid, "reason": item.reason}
            for item in preview.missed
        ],
        "rules": [
            {
                "number": rule.number,
                "name": rule.name,
                "attribute": rule.keyword,
                "decided": preview.decided[rule.number],
                "changed": preview.changed[rule.number],
                "parked": preview.parked[rule.number],
                "joined": _joined(rule),
            }
            for rule in preview.rules.rules
        ],
    }


def preview_lines(preview: Preview) -> Iterator[str]:
    """For people; what a source writes may be for any terminal."""
    return map(printable, _lines(preview))


def _lines(preview: Preview) -> Iterator[str]:
    for sample in preview.samples:
        yield f"study {sample.study_instance_uid}, instance {sample.sop_instance_uid}"
        yield from _table(sample)
    for item in preview.missed:
        yield f"study {item.study_instance_uid}: no sample: {item.reason}"
    yield ""
    yield from _rules(preview)
    yield from _hints(preview)
    yield f"{len(preview.samples)} samples were looked at; nothing was stored"


def _sample(sample: Sample) -> dict[str, object]:
    return {
        "study_instance_uid": sample.study_instance_uid,
        "sop_instance_uid": sample.sop_instance_uid,
        "changes": [
            {"attribute": c.keyword, "before": c.before, "after": c.after, "rule": c.rule}
            for c in sample.changes
        ],
        "obstacles": list(sample.obstacles),
        "foreign_texts": [{"attribute": name, "value": text} for name, text in sample.foreign],
        "texts_do_not_fit": sample.is_odd,
        "texts_still_do_not_fit": sample.stays_odd,
        "texts_fit_unicode": sample.is_unicode,
        "has_issuer_of_patient_id": sample.has_issuer,
    }


def _table(sample: Sample) -> Iterator[str]:
    for change in sample.changes:
        yield (
            f"  {change.keyword:28} {_quoted(change.before):26} -> {_quoted(change.after):26} rule {change.rule}"
        )
    for keyword, text in sample.foreign:
        yield f"  {keyword:28} {_quoted(text):26} stays so"
    for text in sample.obstacles:
        yield f"  would be parked: {text}"
    if not sample.changes and not sample.foreign and not sample.obstacles:
        yield "  nothing changes"


def _quoted(text: str) -> str:
    shown = text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 1] + "…"
    return f'"{shown}"' if text else "(nothing)"


def _rules(preview: Preview) -> Iterator[str]:
    for rule in preview.rules.rules:
        decided, parked = preview.decided[rule.number], preview.parked[rule.number]
        line = f"rule {rule.name}: applied to {decided}, changed {preview.changed[rule.number]}"
        if parked:
            line += f", would park {parked}"
        yield line if decided else f"rule {rule.name}: matched none of the samples"
        if joined := _joined(rule):
            yield f"rule {rule.name}: {joined} values of its map become what others become, too"


def _joined(rule: Rule) -> int:
    """How many values a map of values of the element itself makes one with others."""
    deed = rule.deed
    return merged(deed.table) if isinstance(deed, Mapped) and deed.by == rule.tag else 0


def _hints(preview: Preview) -> Iterator[str]:
    without = sum(not sample.has_issuer for sample in preview.samples)
    if without:
        yield (
            f"{without} samples have no issuer of their patient ID, even by the rules: patients of other sources with "
            "the same ID would be taken for the same ones"
        )
    odd = [sample for sample in preview.samples if sample.stays_odd]
    if odd:
        yield (
            f"{len(odd)} samples have texts that do not fit their character set: declare the true one by a rule for "
            f"SpecificCharacterSet; {sum(sample.is_unicode for sample in odd)} of them fit ISO_IR 192"
        )
