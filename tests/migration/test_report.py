"""What a migration brought, as a page, as JSON and as tables: the numbers of the ledger, and nothing beside them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.interop.viewer import BROWSER, DRIVER, browser
from tests.migration.conftest import Site, study
from vna.errors import ConfigError
from vna.index.ledger_report import Amounts, CensusLine, ExceptionLine, Part, ReasonLine, Step
from vna.index.snapshot import snapshot
from vna.migration.report import plots, scales, tables
from vna.migration.report.facts import CampaignFacts, facts_of, percent
from vna.migration.report.html import pages
from vna.migration.report.plots import Bar, Title
from vna.migration.report.writing import write_report

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOSTILE = '<script>alert("1")</script>&amp;\x00\u202e=1+1'
_VOID = {"meta", "link"}


class Outline(HTMLParser):
    """The elements of a page; every one that is opened has to be closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def outline(page: str) -> Outline:
    found = Outline()
    found.feed(page)
    found.close()
    assert found.open == []
    return found


def facts(text: str = "silo", exceptions: int = 3) -> CampaignFacts:
    """A campaign of paper, with `text` wherever a source may have a say."""
    line = ExceptionLine(
        "instance", "1.2.3", "1.2.3.4", "1.2.3.4.5", "parked", "not-delivered", text, text, 5, 7
    )
    amounts = Amounts(2, 100, 90, 1, 3, 4096)
    steps = [Step(NOW + timedelta(minutes=n), 10, 1024, 9) for n in range(10)]
    account = {
        "campaign": {
            "name": text,
            "state": "done",
            "scope": {"patient_id": text},
            "settings": {"windows": ({"days": (0, 1)},), "decode": False},
        },
        "source": {"kind": "folder", "options": {"path": text}},
        "rules": [
            {
                "version": 1,
                "declared_at": NOW,
                "declared_by": text,
                "digest": "sha256:00",
                "text": text,
                "maps": {text: "sha256:11"},
            }
        ],
        "inventories": [{"number": 1, "began_at": NOW}],
        "final_check": {
            "began_at": NOW,
            "ended_at": NOW,
            "operator": text,
            "inventory": 1,
            "result": "passed",
            "accepts_exceptions": True,
            "reread": True,
            "findings": {"instances": {"verified": 90}, "faults": 0},
        },
    }
    census = [CensusLine(text, 90, 90, 4000), CensusLine("1.2.840.10008.5.1.4.1.1.2", 10, 0, 96)]
    return CampaignFacts(
        account=account,
        total=amounts,
        parts=[Part(2020, text, amounts), Part(None, "", amounts)],
        studies_by_year={2020: 2, None: 1},
        census=dict.fromkeys(
            ("sop_class_uid", "transfer_syntax_uid", "outcome", "evidence", "rules"), census
        ),
        width=60,
        steps=steps,
        reasons=[ReasonLine("instance", "parked", "not-delivered", exceptions)],
        exceptions=lambda: iter([line] * exceptions),
    )


def page_of(*found: CampaignFacts, most: int = 2000) -> str:
    return "".join(pages(found, NOW, most, "the others are elsewhere"))


@pytest.mark.parametrize("text", ["silo", HOSTILE])
def test_the_page_is_whole_and_what_a_source_says_stays_text(text: str) -> None:
    found = outline(page_of(facts(text), facts("another")))
    assert "script" not in {tag for tag, _ in found.seen}
    assert any(text[:8] in part for part in found.texts)
    ids = [attributes["id"] for _, attributes in found.seen if "id" in attributes]
    assert len(ids) == len(set(ids))
    named = " ".join(str(a.get("aria-labelledby", "")) for _, a in found.seen).split()
    assert set(named) <= set(ids)


def test_the_page_asks_for_nothing_and_is_to_be_read_without_colours_and_eyes() -> None:
    page = page_of(facts())
    found = outline(page)
    policies = [a["content"] for tag, a in found.seen if "http-equiv" in a]
    assert str(policies[0]).startswith("default-src 'none'")
    addresses = {str(a[name]) for _, a in found.seen for name in ("href", "src") if name in a}
    assert addresses == {"data:,"}
    assert set(re.findall(r"url\(([^)]*)\)", page)) == {"#hatch"}
    assert [a["lang"] for tag, a in found.seen if tag == "html"] == ["en"]
    tags = [tag for tag, _ in found.seen]
    assert tags.count("caption") == tags.count("table")
    assert all("scope" in a for tag, a in found.seen if tag == "th")
    pictures = [a for tag, a in found.seen if tag == "svg" and a.get("role") == "img"]
    assert len(pictures) == 4
    assert tags.count("desc") == 4


