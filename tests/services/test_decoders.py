"""Decoder processes: what goes wrong in one of them stays there."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from tests.services import decoder_tasks as tasks
from vna.config_decoding import DecodingConfig
from vna.dicom.decode import DecodedFrame
from vna.errors import Abandoned, DecoderFailed, Unavailable, Unsupported
from vna.interrupts import Interrupt, interruptible
from vna.services import decoders as decoders_module
from vna.services.decoders import Decoders, InProcess

ROOT = Path(__file__).parents[2]
MEMORY = 192 * 2**20


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    """Two processes that may take 192 MiB and a minute; shared, as what happens in one is to harm no other test."""
    shared = Decoders(DecodingConfig(processes=2, memory_bytes=MEMORY))
    yield shared
    shared.close()


@pytest.fixture
def make() -> Iterator[Callable[[DecodingConfig], Decoders]]:
    """Makes decoders that are closed after the test."""
    made: list[Decoders] = []

    def build(settings: DecodingConfig) -> Decoders:
        made.append(Decoders(settings))
        return made[-1]

    yield build
    for each in made:
        each.close()


def test_a_call_gets_what_the_function_returns(decoders: Decoders) -> None:
    assert decoders.call(tasks.double, b"ab") == b"abab"
    assert decoders.call(tasks.lengths, [b"a", b"bc"], scale=3) == [3, 6]
    assert decoders.call(tasks.decoded, b"x") == DecodedFrame(b"x", "RGB", 1)
    assert decoders.call(tasks.process_id) != os.getpid()


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 2**20 + 1, 24 * 2**20])
def test_bytes_of_any_size_go_there_and_back(decoders: Decoders, size: int) -> None:
    data = os.urandom(size)
    assert decoders.call(tasks.double, data) == data * 2
    assert decoders.call(tasks.double, memoryview(data)) == data * 2
    assert decoders.call(tasks.double, data=memoryview(data)[:10]) == data[:10] * 2


def test_an_error_of_the_archive_comes_out_as_it_is(decoders: Decoders) -> None:
    who = decoders.call(tasks.process_id)
    with pytest.raises(Unsupported, match=r"^no such codec$"):
        decoders.call(tasks.refuse, "no such codec")
    assert decoders.call(tasks.process_id) == who, "a refusal is no reason for another process"


@pytest.mark.parametrize(
    ("task", "reason", "message"),
    [
        (tasks.segfault, "crash", "SIGSEGV"),
        (tasks.abort, "crash", "SIGABRT"),
        (tasks.leave, "crash", "exit code 0"),
        (tasks.swell, "memory", r"decoding\.memory_bytes"),
        (tasks.swell_and_hide_it, "memory", r"decoding\.memory_bytes"),
        (tasks.fault, "fault", "nobody foresaw this"),
        (tasks.misunderstood, "fault", "pathlib"),
        (tasks.unsendable, "crash", "exit code 1"),
    ],
)
def test_what_breaks_a_decoder_fails_its_own_call_only(
    decoders: Decoders, task: Callable[[], object], reason: str, message: str
) -> None:
    with pytest.raises(DecoderFailed, match=message) as failure:
        decoders.call(task)
    assert failure.value.reason == reason
    assert not failure.value.transient
    assert decoders.call(tasks.double, b"ab") == b"abab"


def process_of(decoders: Decoders) -> int:
    """The one that answers; on a busy machine even that takes longer than the short time of some tests."""
    while True:
        try:
            return decoders.call(tasks.process_id)
        except DecoderFailed as exc:
            assert exc.reason == "time"


@pytest.mark.parametrize("task", [tasks.loop_in_python, tasks.loop_in_native_code])
def test_an_endless_loop_ends_when_its_time_is_over(
    make: Callable[[DecodingConfig], Decoders], task: Callable[[], None]
) -> None:
    decoders = make(DecodingConfig(processes=1, seconds=0.3))
    who = process_of(decoders)
    with pytest.raises(DecoderFailed, match=r"longer than the 0\.3 s") as failure:
        decoders.call(task)
    assert failure.value.reason == "time"
    assert process_of(decoders) != who
    await_end(who)


def test_one_that_does_not_hear_the_alarm_is_killed_by_its_host(
    make: Callable[[DecodingConfig], Decoders], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vna.services.decoder_process._PATIENCE", 1)
    monkeypatch.setattr("vna.services.decoder_process._STATUS_SECONDS", 0.1)
    decoders = make(DecodingConfig(processes=1, seconds=0.3))
    who = process_of(decoders)
    with pytest.raises(DecoderFailed) as failure:
        decoders.call(tasks.loop_with_closed_ears)
    assert failure.value.reason == "time"
    await_end(who)
    assert process_of(decoders) != who


def test_native_code_gets_no_more_memory_than_is_allowed(decoders: Decoders) -> None:
    assert MEMORY // 2 < decoders.call(tasks.swell_natively) < MEMORY * 1.2


def test_a_decoder_that_kept_much_memory_is_replaced(decoders: Decoders) -> None:
    small, large = decoders.call(tasks.keep, 1000), decoders.call(tasks.keep, MEMORY // 3)
    assert small == large
    assert decoders.call(tasks.process_id) != large


def test_others_go_on_while_one_fails(decoders: Decoders) -> None:
    def work(number: int) -> bool:
        if number % 5:
            return decoders.call(tasks.double, b"ab" * number) == b"abab" * number
        with pytest.raises(DecoderFailed):
            decoders.call(tasks.segfault)
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(60)))


def test_as_many_work_at_a_time_as_are_configured(decoders: Decoders, tmp_path: Path) -> None:
    pipes = [tmp_path / name for name in "abc"]
    for pipe in pipes:
        os.mkfifo(pipe)
    with ThreadPoolExecutor(3) as pool:
        found = [pool.submit(decoders.call, tasks.wait_for, str(pipe)) for pipe in pipes[:2]]
        writers = [pipe.open("wb") for pipe in pipes[:2]]  # returns when somebody reads
        found.append(pool.submit(decoders.call, tasks.wait_for, str(pipes[2])))
        for writer in writers:
            writer.close()
        pipes[2].open("wb").close()
        who = [each.result() for each in found]
    assert len(set(who[:2])) == 2
    assert who[2] in who[:2]


def test_who_finds_none_free_is_told_to_come_later(
    make: Callable[[DecodingConfig], Decoders], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoders_module, "WAIT_SECONDS", 0.05)
    decoders = make(DecodingConfig(processes=1))
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(decoders.call, tasks.wait_for, str(pipe))
        with pipe.open("wb"), pytest.raises(Unavailable, match="no decoder is free"):
            decoders.call(tasks.process_id)
        assert found.result() == decoders.call(tasks.process_id)


def test_few_wait_for_decoders_that_hang(
    make: Callable[[DecodingConfig], Decoders], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are told to come later: their threads have other things to do."""
    monkeypatch.setattr(decoders_module, "JAM_SECONDS", 0.05)
    decoders = make(DecodingConfig(processes=1))
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(6) as pool:
        hanging = pool.submit(decoders.call, tasks.wait_for, str(pipe))
        with pipe.open("wb"):
            calls = [pool.submit(decoders.call, tasks.process_id) for _ in range(5)]
            finished = as_completed(calls)
            for _ in range(3):
                assert isinstance(next(finished).exception(), Unavailable)
        assert {call.result() for call in finished} == {hanging.result()}


