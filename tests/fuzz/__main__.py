"""`make fuzz`: both engines side by side, for as long as is asked for."""

from __future__ import annotations

import argparse
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from tests.fuzz.found import read_input, target_of
from tests.fuzz.measures import measured
from tests.fuzz.registry import TARGETS
from tests.fuzz.seeds import missing

SECONDS = 60.0


def main(arguments: list[str]) -> int:
    """0: nothing was found; 1: something was, and is kept; 2: wrong usage."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="in all (default: 60)")
    parser.add_argument("--replay", type=Path, nargs="+", help="run kept inputs once, nothing else")
    parser.add_argument("--target", help="of inputs that lie elsewhere", choices=TARGETS)
    parser.add_argument("targets", nargs="*", help=f"some of: {' '.join(TARGETS)}")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.targets if name not in TARGETS]
    if unknown:
        parser.error(f"{unknown[0]} is no target; there are: {' '.join(TARGETS)}")
    if options.replay:
        return replay(options.replay, options.target)
    return fuzz(options.seconds, options.targets)


def replay(paths: list[Path], target_name: str | None) -> int:
    """Run inputs as the suite does; the first that breaks a promise shows how."""
    for path in paths:
        target = TARGETS[target_name] if target_name else target_of(path)
        data = read_input(path)
        measured(target.check, data, expansion=target.expansion(data))
        print(f"{path}: {target.name} takes it")
    return 0


def engines() -> list[str]:
    """The modules that can search here; says which can't."""
    if find_spec("atheris") is None:
        print(
            "atheris is not installed (there are wheels for Linux on x86-64): only hypothesis runs"
        )
        return ["tests.fuzz.properties"]
    return ["tests.fuzz.guided", "tests.fuzz.properties"]


def fuzz(seconds: float, targets: list[str]) -> int:
    """Run the engines at once, so that `seconds` is what it takes."""
    for line in missing():
        print(line)
    commands = [
        [sys.executable, "-m", name, f"--seconds={seconds}", *targets] for name in engines()
    ]
    sys.stdout.flush()
    running = [subprocess.Popen(command) for command in commands]
    ended = [process.wait() for process in running]
    if any(ended):
        print("something was found; see above for how to see it again")
    return int(any(ended))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
