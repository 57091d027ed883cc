"""A probe's report for people and for machines, with a forecast."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from vna.dicom.syntaxes import describe
from vna.migration.probe import ProbeReport

_MIB = 2**20


def probe_document(report: ProbeReport, associations: int) -> dict[str, object]:
    """Everything that was seen, and the forecast in hours."""
    return {
        **dataclasses.asdict(report),
        "instances_per_second": report.instances_per_second,
        "bytes_per_second": report.bytes_per_second,
        "forecast_hours": forecast_hours(report, associations),
    }


def forecast_hours(report: ProbeReport, associations: int) -> float | None:
    """How long the instances that were counted take at the measured rate; None where one of both is not known.

    As if each association brought as much as the one that was measured, which is the best that can be.
    """
    rate = report.instances_per_second
    if rate is None or not report.instances:
        return None
    return report.instances / (rate * max(1, associations)) / 3600


def probe_lines(report: ProbeReport, associations: int) -> Iterator[str]:
    """Line by line."""
    yield f"kind             {report.kind}"
    for name, is_there in report.services.items():
        yield f"service          {'yes' if is_there else 'no ':3}  {name}"
    for uid, is_there in report.syntaxes.items():
        yield f"syntax           {'yes' if is_there else 'no ':3}  {describe(uid)}"
    yield f"looked at        {report.studies} studies, {report.instances} instances"
    yield f"results at once  {report.cap or 'no cap noticed'}"
    if report.seconds_per_question is not None:
        yield f"a question takes {report.seconds_per_question * 1000:.0f} ms ({report.questions} asked)"
    yield from _facts(report)
    rate, bytes_per_second = report.instances_per_second, report.bytes_per_second
    if rate is not None and bytes_per_second is not None:
        yield (
            f"rate             {rate:.1f} instances/s, {bytes_per_second / _MIB:.1f} MiB/s "
            f"by one association ({report.fetched} fetched)"
        )
    hours = forecast_hours(report, associations)
    if hours is not None:
        yield f"forecast         {hours:.1f} h at best for what was looked at, {associations} associations"
    for key, value in report.proposals.items():
        yield f"proposal         --option {key}={value}"
    for note in report.notes:
        yield f"note             {note}"


def _facts(report: ProbeReport) -> Iterator[str]:
    facts = {
        "relational": report.is_relational,
        "stable UIDs": report.has_stable_uids,
        "stable bytes": report.has_stable_bytes,
        "counts instances": report.counts_instances if report.studies else None,
    }
    words = {True: "yes", False: "no", None: "not known"}
    for name, fact in facts.items():
        yield f"{name:16} {words[fact]}"
