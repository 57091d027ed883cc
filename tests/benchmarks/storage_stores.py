"""C-STORE into a bucket, and into an encrypted store, in turns with the plain file system."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.benchmarks import objects, peer_tasks, raw_s3
from tests.benchmarks.objects import BenchObject
from tests.benchmarks.report import Row
from tests.peers import usage
from tests.peers.archive import running_archive_peer
from tests.peers.peer import Peer
from tests.s3_server import ACCESS_KEY, BUCKET, SECRET_KEY, SUFFIX, S3Server, running_s3

INTO_BUCKET, ENCRYPTION = "bucket", "encryption"
ASSOCIATIONS = 8
ROUNDS = 5
_FILES, _BUCKET, _RAW, _BOTH = "the file system", "a bucket", "raw client", "files and raw client"
Side = Callable[[], Sequence[float]]


def in_turns(sides: Mapping[str, Side], rounds: int) -> list[dict[str, Sequence[float]]]:
    """The figures of every side by round; in each round all have their turn, and another one begins."""
    figures = []
    for number in range(rounds):
        names = list(sides)
        names = names[number % len(names) :] + names[: number % len(names)]
        figures.append({name: sides[name]() for name in names})
    return figures


def middle(
    rounds: Sequence[Mapping[str, Sequence[float]]], one: str, other: str, figure: int = 0
) -> tuple[float, float]:
    """A figure of two sides in the round in which their ratio is the median: what else a machine does hits both."""
    pairs = [(found[one][figure], found[other][figure]) for found in rounds]
    return sorted(pairs, key=lambda pair: pair[0] / pair[1])[len(pairs) // 2]


def bucket_variables(server: S3Server) -> dict[str, str]:
    """What makes an archive keep its objects there."""
    options = {
        "ENDPOINT": server.endpoint,
        "BUCKET": BUCKET,
        "ACCESS_KEY": ACCESS_KEY,
        "SECRET_KEY": SECRET_KEY,
        "OBJECT_SUFFIX": SUFFIX,
    }
    return {
        "VNA__STORAGE__BACKEND": "s3",
        **{f"VNA__STORAGE__OPTIONS__{name}": value for name, value in options.items()},
    }


def into_bucket(folder: Path, short: bool) -> Iterator[Row]:
    """C-STORE of 512 KiB CT to the file system and to an S3 server, whose own rate stands beside."""
    item, count, rounds = objects.ct(), 40 if short else 400, 1 if short else ROUNDS
    (folder / "s3").mkdir()
    with (
        running_s3(folder / "s3") as server,
        running_archive_peer(folder / "files") as files,
        running_archive_peer(folder / "bucket", environment=bucket_variables(server)) as bucket,
    ):

        def stored_in_bucket() -> Sequence[float]:
            before = usage.cpu_seconds([server.pid])
            figures = _stored(item, count, bucket)
            return (*figures, (usage.cpu_seconds([server.pid]) - before) / count * 1000)

        def stored_by_none() -> Sequence[float]:
            before = usage.cpu_seconds([server.pid])
            rate = raw_s3.put_rate(server, item.dataset, ASSOCIATIONS, count)
            return rate, 0.0, (usage.cpu_seconds([server.pid]) - before) / count * 1000

        def stored_in_both() -> Sequence[float]:
            """Pairs a second: each image in files, and as many bytes in the bucket at no cost of the archive's."""
            puts = raw_s3.signed_puts(server, item.dataset, ASSOCIATIONS, count)
            with ThreadPoolExecutor(1) as thread:
                rate = thread.submit(puts)
                return (min(_stored(item, count, files)[0], rate.result()),)

        sides: dict[str, Side] = {
            _FILES: lambda: _stored(item, count, files),
            _BUCKET: stored_in_bucket,
            _RAW: stored_by_none,
            _BOTH: stored_in_both,
        }
        in_turns(sides, 1)
        yield from _bucket_rows(in_turns(sides, rounds))


def _bucket_rows(rounds: Sequence[Mapping[str, Sequence[float]]]) -> Iterator[Row]:
    title = f"C-STORE CT 512 KiB to S3, {ASSOCIATIONS} associations"
    goal = ">= 0.6 x, or the S3 server is the limit"
    rate, files = middle(rounds, _BUCKET, _FILES)
    yield Row(title, rate, "/s", "to the file system", files, goal)
    ceiling, files = middle(rounds, _BOTH, _FILES)
    name = "C-STORE to files, and a put of a raw client for each"
    yield Row(name, ceiling, "/s", "to the file system alone", files)
    rate, ceiling = middle(rounds, _BUCKET, _BOTH)
    yield Row(title, rate, "/s", "to files, and a raw put for each", ceiling)
    alone, files = middle(rounds, _RAW, _FILES)
    yield Row(
        "the S3 server alone, 8 connections", alone, "/s", "C-STORE to the file system", files
    )
    cpu, files = middle(rounds, _BUCKET, _FILES, 1)
    name = "CPU of archive and index, 1 000 CT to S3"
    yield Row(name, cpu, "s", "to the file system", files, "<= 1.67 x")
    cpu, alone = middle(rounds, _BUCKET, _RAW, 2)
    yield Row("CPU of the S3 server, 1 000 CT by C-STORE", cpu, "s", "alone", alone)


def encrypted(folder: Path, short: bool) -> Iterator[Row]:
    """C-STORE through 8 associations with encryption at rest, against the same without."""
    key_file = folder / "keys"
    key_file.write_text(f"bench:{base64.b64encode(os.urandom(32)).decode()}\n")
    variables = {"VNA__STORAGE__ENCRYPTION__KEY_FILE": str(key_file)}
    with (
        running_archive_peer(folder / "plain") as plain,
        running_archive_peer(folder / "sealed", environment=variables) as sealed,
    ):
        for item, count in _encryption_work(short):

            def sides(item: BenchObject = item, count: int = count) -> dict[str, Side]:
                return {
                    "plain": lambda: _stored(item, count, plain),
                    "sealed": lambda: _stored(item, count, sealed),
                }

            in_turns(sides(), 1)
            rounds = in_turns(sides(), 1 if short else ROUNDS)
            name = f"C-STORE {item.title} encrypted, {ASSOCIATIONS} associations"
            yield Row(name, *_figures(rounds, 0, "/s"), "> 0.8 x")
            yield Row(f"CPU, 1 000 {item.title} encrypted", *_figures(rounds, 1, "s"))


def _figures(
    rounds: Sequence[Mapping[str, Sequence[float]]], figure: int, unit: str
) -> tuple[float, str, str, float]:
    sealed, plain = middle(rounds, "sealed", "plain", figure)
    return sealed, unit, "not encrypted", plain


def _encryption_work(short: bool) -> Iterator[tuple[BenchObject, int]]:
    yield objects.ct(), 40 if short else 400
    if not short:
        _, mammography, ultrasound = objects.large()
        yield mammography, 64
        yield ultrasound, 16


def _stored(item: BenchObject, count: int, peer: Peer) -> tuple[float, ...]:
    """Instances a second, and CPU seconds for 1 000. Raises RuntimeError unless all were stored."""
    return peer_tasks.store(item, count, ASSOCIATIONS, peer).figures
