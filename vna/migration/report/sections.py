"""The parts of a report that are text and tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any

from vna.index.ledger_report import ExceptionLine
from vna.migration.report import cells, page
from vna.migration.report.facts import CampaignFacts, percent
from vna.migration.report.page import Column
from vna.migration.report.scales import whole
from vna.model.campaign import REASONS, STATES, ItemState

_LISTED = (
    *(
        Column("of"),
        Column("study", "u"),
        Column("instance", "u"),
        Column("state"),
        Column("reason"),
    ),
    *(
        Column("detail", "u"),
        Column("place", "u"),
        Column("attempts", "n"),
        Column("conflict", "n"),
    ),
)

_RESULTS = {
    "passed": "passed",
    "failed": "not passed",
    "outdated": "passed, before the newest changes: it has to be made again",
}


def verdict(found: CampaignFacts) -> str:
    """In a sentence, what can be said of the whole."""
    total, check = found.total, found.account["final_check"]
    verified = percent(total.verified, total.instances)
    share = (
        f"{whole(total.verified)} of {whole(total.instances)} instances are verified ({verified})"
    )
    rest = (
        f"{whole(total.exceptions)} are exceptions, {whole(total.excluded)} were excluded, "
        f"{whole(total.open)} are not decided"
    )
    if check is not None and check["result"] == "passed":
        accepted = " Exceptions were accepted." if check["accepts_exceptions"] else ""
        text = f"The final check passed. {share}; {rest}.{accepted}"
        return page.paragraph(text, "verdict good")
    if not found.account["inventories"]:
        return page.paragraph("No inventory was taken: nothing is known of the source.", "verdict")
    kind = "verdict bad" if total.exceptions else "verdict"
    return page.paragraph(f"{share}; {rest}. No final check is in force.", kind)


def final_check(found: CampaignFacts) -> Iterator[str]:
    """What the last check before the source may be switched off has found."""
    check = found.account["final_check"]
    yield "<h3>Final check</h3>\n"
    if check is None:
        yield page.paragraph("None was made.")
        return
    findings: Mapping[str, Any] = check["findings"]
    rows = [
        ("result", _RESULTS[check["result"]]),
        ("began", cells.time(check["began_at"])),
        ("ended", cells.time(check["ended_at"])),
        ("by", check["operator"]),
        ("inventory", check["inventory"]),
        ("objects read again", "all" if check["reread"] else "no"),
        ("exceptions accepted", "yes" if check["accepts_exceptions"] else "no"),
        *((name.replace("_", " "), cells.counted(value)) for name, value in findings.items()),
    ]
    yield from page.table("The newest final check", (Column("what"), Column("value", "u")), rows)


def year_tables(found: CampaignFacts) -> Iterator[str]:
    """Counts by year, by modality, and by both."""
    years = ((cells.year(year), *cells.amounts(amounts)) for year, amounts in found.by_year())
    yield from page.table("By year", (Column("year"), *cells.COUNTED), years)
    names = ((name or "none", *cells.amounts(amounts)) for name, amounts in found.by_modality())
    caption = "By modality; a study counts in each that it has"
    yield from page.table(caption, (Column("modality"), *cells.COUNTED), names)
    both = (
        (cells.year(p.year), p.modality or "none", *cells.amounts(p.amounts)) for p in found.parts
    )
    columns = (Column("year"), Column("modality"), *cells.COUNTED)
    yield from page.folded(
        "By year and modality", page.table("By year and modality", columns, both)
    )


def census(found: CampaignFacts) -> Iterator[str]:
    """SOP classes, transfer syntaxes, and what was compared before anything was called verified."""
    yield "<h3>What it is</h3>\n"
    for name, caption, column in (
        ("sop_class_uid", "SOP classes, as the source tells of them", "SOP class"),
        (
            "transfer_syntax_uid",
            "Transfer syntaxes, as the source tells of them",
            "transfer syntax",
        ),
    ):
        rows = ((cells.uid_name(line.value), *cells.line(line)) for line in found.census[name])
        yield from page.table(caption, (Column(column, "u"), *cells.IN_CENSUS), rows)
    yield "<h3>What it was called verified for</h3>\n"
    rows = ((line.value or "nothing yet", *cells.line(line)) for line in found.census["evidence"])
    yield from page.table("Evidence", (Column("what was compared", "u"), *cells.IN_CENSUS), rows)
    rows = ((line.value or "not there yet", *cells.line(line)) for line in found.census["outcome"])
    yield from page.table(
        "What the archive did with it", (Column("it was", "u"), *cells.IN_CENSUS), rows
    )


def exceptions(
    found: CampaignFacts, lines: Iterable[ExceptionLine], most: int, rest: str
) -> Iterator[str]:
    """How many of which kind there are, and the first of them."""
    yield "<h3>Exceptions</h3>\n"
    count = found.exception_count
    if not count:
        yield page.paragraph("There are none.")
        return
    kinds = (
        (
            line.level,
            line.state,
            line.reason or "–",
            REASONS.get(line.reason, ""),
            whole(line.count),
        )
        for line in found.reasons
    )
    columns = (
        Column("of"),
        Column("state"),
        Column("reason"),
        Column("that means", "u"),
        Column("how many", "n"),
    )
    yield from page.table("Kinds of exceptions", columns, kinds)
    yield (
        "<dl>"
        + "".join(
            f"<dt>{state.value}</dt><dd>{escape(STATES[state])}</dd>"
            for state in (
                ItemState.MISMATCHED,
                ItemState.FAILED,
                ItemState.PARKED,
                ItemState.EXCLUDED,
            )
        )
        + "</dl>\n"
    )
    if count > most:
        yield page.paragraph(f"The first {whole(most)} of {whole(count)} follow; {rest}.")
    yield from page.table("Exceptions", _LISTED, map(_exception, lines))


def background(found: CampaignFacts) -> Iterator[str]:
    """Where it came from, by which rules, and when the source was asked."""
    account = found.account
    yield "<h3>Source, settings, rules</h3>\n"
    pairs = [("kind", account["source"]["kind"]), *account["source"]["options"].items()]
    pairs += [
        (f"wanted: {name}", cells.plain(value))
        for name, value in account["campaign"]["scope"].items()
    ]
    pairs += [(name, cells.plain(value)) for name, value in account["campaign"]["settings"].items()]
    columns = (Column("option"), Column("value", "u"))
    yield from page.table("The source, what was wanted of it, and how it was asked", columns, pairs)
    inventories = (
        (one["number"], cells.time(one["began_at"]), cells.time(one.get("ended_at")))
        for one in account["inventories"]
    )
    yield from page.table(
        "Inventories", (Column("number"), Column("began"), Column("ended")), inventories
    )
    yield from _rules(found)


def _rules(found: CampaignFacts) -> Iterator[str]:
    versions = found.account["rules"]
    if not versions:
        yield page.paragraph("No tag rules: what leaves the archive is as it came.")
        return
    went = {line.value: line.instances for line in found.census["rules"]}
    columns = (
        Column("version"),
        Column("declared"),
        Column("by"),
        Column("digest", "u"),
        Column("instances", "n"),
    )
    rows = (
        (
            v["version"],
            cells.time(v["declared_at"]),
            v["declared_by"],
            v["digest"],
            whole(went.get(str(v["version"]), 0)),
        )
        for v in versions
    )
    yield from page.table("Tag rules; the last one is in force", columns, rows)
    for version in versions:
        maps = "".join(f"\n# map {name}: {digest}" for name, digest in version["maps"].items())
        yield f"<h4>Version {version['version']}</h4>\n<pre>{escape(version['text'] + maps)}</pre>\n"


def _exception(line: ExceptionLine) -> tuple[object, ...]:
    return (
        *(line.level, line.study_instance_uid or "none", line.sop_instance_uid, line.state),
        *(line.reason or "–", line.detail, line.place, line.attempts, line.conflict or ""),
    )