def test_more_exceptions_than_a_page_can_show() -> None:
    page = page_of(facts(exceptions=30), most=20)
    assert page.count("1.2.3.4.5") == 20
    assert "The first 20 of 30 follow; the others are elsewhere." in page
    none = page_of(replace(facts(exceptions=0), reasons=[]))
    assert "There are none." in none


def test_nothing_was_brought_yet() -> None:
    account = {**facts().account, "final_check": None, "inventories": [], "rules": []}
    empty = replace(facts(), account=account, total=Amounts(), parts=[], steps=[], reasons=[])
    page = page_of(empty)
    outline(page)
    assert "No inventory was taken" in page
    assert "Nothing has been brought yet." in page


def test_a_share_is_never_rounded_up() -> None:
    assert percent(0, 0) == "–"
    assert percent(9_999_999, 10_000_000) == "99.99 %"
    assert percent(10_000_000, 10_000_000) == "100.00 %"
    assert percent(1, 3) == "33.33 %"


@given(st.floats(0, 1e15))
def test_axes_have_few_round_steps_that_reach_the_top(highest: float) -> None:
    found = scales.ticks(highest)
    assert found[0] == 0
    assert found[-1] >= highest * (1 - 1e-9)
    assert 2 <= len(found) <= 7


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**10)), min_size=1, max_size=40))
def test_plots_stay_within_their_frame(numbers: list[tuple[int, int]]) -> None:
    seconds = sorted({second for second, _ in numbers})
    moments = [NOW + timedelta(seconds=second % 10**8) for second in sorted(set(seconds))]
    title = Title("t", "a <plot>", "of & numbers")
    values = [value for _, value in numbers][: len(moments)] or [0]
    moments = sorted(moments)[: len(values)]
    bars = [Bar(str(second), value, second, 3, "x") for second, value in numbers]
    for drawn in (
        plots.growth(title, list(zip(moments, sorted(values), strict=False)), values[0]),
        plots.rate(title, [(m, float(v)) for m, v in zip(moments, values, strict=False)], 60),
        plots.columns(title, bars),
        plots.rows(title, bars),
    ):
        found = outline(drawn)
        height = float(str(found.seen[0][1]["viewbox"]).split()[3])
        for tag, shape in found.seen:
            if tag == "rect":
                x, y, wide, high = (float(str(shape[k])) for k in ("x", "y", "width", "height"))
                assert -0.1 <= x <= x + wide <= 721
                assert -0.1 <= y <= y + high <= height + 1
        assert "nan" not in drawn


def rows_of(pieces: Iterator[bytes]) -> list[list[str]]:
    return list(csv.reader(io.StringIO(b"".join(pieces).decode())))


def test_tables_are_safe_to_open_in_a_spreadsheet() -> None:
    found = [facts("=HYPERLINK(1)")]
    head, *lines = rows_of(tables.exceptions(found))
    assert head[0] == "campaign"
    assert len(lines) == 3
    assert all(line[0] == "'=HYPERLINK(1)" for line in lines)
    assert {len(line) for line in lines} == {len(head)}
    assert len(rows_of(tables.counts(found))) == 3
    assert len(rows_of(tables.progress(found))) == 11


def worked(site: Site) -> list[str]:
    """A campaign of three studies, one of which lacks an instance; the UIDs of that one's."""
    study(3, "1.2.1", site.source.add, Modality="CT")
    study(2, "1.2.2", site.source.add)
    lacking = study(2, "1.2.3", site.source.add)
    site.source.sends = lambda data: None if data == site.source.objects[lacking[0]] else data
    site.work(site.begin())
    return lacking