def test_many_may_wait_while_there_is_progress(
    make: Callable[[DecodingConfig], Decoders], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoders = make(DecodingConfig(processes=1))
    decoders.call(tasks.process_id)
    monkeypatch.setattr(decoders, "_moved", 0.0)  # nobody has asked for long
    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(lambda _: decoders.call(tasks.process_id), range(200)))) == 1


def test_the_host_has_no_threads_and_shares_no_secrets(
    decoders: Decoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vna.dicom.decode import PixelDescription, decode_frame

    frame = decoders.call(decode_frame, b"\1\2", "1.2.840.10008.1.2.1.98", PixelDescription(1, 1))
    assert frame.data == b"\1\2"
    assert decoders.call(tasks.threads_of_host) == 1, "what it loads must not start any"
    assert decoders.call(tasks.core_limit) == 0


def test_decoders_have_no_file_and_no_address_of_the_archive(
    make: Callable[[DecodingConfig], Decoders], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VNA__DATABASE__URL", "postgresql://secret")
    decoders = make(DecodingConfig(processes=2))
    with (tmp_path / "object").open("wb"):
        variables, files = decoders.call(tasks.environment), decoders.call(tasks.open_files)
    assert "PATH" in variables
    assert not [name for name in variables if name.startswith(("VNA", "PROMETHEUS"))]
    assert [name for name in files if not name.startswith(("/dev/null", "socket:", "/proc/"))] == []
    assert len([name for name in files if name.startswith("socket:")]) == 1


def test_without_its_host_a_call_fails_for_now_and_the_next_has_another(decoders: Decoders) -> None:
    host = decoders.call(tasks.host_id)
    with pytest.raises(Unavailable, match="ask again"):
        decoders.call(tasks.kill_host)
    assert decoders.call(tasks.host_id) != host


def test_an_idle_decoder_that_was_killed_is_noticed(decoders: Decoders) -> None:
    who = decoders.call(tasks.process_id)
    os.kill(who, signal.SIGKILL)
    await_end(who)
    assert decoders.call(tasks.process_id) != who


def test_idle_ones_are_let_go_and_come_again(make: Callable[[DecodingConfig], Decoders]) -> None:
    decoders = make(DecodingConfig(processes=2, idle_seconds=0.2))
    gone = [decoders.call(tasks.process_id), decoders.call(tasks.host_id)]
    for process_id in gone:
        await_end(process_id)
    assert decoders.call(tasks.process_id) not in gone
    assert decoders.call(tasks.host_id) not in gone


def test_nothing_runs_before_the_first_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", None)
    Decoders(DecodingConfig()).close()


def test_closing_ends_all_and_those_that_wait(tmp_path: Path) -> None:
    decoders = Decoders(DecodingConfig(processes=1))
    ends = [decoders.call(tasks.process_id), decoders.call(tasks.host_id)]
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(2) as pool:
        busy = pool.submit(decoders.call, tasks.wait_for, str(pipe))
        with pipe.open("wb"):
            waiting = pool.submit(decoders.call, tasks.process_id)
            decoders.close()
            for call in (busy, waiting):
                assert isinstance(call.exception(), Unavailable)
    for process_id in ends:
        await_end(process_id)
    with pytest.raises(Unavailable, match="stopped"):
        decoders.call(tasks.process_id)
    decoders.close()


def test_who_waits_no_more_ends_the_work(decoders: Decoders, tmp_path: Path) -> None:
    interrupt, pipe = Interrupt(), tmp_path / "pipe"
    os.mkfifo(pipe)

    def work() -> None:
        with interruptible(interrupt):
            decoders.call(tasks.say_and_loop, str(pipe))

    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(work)
        who = int(pipe.read_text())
        interrupt.set()
        assert isinstance(found.exception(), Abandoned)
    await_end(who)
    assert decoders.call(tasks.double, b"ab") == b"abab"


def test_who_waits_no_more_leaves_the_queue(
    make: Callable[[DecodingConfig], Decoders], tmp_path: Path
) -> None:
    decoders, interrupt, pipe = make(DecodingConfig(processes=1)), Interrupt(), tmp_path / "pipe"
    os.mkfifo(pipe)

    def wait() -> None:
        with interruptible(interrupt):
            decoders.call(tasks.process_id)

    with ThreadPoolExecutor(2) as pool:
        busy = pool.submit(decoders.call, tasks.wait_for, str(pipe))
        with pipe.open("wb"):
            waiting = pool.submit(wait)
            interrupt.set()
            assert isinstance(waiting.exception(), Abandoned)
            assert not busy.done()


def test_they_end_with_the_process_that_they_work_for(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.services.decoder_owner", str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as owner:
        assert owner.stdout is not None
        ends = [int(word) for word in owner.stdout.readline().split()]
        assert len(ends) == 3
        watched = [os.pidfd_open(process_id) for process_id in ends]
        owner.kill()
        for descriptor in watched:
            assert select.select([descriptor], [], [], 30.0)[0], "it outlived its owner"
            os.close(descriptor)


def test_what_is_called_in_process_is_called_at_once() -> None:
    assert InProcess().call(tasks.process_id) == os.getpid()
    assert InProcess().call(tasks.lengths, [b"abc"], scale=2) == [6]


def test_threads_share_decoders(decoders: Decoders) -> None:
    start = threading.Barrier(8)

    def work(number: int) -> set[int]:
        start.wait()
        return {decoders.call(tasks.process_id) for _ in range(50)}

    with ThreadPoolExecutor(8) as pool:
        who = set[int]().union(*pool.map(work, range(8)))
    assert len(who) <= 2


def test_they_are_counted(make: Callable[[DecodingConfig], Decoders]) -> None:
    def counted() -> tuple[float, float, float]:
        sample = REGISTRY.get_sample_value
        return (
            sample("vna_decoders") or 0,
            sample("vna_decoding_seconds_count", {"function": "double"}) or 0,
            sample("vna_decoder_failures_total", {"reason": "crash"}) or 0,
        )

    decoders = make(DecodingConfig(processes=1))
    processes, calls, crashes = counted()
    decoders.call(tasks.double, b"ab")
    assert counted() == (processes + 1, calls + 1, crashes)
    with pytest.raises(DecoderFailed):
        decoders.call(tasks.segfault)
    assert counted() == (processes, calls + 1, crashes + 1)
    decoders.call(tasks.double, b"ab")
    decoders.close()
    assert counted() == (processes, calls + 2, crashes + 1)


def await_end(process_id: int) -> None:
    """Wait until no such process runs."""
    try:
        descriptor = os.pidfd_open(process_id)
    except ProcessLookupError:
        return
    try:
        assert select.select([descriptor], [], [], 30.0)[0], f"process {process_id} still runs"
    finally:
        os.close(descriptor)
