"""Studies of a DICOM archive by C-FIND, C-MOVE and C-GET, from one that may cap, lie and fail."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests import samples
from tests.migration.pacs import LOOPBACK, Kept, Manners, Pacs, keep, study_of
from tests.migration.taking import Taker, never
from vna.dimse.settings import CALLING_AE_TITLE_NOT_RECOGNIZED, TEMPORARY_CONGESTION
from vna.errors import ConfigError, InvalidInstance, Unavailable
from vna.migration import dicom_keys as tags
from vna.migration.dicom_inventory import MISSES
from vna.migration.dicom_keys import text
from vna.migration.source_options import DicomOptions
from vna.migration.sources.base import SourceBusy, SourceError, SourceUnavailable
from vna.migration.sources.dicom import DicomSource
from vna.migration.sources.registry import check_options, open_source
from vna.migration.sweep import IncompleteInventory
from vna.model.migration import FoundInstance, FoundStudy, Scope, SourceSettings
from vna.spool import Spool

Opened = tuple[Pacs, DicomSource]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    """Makes an archive of these files and a source that reads it."""
    with ExitStack() as stack:

        def open_(
            objects: list[bytes], manners: Manners | None = None, **options: object
        ) -> Opened:
            pacs = Pacs(keep(objects), manners or Manners())
            stack.enter_context(pacs.listening())
            source = stack.enter_context(_source(pacs, tmp_path, options))
            return pacs, source

        yield open_


@contextmanager
def _source(pacs: Pacs, folder: Path, options: dict[str, object]) -> Iterator[DicomSource]:
    values: dict[str, object] = {
        "host": LOOPBACK,
        "port": pacs.address[1],
        "called_ae_title": "PACS",
        "calling_ae_title": "MIGRATOR",
        "move_destinations": f"LANDING@{LOOPBACK}:0",
        "settle_time": 0.3,
    }
    spool = Spool(folder / "spool", 65_536)
    source = DicomSource(DicomOptions(**{**values, **options}), spool)  # type: ignore[arg-type]
    if source.capabilities().kind == "dicom-move":
        pacs.destinations["LANDING"] = source.listener().address
    yield source
    source.close()
    spool.close()


def the_study(source: DicomSource) -> tuple[FoundStudy, list[FoundInstance]]:
    """The only study of a source, with its instances."""
    (study,) = source.studies(Scope())
    return study, list(source.instances(study))


def datasets(kept: list[Kept]) -> set[bytes]:
    return {one.dataset for one in kept}


BOTH = pytest.mark.parametrize("retrieve", ["move", "get"])


@BOTH
def test_a_study_comes_as_it_is_stored(opened: Callable[..., Opened], retrieve: str) -> None:
    pacs, source = opened(study_of(series=2), retrieve=retrieve)
    source.check()
    study, found = the_study(source)
    assert (study.number_of_instances, study.modalities, len(found)) == (6, ("CT",), 6)
    taker = Taker()
    report = source.fetch(study, found, taker, never)
    assert {taken.dataset for taken in taker.taken} == datasets(pacs.kept)
    assert {taken.found for taken in taker.taken} == set(found)
    assert (report.taken, report.failures, report.was_stopped) == (6, (), False)
    assert [text(asked, tags.LEVEL) for asked in pacs.retrieved] == ["STUDY"]


@BOTH
def test_only_what_is_missing_is_asked_for(opened: Callable[..., Opened], retrieve: str) -> None:
    pacs, source = opened(study_of(series=2, images=4), retrieve=retrieve)
    study, found = the_study(source)
    taker = Taker()
    report = source.fetch(study, found[3:6], taker, never)
    assert taker.uids == {one.uids.sop_instance_uid for one in found[3:6]}
    assert report.taken == 3
    assert [text(asked, tags.LEVEL) for asked in pacs.retrieved] == ["IMAGE", "IMAGE"]


@BOTH
@pytest.mark.parametrize(
    "answers", [[], [0xA900], [0x0000]], ids=["serves", "refuses", "is silent"]
)
def test_a_series_is_asked_for_as_such_then_its_instances(
    opened: Callable[..., Opened], retrieve: str, answers: list[int]
) -> None:
    pacs, source = opened(
        study_of(series=2, images=3), Manners(statuses=answers), retrieve=retrieve
    )
    study, found = the_study(source)
    taker = Taker()
    more = ["IMAGE"] if answers else []
    assert source.fetch(study, found[:4], taker, never, found).taken == 4
    assert [text(asked, tags.LEVEL) for asked in pacs.retrieved] == ["SERIES", "IMAGE", *more]


@BOTH
def test_a_study_that_is_refused_is_asked_for_by_its_series(
    opened: Callable[..., Opened], retrieve: str
) -> None:
    pacs, source = opened(
        study_of(series=2, images=3), Manners(statuses=[0xC000]), retrieve=retrieve
    )
    study, found = the_study(source)
    assert source.fetch(study, found, Taker(), never).taken == 6
    levels = [text(asked, tags.LEVEL) for asked in pacs.retrieved]
    assert levels == ["STUDY", "SERIES", "SERIES"]


@BOTH
def test_who_understands_no_lists_is_asked_one_by_one(
    opened: Callable[..., Opened], retrieve: str
) -> None:
    _, source = opened(
        study_of(images=5), Manners(takes_lists=False, says=0xA900), retrieve=retrieve
    )
    study, found = the_study(source)
    taker = Taker()
    source.fetch(study, found[:3], taker, never)
    assert len(taker.uids) == 3


@BOTH
@pytest.mark.parametrize("syntax", [samples.IMPLICIT, samples.JPEG_BASELINE, samples.BIG_ENDIAN])
def test_each_syntax_comes_as_it_is_stored(
    opened: Callable[..., Opened], retrieve: str, syntax: str
) -> None:
    one = (
        samples.small(syntax, PatientID="X")
        if syntax != samples.JPEG_BASELINE
        else (samples.encapsulated([[b"\xff\xd8\xff\xd9"]]))
    )
    pacs, source = opened([one], retrieve=retrieve)
    study, found = the_study(source)
    taker = Taker()
    source.fetch(study, found, taker, never)
    (taken,) = taker.taken
    assert taken.transfer_syntax_uid == syntax
    assert {taken.dataset} == datasets(pacs.kept)


def test_a_truncating_source_shows_everything(opened: Callable[..., Opened]) -> None:
    objects = [
        data
        for n in range(130)
        for data in study_of(
            images=1, day="" if n % 7 == 0 else f"202401{1 + n % 9:02}", patient_id=f"P{n:03}"
        )
    ]
    long = study_of(series=1, images=60)
    wide = study_of(series=45, images=1)
    _, source = opened([*objects, *long, *wide], Manners(cap=40, counted=lambda _: None))
    studies = list(source.studies(Scope()))
    assert len({study.study_instance_uid for study in studies}) == len(studies) == 132
    found = [len(list(source.instances(study))) for study in studies]
    assert sorted(found)[-2:] == [45, 60]
    assert sum(found) == 130 + 45 + 60


@pytest.mark.parametrize("series", [1, 3], ids=["of one series", "of several"])
def test_answers_of_the_same_length_are_not_doubted_where_a_longer_one_comes(
    opened: Callable[..., Opened], series: int
) -> None:
    objects = [data for _ in range(4) for data in study_of(series=series, images=12)]
    pacs, source = opened(objects, Manners(counted=lambda _: None))
    studies = list(source.studies(Scope()))
    pacs.asked.clear()
    assert [len(list(source.instances(study))) for study in studies] == [12 * series] * 4
    images = [asked for asked in pacs.asked if text(asked, tags.LEVEL) == "IMAGE"]
    numbered = [asked for asked in images if text(asked, tags.INSTANCE_NUMBER)]
    by_number = 12 + MISSES + 1 if series == 1 else 0  # the first one has nothing beside it
    assert (len(images) - len(numbered), len(numbered)) == (4 * series + 1, by_number)


@pytest.mark.parametrize("takes_lists", [True, False])
def test_series_of_the_same_length_behind_a_cap_are_shown_in_full(
    opened: Callable[..., Opened], takes_lists: bool
) -> None:
    objects = study_of(series=3, images=15)
    manners = Manners(cap=12, counted=lambda _: None, lists_series=takes_lists)
    _, source = opened(objects, manners)
    _, found = the_study(source)
    assert len({one.uids.sop_instance_uid for one in found}) == 45


def test_what_a_source_can_not_be_made_to_show_is_told(opened: Callable[..., Opened]) -> None:
    manners = Manners(cap=40, counted=lambda _: None, ignores=frozenset({tags.INSTANCE_NUMBER}))
    _, source = opened(study_of(images=60), manners)
    (study,) = source.studies(Scope())
    found: list[FoundInstance] = []
    with pytest.raises(IncompleteInventory, match="ignores Instance Number"):
        found.extend(source.instances(study))
    assert len(found) == 40


@BOTH
def test_success_without_the_objects_is_no_evidence(
    opened: Callable[..., Opened], retrieve: str
) -> None:
    objects = study_of(images=4)
    kept = keep(objects)
    manners = Manners(withholds=frozenset({kept[1].uids.sop_instance_uid}), counted=lambda _: 4)
    _, source = opened(objects, manners, retrieve=retrieve)
    study, found = the_study(source)
    taker = Taker()
    report = source.fetch(study, found, taker, never)
    assert report.said.startswith("0x0000")
    assert (report.taken, len(taker.uids)) == (3, 3)


@BOTH
def test_new_uids_belong_to_nothing_that_was_asked_for(
    opened: Callable[..., Opened], retrieve: str
) -> None:
    _, source = opened(study_of(), Manners(mints=True), retrieve=retrieve)
    study, found = the_study(source)
    taker = Taker()
    source.fetch(study, found, taker, never)
    assert [taken.found for taken in taker.taken] == [None] * 3


def test_objects_that_come_after_the_last_response_count(opened: Callable[..., Opened]) -> None:
    _, source = opened(study_of(images=5), Manners(is_early=True), settle_time=20)
    study, found = the_study(source)
    taker = Taker()
    report = source.fetch(study, found, taker, never)
    assert report.taken == len(taker.uids) == 5


def test_a_source_that_does_not_name_the_originator_is_matched_by_uids(
    opened: Callable[..., Opened],
) -> None:
    _, source = opened([*study_of(), *study_of()], Manners(names_originator=False))
    studies = list(source.studies(Scope()))
    takers = [Taker(), Taker()]

    def fetch(number: int) -> None:
        found = list(source.instances(studies[number]))
        source.fetch(studies[number], found, takers[number], never)

    threads = [threading.Thread(target=fetch, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for study, taker in zip(studies, takers, strict=True):
        assert len(taker.taken) == 3
        assert {t.found.uids.study_instance_uid for t in taker.taken if t.found} == {
            study.study_instance_uid
        }


@BOTH
def test_an_object_that_is_refused_stops_nothing_else(
    opened: Callable[..., Opened], retrieve: str
) -> None:
    _, source = opened(study_of(), retrieve=retrieve)
    study, found = the_study(source)
    bad = found[1].uids.sop_instance_uid
    taker = Taker(
        lambda one: InvalidInstance("odd") if one and one.uids.sop_instance_uid == bad else None
    )
    report = source.fetch(study, found, taker, never)
    assert report.taken == 2
    assert [(one.sop_instance_uid, one.reason) for one in report.failures] == [(bad, "odd")]


@BOTH
def test_when_the_archive_can_not_store_the_fetch_ends(
    opened: Callable[..., Opened], retrieve: str
) -> None:
    _, source = opened(study_of(images=30), retrieve=retrieve)
    study, found = the_study(source)
    with pytest.raises(Unavailable, match="no database"):
        source.fetch(study, found, Taker(lambda _: Unavailable("no database")), never)


@BOTH
def test_it_ends_when_it_is_told_to(opened: Callable[..., Opened], retrieve: str) -> None:
    taker = Taker()
    blocked = threading.Event()

    def hold() -> None:
        if taker.taken:  # the second object does not come before all is over
            blocked.wait(60)

    _, source = opened(study_of(images=3), Manners(hold=hold), retrieve=retrieve)
    study, found = the_study(source)
    report = source.fetch(study, found, taker, taker.came.is_set)
    count = len(taker.taken)
    blocked.set()
    assert report.was_stopped
    assert (report.taken, count) == (1, 1)


@BOTH
def test_a_source_that_falls_silent_is_left(opened: Callable[..., Opened], retrieve: str) -> None:
    blocked = threading.Event()
    manners = Manners(hold=lambda: blocked.wait(60))
    _, source = opened(study_of(), manners, retrieve=retrieve, response_timeout=0.5)
    study, found = the_study(source)
    with pytest.raises(SourceUnavailable, match="silent"):
        source.fetch(study, found, Taker(), never)
    blocked.set()


@BOTH
def test_a_source_that_breaks_off_is_unavailable(
    opened: Callable[..., Opened], retrieve: str
) -> None:
    pacs, source = opened(study_of(), retrieve=retrieve)
    study, found = the_study(source)
    pacs.manners = Manners(aborts_at=frozenset(one.uids.sop_instance_uid for one in found))
    with pytest.raises(SourceUnavailable):
        source.fetch(study, found, Taker(), never)


@BOTH
def test_what_is_listed_behind_an_object_that_a_source_aborts_over_comes(
    opened: Callable[..., Opened], retrieve: str
) -> None:
    pacs, source = opened(study_of(series=2, images=3), retrieve=retrieve)
    bad = pacs.kept[1].uids.sop_instance_uid
    pacs.manners.aborts_at = frozenset({bad})
    study, found = the_study(source)
    taker = Taker()
    report = source.fetch(study, found, taker, never, found)
    assert taker.uids == {one.uids.sop_instance_uid for one in found} - {bad}
    assert [failure.sop_instance_uid for failure in report.failures] == [bad]


@BOTH
def test_what_did_not_come_together_is_asked_for_alone(
    opened: Callable[..., Opened], retrieve: str
) -> None:
    pacs, source = opened(study_of(images=3), retrieve=retrieve)
    pacs.manners.broken = frozenset({pacs.kept[1].uids.sop_instance_uid})
    study, found = the_study(source)
    report = source.fetch(study, found, Taker(), never, found)
    assert report.taken == 2
    assert [text(asked, tags.LEVEL) for asked in pacs.retrieved][:2] == ["STUDY", "IMAGE"]


@pytest.mark.parametrize("told", [True, False])
def test_by_get_who_uses_the_first_context_of_a_class_gives_plain_objects_too(
    opened: Callable[..., Opened], told: bool
) -> None:
    manners = Manners(first_context_only=True)
    plain = [*study_of(images=2), samples.small(samples.IMPLICIT, PatientID="X")]
    _, source = opened(plain, manners, retrieve="get")
    for study in source.studies(Scope()):
        found = list(source.instances(study))
        if not told:
            found = [replace(one, transfer_syntax_uid="") for one in found]
        assert source.fetch(study, found, Taker(), never, found).taken == len(found)


@BOTH
def test_a_source_that_asks_for_less_says_so(opened: Callable[..., Opened], retrieve: str) -> None:
    _, source = opened(study_of(), Manners(statuses=[0xA702]), retrieve=retrieve)
    study, found = the_study(source)
    report = source.fetch(study, found, Taker(), never)
    assert report.was_busy
    assert report.said.startswith("0xA702")


def test_an_unknown_destination_is_told_with_its_remedy(opened: Callable[..., Opened]) -> None:
    pacs, source = opened(study_of())
    study, found = the_study(source)
    pacs.destinations.clear()
    port = source.listener().address[1]
    with pytest.raises(SourceError, match=rf"LANDING: have it added there with port {port}"):
        source.fetch(study, found, Taker(), never)


def test_who_is_not_let_in_is_told_why(opened: Callable[..., Opened]) -> None:
    pacs, source = opened(study_of())
    pacs.manners.admit = lambda _: CALLING_AE_TITLE_NOT_RECOGNIZED
    with pytest.raises(SourceError, match="our AE title MIGRATOR: have it added there") as refused:
        source.check()
    assert not refused.value.transient
    pacs.manners.admit = lambda _: TEMPORARY_CONGESTION
    with pytest.raises(SourceBusy):
        source.check()


def test_without_tls_at_the_source_that_is_told(opened: Callable[..., Opened]) -> None:
    _, source = opened(study_of(), tls=True, retrieve="get")
    with pytest.raises(SourceError, match="check tls"):
        source.check()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tls": "true", "ca": "/nowhere"}, "/nowhere cannot be read"),
        ({"retrieve": "push"}, "move or get"),
        ({"retrieve": "move"}, "AE@HOST:PORT"),
        ({"move_destinations": "here"}, "'here' is not of the form AE@HOST:PORT"),
        ({"called_ae_title": "MORE THAN SIXTEEN"}, "no AE title"),
        ({"port": "70000"}, "70000 is no port"),
        ({"port": "x"}, "port"),
    ],
)
def test_options_that_can_not_be_right_are_refused(
    options: dict[str, str], words: str, tmp_path: Path
) -> None:
    given = {"host": LOOPBACK, "port": "1", "called_ae_title": "PACS", "retrieve": "get"}
    settings = SourceSettings("dicom", {**given, **options})
    with pytest.raises(ConfigError, match=words):
        check_options(settings)
        open_source(settings, Spool(tmp_path, 1024))


def test_nobody_there_is_unavailable(tmp_path: Path) -> None:
    options = DicomOptions(LOOPBACK, 1, "PACS", retrieve="get")
    source = DicomSource(options, Spool(tmp_path, 1024))
    with pytest.raises(SourceUnavailable, match="check host and port"):
        source.check()


def test_a_query_that_is_refused_for_its_breadth_is_cut(opened: Callable[..., Opened]) -> None:
    pacs, source = opened(study_of(images=1))
    pacs.manners.finds = [0xA700, 0xC001]
    assert len(list(source.studies(Scope()))) == 1


def test_an_association_that_was_dropped_while_idle_is_opened_anew(
    opened: Callable[..., Opened],
) -> None:
    pacs, source = opened([*study_of(images=1), *study_of(images=1)])
    studies = source.studies(
        Scope(study_instance_uids=tuple(kept.uids.study_instance_uid for kept in pacs.kept) * 20)
    )
    first = next(studies)
    pacs.hang_up()
    others = {study.study_instance_uid for study in studies} | {first.study_instance_uid}
    assert others == {kept.uids.study_instance_uid for kept in pacs.kept}


def test_strangers_are_turned_away(opened: Callable[..., Opened]) -> None:
    from vna.dimse.association import Association
    from vna.dimse.errors import AssociationRejected
    from vna.dimse.settings import RequestorSettings

    _, source = opened(study_of())
    settings = RequestorSettings("X", "LANDING", ((samples.CT_IMAGE, (samples.EXPLICIT,)),))
    with pytest.raises(AssociationRejected):
        Association.request(source.listener().address, settings)


def test_same_uid_in_two_series_comes_twice(opened: Callable[..., Opened]) -> None:
    study, uid = samples.new_uid(), samples.new_uid()
    objects = [samples.ct_at(study, f"{study}.{n}", uid) for n in (1, 2)]
    _, source = opened(objects)
    found_study, found = the_study(source)
    assert len(found) == 2
    taker = Taker()
    source.fetch(replace(found_study, number_of_instances=2), found, taker, never)
    assert {taken.found for taken in taker.taken} == set(found)