def test_what_it_says_is_what_the_ledger_says(site: Site, tmp_path: Path) -> None:
    lacking = worked(site)
    with snapshot(site.database) as moment:
        found = facts_of(moment, site.campaigns.find("silo"))
        files = write_report([found], moment.moment, tmp_path / "reports")
    assert [path.name for path in files] == [
        *("report.html", "report.json", "counts.csv", "progress.csv", "exceptions.csv")
    ]
    document: dict[str, Any] = orjson.loads((tmp_path / "reports/report.json").read_bytes())
    (campaign,) = document["campaigns"]
    total = campaign["total"]
    assert (total["studies"], total["instances"], total["verified"]) == (3, 7, 6)
    assert (total["exceptions"], total["not_decided"]) == (1, 0)
    assert total["bytes"] == sum(map(len, site.source.objects.values()))
    (year,) = campaign["years"]
    assert (year["year"], year["studies"], year["verified"]) == (2024, 3, 6)
    assert sum(step["verified"] for step in campaign["progress"]["steps"]) == 6
    assert sum(step["came"] for step in campaign["progress"]["steps"]) == 6
    assert sum(line["instances"] for line in campaign["census"]["sop_class_uid"]) == 7
    kinds = {
        (line["level"], line["reason"]): line["count"] for line in campaign["exceptions_by_reason"]
    }
    assert kinds == {("study", "not-delivered"): 1, ("instance", "not-delivered"): 1}
    listed = [line for line in campaign["exceptions"] if line["level"] == "instance"]
    assert [line["sop_instance_uid"] for line in listed] == [lacking[0]]
    lines = rows_of(iter([(tmp_path / "reports/exceptions.csv").read_bytes()]))
    assert len(lines) == 1 + len(campaign["exceptions"])
    page = (tmp_path / "reports/report.html").read_text(encoding="utf-8")
    outline(page)
    assert lacking[0] in page
    assert "6 of 7 instances are verified (85.71 %)" in page


def test_where_it_goes(tmp_path: Path) -> None:
    found = [facts()]

    def names(target: Path, form: str = "") -> list[str]:
        return [path.name for path in write_report(found, NOW, target, form)]

    assert names(tmp_path / "a.html") == ["a.html"]
    assert names(tmp_path / "a.csv") == ["a.csv"]
    assert (tmp_path / "a.csv").read_bytes().startswith(b"campaign,level")
    assert names(tmp_path / "a.out", "json") == ["a.out"]
    assert orjson.loads((tmp_path / "a.out").read_bytes())["campaigns"]
    assert names(tmp_path, "html") == ["report.html"]
    assert names(tmp_path / "new", "") == [
        *("report.html", "report.json", "counts.csv", "progress.csv", "exceptions.csv")
    ]
    assert names(tmp_path / "a.html") == ["a.html"]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    with pytest.raises(ConfigError, match="cannot be written"):
        names(tmp_path / "no such folder" / "a.html")
    with pytest.raises(ConfigError, match="cannot be made"):
        names(tmp_path / "a.html" / "b")


@pytest.mark.skipif(not (BROWSER.exists() and DRIVER.exists()), reason="Chromium is missing")
def test_a_browser_shows_it_and_asks_for_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(page_of(facts(HOSTILE), facts("another")), encoding="utf-8")
    with browser(tmp_path / "profile", "file://") as viewer:
        driver = viewer.driver
        driver.get(path.as_uri())
        asked = [url for url in viewer.asked("") if not url.startswith(("data:", "chrome"))]
        assert asked == [path.as_uri()]
        assert viewer.complaints() == []
        boxes = driver.execute_script(
            "return [...document.querySelectorAll('svg[role=img]')].map(e => e.getBoundingClientRect().height)"
        )
        assert len(boxes) == 8
        assert min(boxes) > 30
        shades = []
        for scheme in ("light", "dark"):
            media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
            shades.append(
                driver.execute_script("return getComputedStyle(document.body).backgroundColor")
            )
        assert shades == ["rgb(255, 255, 255)", "rgb(20, 24, 29)"]
        driver.set_window_size(420, 800)
        wide = driver.execute_script("return document.documentElement.scrollWidth")
        assert wide <= driver.execute_script("return innerWidth")
        printed = driver.execute_cdp_cmd("Page.printToPDF", {})
        assert printed["data"].startswith("JVBERi0")  # %PDF-
