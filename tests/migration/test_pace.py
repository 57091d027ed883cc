"""How much a source is asked for: the limit, the calendar, the ceilings, the forecast."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vna.errors import ConfigError
from vna.migration.forecast import forecast
from vna.migration.hours import ceilings_at, parse_window, share_of, window_text
from vna.migration.pace import AdaptiveLimit
from vna.migration.throttle import Throttle
from vna.model.campaign import CampaignSettings, Ceilings

MIB = 2**20
USUAL = Ceilings(4, 10.0, 5.0 * MIB)


def ramped(ceiling: int = 64) -> AdaptiveLimit:
    """A limit that a good source has brought to eight."""
    limit = AdaptiveLimit(ceiling)
    for _ in range(7):
        limit.went_well(0.0, 0.1, limit.slots)
    return limit


def test_it_grows_fast_at_first_and_slowly_once_it_knows() -> None:
    limit = ramped()
    assert limit.slots == 8
    limit.was_refused(0.0)
    assert limit.slots == 4
    for _ in range(4):
        limit.went_well(1.0, 0.1, limit.slots)
    assert 4 < limit.limit <= 5


def test_complaints_about_the_same_count_once() -> None:
    limit = ramped()
    for _ in range(5):
        limit.was_refused(1.0)
    assert limit.slots == 4
    limit.was_refused(3.5)
    assert limit.slots == 2


def test_a_limit_that_is_not_reached_says_nothing_about_more() -> None:
    limit = ramped()
    limit.went_well(0.0, 0.1, 3)
    assert limit.slots == 8


def test_a_source_that_becomes_slow_is_asked_for_less() -> None:
    limit = ramped()
    for number in range(4):
        limit.went_well(10.0 + 3 * number, 1.0, limit.slots)
    assert limit.slots < 8


def test_a_source_whose_images_are_large_is_not_slow() -> None:
    limit = ramped()
    for _ in range(20):
        limit.went_well(10.0, None, limit.slots)
    assert limit.slots > 8


@given(
    st.integers(0, 20),
    st.lists(st.tuples(st.sampled_from(["well", "slow", "refused"]), st.floats(0, 3)), max_size=60),
)
def test_it_stays_between_one_and_the_ceiling(
    ceiling: int, events: list[tuple[str, float]]
) -> None:
    limit, now = AdaptiveLimit(ceiling), 0.0
    for event, step in events:
        now += step
        if event == "refused":
            limit.was_refused(now)
        else:
            limit.went_well(now, 0.1 if event == "well" else 9.0, limit.slots)
        assert min(1, ceiling) <= limit.slots <= ceiling


def test_the_first_window_that_fits_counts_and_may_end_after_midnight() -> None:
    settings = CampaignSettings(
        USUAL,
        (
            parse_window("mon-fri 07:00-18:00 associations=1 mib=1", USUAL),
            parse_window("sun 22:00-06:00 associations=0", USUAL),
        ),
        timezone="Europe/Berlin",
    )

    def at(day: int, hour: int) -> Ceilings:
        return ceilings_at(settings, datetime(2026, 6, day, hour, tzinfo=UTC))

    assert at(1, 5) == Ceilings(1, 10.0, MIB)  # Monday, 07:00 there
    assert at(1, 16) == USUAL
    assert at(7, 21) == Ceilings(0, 10.0, 5.0 * MIB)  # Sunday, 23:00 there
    assert at(8, 3) == Ceilings(0, 10.0, 5.0 * MIB)
    assert at(8, 4) == USUAL


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mon 7-18",
        "noday 07:00-18:00",
        "mon 25:00-26:00",
        "mon 07:00-18:00 speed=1",
        "mon 07:00-18:00 mib=1.1.1",
    ],
)
def test_a_window_that_is_none_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match="write it like"):
        parse_window(text, USUAL)


def test_a_window_is_shown_as_it_is_read() -> None:
    window = parse_window("fri-mon,wed 18:30-06:00 associations=8 instances=2.5", USUAL)
    assert window.days == (0, 2, 4, 5, 6)
    assert parse_window(window_text(window), Ceilings(1)) == window


@given(st.integers(0, 30), st.integers(1, 12))
def test_shares_are_the_whole(ceiling: int, workers: int) -> None:
    shares = [share_of(Ceilings(ceiling, 12.0), workers, rank) for rank in range(workers)]
    assert sum(share.associations for share in shares) == ceiling
    busy = [share for share in shares if share.associations]
    assert sum(share.instances_per_second for share in busy) <= 12.0001


def test_a_throttle_spaces_instances_by_number_and_size() -> None:
    now, waited = [100.0], list[float]()

    def wait(seconds: float) -> None:
        waited.append(seconds)
        now[0] += seconds

    throttle = Throttle(lambda: now[0], wait)
    throttle(10**9, lambda: False)
    assert waited == []
    throttle.instances, throttle.size = 10.0, 1000.0
    for _ in range(3):
        throttle(50, lambda: False)
    assert sum(waited) == pytest.approx(0.2)
    throttle(500, lambda: False)
    throttle(0, lambda: False)
    assert sum(waited) == pytest.approx(0.3 + 0.5)
    throttle(10**6, lambda: False)
    throttle(0, lambda: True)  # who has to stop does not wait
    assert sum(waited) < 2.0


def test_a_forecast_tells_how_sure_it_is() -> None:
    steady = forecast(600, [60] * 10)
    assert steady is not None
    assert (steady.rate, steady.seconds, steady.low, steady.high) == (1.0, 600.0, 600.0, 600.0)
    unsteady = forecast(600, [120, 0, 120, 0, 120, 30])
    assert unsteady is not None
    assert unsteady.low < unsteady.seconds
    assert unsteady.high is None or unsteady.high > unsteady.seconds
    assert forecast(600, [0, 0, 0]) is None
    assert forecast(600, [10, 0, 0]) is None
